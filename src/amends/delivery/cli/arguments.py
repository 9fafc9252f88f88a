"""Arguments that several verbs take, and what is read from them.

Rules: what is wrong with an argument is an `Unusable` that names it; nothing of it is echoed beyond 100 characters.
JSON is read as strictly as the service reads it, so that a file and a service take the same.
It does not: ask anything.
"""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from amends.delivery.cli.faults import Unusable
from amends.wire.strict_json import BadJson, read_value

LARGEST: Final = 1 << 20
"""Bytes of data that a service takes."""

SagaId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="The saga id.")]
StepPath: TypeAlias = Annotated[str, typer.Argument(metavar="STEP", help="Such as reserve-stock[sku-1].")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
By: TypeAlias = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it; your login name without it.")
]
Reason: TypeAlias = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the saga.")
]
IfPosition: TypeAlias = Annotated[
    int | None,
    typer.Option("--if-position", metavar="N", min=1, help="Only if the saga still stands at this position."),
]


def person(by: str | None) -> str:
    """Return who acts: `by`, or the login name."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise Unusable("nobody is logged in here; say who you are with --by") from error


def json_argument(text: str, what: str) -> bytes:
    """Return the JSON that an option gives, without white space: itself, ``@file`` or ``-`` for standard input.

    Raises:
        Unusable: it cannot be read, or is no JSON that a service would take.
    """
    content = _content(text, what)
    if not content.strip():
        raise Unusable(f"{what} is empty; give JSON, @FILE or - for standard input")
    if len(content) > LARGEST:
        raise Unusable(f"{what} has {len(content):,} bytes; the most is {LARGEST:,}")
    try:
        read_value(content)
    except BadJson as bad:
        raise Unusable(f"{what} is no JSON: {bad}") from bad
    # Without the space between its parts, so that the same data are the same bytes however they were written.
    return msgspec.json.format(content, indent=-1)


def _content(text: str, what: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read(LARGEST + 1)
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape")
    try:
        with Path(text[1:]).open("rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unusable(f"{what}: {text[1:101]!r} cannot be read: {reason}") from error


def instant(text: str | None, what: str) -> str | None:
    """Return a time as RFC 3339 in UTC; one without an offset is UTC."""
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
        known = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unusable(
            f"{what} {text[:40]!r} is no time; write 2026-01-31, or 2026-01-31T12:00:00Z"
        ) from error
    return known.isoformat().replace("+00:00", "Z")
