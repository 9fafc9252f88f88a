"""What YAML would have made of a plain text, had the key not decided its type.

Rules: both versions count. `no` is false and `012` is ten in YAML 1.1, which many tools still read, and neither is in
1.2: a reader cannot know which was meant, so whoever wants a text writes quotes.
It does not: decide what a value is; the key's kind does.
"""

import re
from collections.abc import Callable

_SWITCH = re.compile(r"(y|n|yes|no|on|off|true|false)", re.IGNORECASE)
_NOTHING = re.compile(r"(~|null|)", re.IGNORECASE)
_OCTAL = re.compile(r"[-+]?0[0-7_]{1,30}")
_OCTAL_12 = re.compile(r"[-+]?0o[0-7]{1,30}")
_HEXADECIMAL = re.compile(r"[-+]?0x[0-9a-fA-F_]{1,30}")
_BINARY = re.compile(r"[-+]?0b[01_]{1,60}")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]{0,9}(:[0-5]?[0-9]){1,4}(\.[0-9_]*)?")
_NUMBER = re.compile(
    r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)", re.IGNORECASE
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")


def meaning(text: str) -> str:
    """Return what YAML takes a plain `text` for ("the number 10"), or "" if for itself."""
    for form, say in _MEANINGS:
        if form.fullmatch(text):
            return say(text)
    return ""


def is_surprising(text: str) -> bool:
    """Tell whether YAML 1.1 takes a plain `text` for something that it does not look like."""
    return any(form.fullmatch(text) for form in (_OCTAL, _BASE_60, _DATE)) or (
        bool(_SWITCH.fullmatch(text)) and text.lower() not in {"true", "false"}
    )


def _switch(text: str) -> str:
    return "true" if text.lower() in {"y", "yes", "on", "true"} else "false"


def _in_base(base: int, prefix: str) -> Callable[[str], str]:
    def say(text: str) -> str:
        return f"the number {int(text.replace('_', '').replace(prefix, '', 1) or '0', base):,}"

    return say


def _base_60(text: str) -> str:
    if "." in text:
        return "a number in base 60"
    number = 0
    for part in text.replace("_", "").lstrip("+-").split(":"):
        number = number * 60 + int(part)
    return f"the number {'-' if text.startswith('-') else ''}{number:,}"


_MEANINGS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (_SWITCH, _switch),
    (_NOTHING, lambda _: "nothing"),
    (_OCTAL, _in_base(8, "")),
    (_OCTAL_12, _in_base(8, "o")),
    (_HEXADECIMAL, _in_base(16, "x")),
    (_BINARY, _in_base(2, "b")),
    (_BASE_60, _base_60),
    (_NUMBER, lambda _: "a number"),
    (_DATE, lambda _: "a date"),
)
