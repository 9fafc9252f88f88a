"""Foreign text, made fit for a reason, a log line or an operator's screen.

Rules: at most 100 characters of it; whatever does not print (controls, line ends, direction overrides, zero widths) is
escaped, so that no participant can forge a log line or reorder what a person reads.
It does not: translate, or guess an encoding; bytes are read as UTF-8 and what is not UTF-8 is replaced.
"""

MAX_EXCERPT = 100


def excerpt(text: str | bytes, *, limit: int = MAX_EXCERPT) -> str:
    """Return the beginning of `text`, printable, at most `limit` characters after escaping."""
    # Cut first: the work is bounded by the limit (four bytes a character), not by what a stranger sent.
    if isinstance(text, bytes):
        text = text[: 4 * (limit + 1)].decode("utf-8", "replace")
    text = text[: limit + 1].strip()
    printable = text if text.isprintable() else "".join(map(_printable, text))
    return printable if len(printable) <= limit else f"{printable[: limit - 1]}…"


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
