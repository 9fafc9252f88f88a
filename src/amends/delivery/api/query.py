"""Query parameters: what a route takes, each with its kind, checked all at once.

Rules: a parameter that is not known is refused with the nearest that is; one that may stand once stands once; percent
signs decode to UTF-8 or not at all. A kind has one reading and one JSON schema, so the document says what is true.
It does not: accept a pattern of a user's as one.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from amends.delivery.api.body import nearest
from amends.delivery.api.problem import Fault, Problem
from amends.wire.excerpt import excerpt

MOST_PARAMETERS = 100
MOST_TEXT = 200
MOST_VERSION = 2**31 - 1
_WHOLE = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a value may be; `read` raises ValueError with the end of a sentence."""

    read: Callable[[str], Any]
    schema: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One query parameter."""

    kind: Kind
    says: str
    repeats: bool = False


def whole(least: int, most: int) -> Kind:
    """Return the kind of whole numbers in a range."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most} expected")
        return int(text)

    return Kind(read=read, schema={"type": "integer", "minimum": least, "maximum": most})


def seconds(most: float) -> Kind:
    """Return the kind of times to wait."""

    def read(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or float(text) > most:
            raise ValueError(f"seconds from 0 to {most:g} expected, such as 2.5")
        return float(text)

    return Kind(read=read, schema={"type": "number", "minimum": 0, "maximum": most})


def choice(*choices: str) -> Kind:
    """Return the kind of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} expected")
        return text

    return Kind(read=read, schema={"type": "string", "enum": list(choices)})


def _text(text: str) -> str:
    if not 0 < len(text) <= MOST_TEXT or not text.isprintable():
        raise ValueError(f"from 1 to {MOST_TEXT} printable characters expected")
    return text


def _cursor(text: str) -> str:
    if not text or len(text) > MOST_TEXT * 10:
        raise ValueError("a cursor expected, as an earlier page gave it")
    return text


def _instant(text: str) -> datetime:
    message = "an instant expected, such as 2026-11-21T09:30:00Z"
    try:
        # A plus sign in a query means a space.
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise ValueError(message) from None
    if found.tzinfo is None:
        raise ValueError(message + ", with its offset")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError(message) from None


def _switch(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("true or false expected")
    return text == "true"


TEXT = Kind(read=_text, schema={"type": "string", "minLength": 1, "maxLength": MOST_TEXT})
CURSOR = Kind(read=_cursor, schema={"type": "string"})
INSTANT = Kind(read=_instant, schema={"type": "string", "format": "date-time"})
SWITCH = Kind(read=_switch, schema={"type": "boolean"})
POSITION = whole(0, 2**53)
VERSION = whole(1, MOST_VERSION)


def parse(raw: str, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the values in `raw`, a query string, by name; those that repeat as lists.

    Raises:
        Problem: 422 with everything that is wrong.
    """
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, text in _pairs(raw):
        parameter = known.get(name)
        if parameter is None:
            reason = "unknown parameter" + nearest(name, list(known))
            faults.append(Fault(excerpt(f"?{name}"), reason))
        elif name in values and not parameter.repeats:
            faults.append(Fault(f"?{name}", "stands twice"))
        else:
            _take(name, text, parameter, values, faults)
    if faults:
        raise Problem("invalid", "the query does not make sense", errors=faults)
    return values


def _take(name: str, text: str, parameter: Parameter, values: dict[str, Any], faults: list[Fault]) -> None:
    try:
        value = parameter.kind.read(text)
    except ValueError as wrong:
        faults.append(Fault(f"?{name}", str(wrong)))
        return
    if parameter.repeats:
        values.setdefault(name, []).append(value)
    else:
        values[name] = value


def _pairs(raw: str) -> Sequence[tuple[str, str]]:
    if not raw:
        return ()
    try:
        return parse_qsl(
            raw,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError as error:
        reason = f"write name=value, joined by &, percent-encoded UTF-8, at most {MOST_PARAMETERS}"
        raise Problem("invalid", reason, errors=(Fault("?", reason),)) from error


def ceiled(pause: float) -> str:
    """Return seconds as `Retry-After` has them: whole, and never 0."""
    return str(max(1, math.ceil(pause)))
