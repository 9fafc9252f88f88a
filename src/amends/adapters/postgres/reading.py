"""The questions that read transitions, index rows and notes: in whatever session they are asked.

Rules
- What is large is read in pieces (rows and bytes), so that a loop is not held up for more than a few milliseconds.
- Each piece is one statement, so it shows one moment. What is committed between two pieces stands behind the first.
They do not: open, wait, or turn errors into those of the port.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from amends.adapters.postgres import statements
from amends.adapters.postgres.driver import Link
from amends.ports.event_store import DefinitionNote, OpenInstance, StreamKey, Transition

PIECE_ROWS: Final = 500
PIECE_BYTES: Final = 1_048_576


async def read_piece(
    link: Link, *, key: StreamKey, after: int, limit: int | None
) -> tuple[list[Transition], bool]:
    """Read a stream on behind `after`; True when there is no more of what is wanted."""
    rows = PIECE_ROWS if limit is None else min(limit, PIECE_ROWS)
    found = await link.fetch(statements.READ_STREAM, *key, after, rows, PIECE_BYTES)
    piece = [as_transition(key, *row) for row in found]
    was_cut = sum(len(each.body) for each in piece) >= PIECE_BYTES
    return piece, len(piece) == limit or (len(piece) < rows and not was_cut)


async def beginnings(link: Link, *, keys: Sequence[StreamKey]) -> list[Transition]:
    """Return the first transitions of streams."""
    identities = [key.namespace for key in keys], [key.saga_id for key in keys]
    return [
        as_transition(keys[int(place) - 1], *stored)
        for place, *stored in await link.fetch(statements.READ_BEGINNINGS, *identities)
    ]


async def log_end(link: Link) -> int:
    """Return the last sequence."""
    return int(await link.fetchval(statements.LOG_END))


async def open_instances(link: Link, *, after: StreamKey | None, limit: int) -> list[OpenInstance]:
    """Return a page of index rows."""
    if after is None:
        return index_rows(await link.fetch(statements.OPEN_INSTANCES, limit))
    return index_rows(await link.fetch(statements.OPEN_INSTANCES_AFTER, limit, *after))


async def due(link: Link, *, now: datetime, limit: int) -> list[OpenInstance]:
    """Return the index rows whose time has come."""
    return index_rows(await link.fetch(statements.DUE_INSTANCES, now, limit))


async def next_wake(link: Link) -> datetime | None:
    """Return the earliest time at which an instance must be looked at."""
    wake_at: datetime | None = await link.fetchval(statements.NEXT_WAKE)
    return wake_at


async def definitions(link: Link) -> Sequence[DefinitionNote]:
    """Return what was noted of definitions."""
    return [
        DefinitionNote(name, version, fingerprint, shape or b"")
        for name, version, fingerprint, shape in await link.fetch(statements.DEFINITIONS)
    ]


def as_transition(
    key: StreamKey, position: int, events: int, recorded_at: datetime, body: bytes
) -> Transition:
    """Return what a row is."""
    return Transition(key=key, position=position, events=events, recorded_at=recorded_at, body=body)


def index_rows(rows: Iterable[Any]) -> list[OpenInstance]:
    """Return what rows of the index are."""
    return [
        OpenInstance(key=StreamKey(namespace, saga_id), wake_at=wake_at, outstanding=outstanding)
        for namespace, saga_id, wake_at, outstanding in rows
    ]
