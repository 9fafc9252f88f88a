"""The questions that read transitions, index rows and notes: on whatever connection they are asked.

Rules
- What is large is read in pieces (rows and bytes), so that a loop is not held up for more than a few milliseconds.
- Each piece is one statement, so it shows one moment. What is committed between two pieces stands behind the first.
They do not: open, wait, or turn errors into those of the port.
"""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.instants import from_microseconds
from amends.ports.event_store import DefinitionNote, Logged, OpenInstance, StreamKey, Transition

PIECE_ROWS: Final = 500
PIECE_BYTES: Final = 1_048_576


def read_piece(
    connection: sqlite3.Connection, *, key: StreamKey, after: int, limit: int | None
) -> tuple[list[Transition], bool]:
    """Read a stream on behind `after`; True when there is no more of what is wanted."""
    rows = PIECE_ROWS if limit is None else min(limit, PIECE_ROWS)
    piece: list[Transition] = []
    size = 0
    cursor = connection.execute(statements.READ_STREAM, (*key, after, rows))
    for position, events, recorded_at, body in cursor:
        piece.append(_transition(key, position, events, recorded_at, body))
        size += len(body)
        if size >= PIECE_BYTES:
            # An unfinished cursor would keep later reads at today's state.
            cursor.close()
            return piece, len(piece) == limit
    return piece, len(piece) < rows or len(piece) == limit


def log_piece(connection: sqlite3.Connection, *, after: int, limit: int) -> list[Logged]:
    """Read the log on behind `after`; fewer than `limit` where they are large."""
    piece: list[Logged] = []
    size = 0
    cursor = connection.execute(statements.READ_LOG, (after, limit))
    for sequence, namespace, saga_id, *stored in cursor:
        transition = _transition(StreamKey(namespace, saga_id), *stored)
        piece.append(Logged(sequence, transition))
        size += len(transition.body)
        if size >= PIECE_BYTES:
            cursor.close()
            break
    return piece


def log_end(connection: sqlite3.Connection) -> int:
    """Return the last sequence."""
    (sequence,) = connection.execute(statements.LOG_END).fetchone()
    return int(sequence)


def open_instances(
    connection: sqlite3.Connection, *, after: StreamKey | None, limit: int
) -> list[OpenInstance]:
    """Return a page of index rows."""
    if after is None:
        return _index_rows(connection.execute(statements.OPEN_INSTANCES, (limit,)))
    return _index_rows(connection.execute(statements.OPEN_INSTANCES_AFTER, (limit, *after)))


def due(connection: sqlite3.Connection, *, microseconds: int, limit: int) -> list[OpenInstance]:
    """Return the index rows whose time has come."""
    return _index_rows(connection.execute(statements.DUE_INSTANCES, (microseconds, limit)))


def next_wake(connection: sqlite3.Connection) -> datetime | None:
    """Return the earliest time at which an instance must be looked at."""
    row = connection.execute(statements.NEXT_WAKE).fetchone()
    return None if row is None else from_microseconds(row[0])


def definitions(connection: sqlite3.Connection) -> list[DefinitionNote]:
    """Return what was noted of definitions."""
    return [
        DefinitionNote(name, version, fingerprint, shape.encode())
        for name, version, fingerprint, shape in connection.execute(statements.DEFINITIONS)
    ]


def _transition(key: StreamKey, position: int, events: int, recorded_at: int, body: bytes) -> Transition:
    return Transition(
        key=key,
        position=position,
        events=events,
        recorded_at=from_microseconds(recorded_at),
        body=body,
    )


def _index_rows(rows: Iterable[tuple[str, str, int | None, int]]) -> list[OpenInstance]:
    return [
        OpenInstance(
            key=StreamKey(namespace, saga_id),
            wake_at=None if wake_at is None else from_microseconds(wake_at),
            outstanding=bool(outstanding),
        )
        for namespace, saga_id, wake_at, outstanding in rows
    ]
