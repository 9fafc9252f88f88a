"""What verbs print: safe text, tables, colours, one JSON document.

Rules
- Text from instances never reaches the terminal as it is: what cannot be seen, or moves the cursor, is spelled out, in
  JSON too.
- Colours only where a terminal shows them and NO_COLOR is not set. No text is cut for the width of a terminal.
It does not: know what a saga is.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from amends.delivery.client import exact_json

Colour: TypeAlias = Literal["", "red", "green", "yellow", "blue", "dim", "bold"]
_CODES: Final[dict[Colour, str]] = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "dim": "2",
    "bold": "1",
}
_OF_STATUS: Final[dict[str, Colour]] = {
    "running": "blue",
    "compensating": "yellow",
    "stuck": "red",
    "completed": "green",
    "compensated": "green",
    "abandoned": "dim",
}


def shown(value: object) -> str:
    """Return `value` as text of one line that a terminal takes for text."""
    text = str(value)
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character == " " or not _is_hidden(character):
        return character
    return character.encode("unicode_escape").decode("ascii")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def compact(value: object) -> str:
    """Return a JSON value as safe text of one line."""
    return json_text(value)


def json_text(value: object) -> str:
    """Return `value` as one line of JSON without anything that a terminal would obey."""
    text = exact_json.write(value).decode()
    if text.isascii() and text.isprintable():
        return text
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    return "".join(
        _escaped(character)
        if _is_hidden(character) or (ascii_only and not character.isascii())
        else character
        for character in text
    )


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def print_json(value: object) -> None:
    """Print one document on one line."""
    print(json_text(value), flush=True)


def has_colours() -> bool:
    """Tell whether standard output shows colours and the user wants them."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and sys.stdout.isatty()


def painted(text: str, colour: Colour) -> str:
    """Return `text` in a colour, where there are colours."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colour and has_colours() else text


def colour_of(status: str) -> Colour:
    """Return the colour of an engine's status."""
    return _OF_STATUS.get(status, "")


def width(text: str) -> int:
    """Return how many columns a terminal needs for safe `text`."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Any]],
    colours: Sequence[Colour] = (),
    *,
    plain: bool = False,
) -> list[str]:
    """Return lines; every cell is made safe. `colours` are those of the rows; `plain` is without any."""
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(headings, *cells, strict=True)]
    lines = [_line(row, widths) for row in (headings, *cells)]
    if plain:
        return lines
    head, *rest = lines
    painted_rest = map(painted, rest, colours) if colours else rest
    return [painted(head, "bold"), *painted_rest]


def table_width(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Return how many columns a table needs."""
    return max(width(line) for line in table(headings, rows, plain=True))


def terminal_columns() -> int | None:
    """Return how wide the terminal is; None when standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (wanted - width(cell)) for cell, wanted in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()
