"""JSON as it must be: one reading, or none.

Rules: UTF-8 without a byte order mark; no duplicate keys, NaN, Infinity or numbers out of range; at most 64 levels
deep; no NUL and no lone surrogate in a string. What breaks a rule raises ValueError, one line that says where or what.

Does not do: judge what the value means (the payload's type does that), limit its size (the door does that).
"""

import json
import math
import re

DEEPEST = 64
ECHOED = 40

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


def parse(body: bytes) -> object:
    """The one value that the body holds."""
    if not body.strip():
        message = "the body is empty; send a JSON object"
        raise ValueError(message)
    _check_depth(body)
    try:
        text = body.decode("utf-8")
        value: object = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
        )
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8 (byte {error.start})"
        raise ValueError(message) from None
    except json.JSONDecodeError as error:
        message = f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise ValueError(message) from None
    _check_strings(value, "")
    return value


def _check_depth(body: bytes) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        if match[0] in b"[{":
            depth += 1
        elif match[0] in b"]}":
            depth -= 1
        if depth > DEEPEST:
            message = f"the body is nested more than {DEEPEST} levels deep"
            raise ValueError(message)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                message = f"the key {key[:ECHOED]!r} stands twice in one object"
                raise ValueError(message)
            seen.add(key)
    return found


def _constant(literal: str) -> float:
    message = f"{literal} is not JSON"
    raise ValueError(message)


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        message = f"the number {literal[:ECHOED]} is out of range"
        raise ValueError(message)
    return number


def _int(literal: str) -> int:
    if len(literal) > ECHOED:
        message = f"the number {literal[:ECHOED]}… is out of range"
        raise ValueError(message)
    return int(literal)


def _check_strings(value: object, pointer: str) -> None:
    match value:
        case str():
            _check_string(value, pointer)
        case dict():
            for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
                _check_string(str(key), pointer)  # pyright: ignore[reportUnknownArgumentType]
                _check_strings(item, f"{pointer}/{str(key)[:ECHOED]}")  # pyright: ignore[reportUnknownArgumentType]
        case list():
            for index, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
                _check_strings(item, f"{pointer}/{index}")  # pyright: ignore[reportUnknownArgumentType]
        case _:
            pass


def _check_string(text: str, pointer: str) -> None:
    if "\x00" in text:
        message = f"the string at {pointer or '/'} contains NUL"
        raise ValueError(message)
    if any("\ud800" <= character <= "\udfff" for character in text):
        message = f"the string at {pointer or '/'} contains a lone surrogate"
        raise ValueError(message)
