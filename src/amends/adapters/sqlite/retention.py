"""Giving streams up and taking them back, on whatever connection is handed in.

Rules: what writes is called inside a transaction, and few streams at a time.
They do not: begin, commit or roll back, or decide what is old enough.
"""

import sqlite3
from collections.abc import Sequence

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.instants import from_microseconds, to_microseconds
from amends.ports.event_store import Logged, StreamKey, Transition
from amends.ports.retention import FinishedPage, StoredStream, StreamEnd


def finished(connection: sqlite3.Connection, *, microseconds: int, after: int, limit: int) -> FinishedPage:
    """Look at a piece of the log; return the finished streams that ended there before an instant."""
    rows = connection.execute(statements.READ_LOG_ENDS, (after, limit)).fetchall()
    old = [row for row in rows if row[1] < microseconds]
    ends = [
        StreamEnd(StreamKey(namespace, saga_id), position, sequence)
        for sequence, _, namespace, saga_id, position, has_finished in old
        if has_finished
    ]
    return FinishedPage(ends, rows[-1][0] if old and len(rows) == limit else None)


def stored_streams(connection: sqlite3.Connection, *, keys: Sequence[StreamKey]) -> list[StoredStream]:
    """Return whole streams."""
    found = (_stored_stream(connection, key) for key in keys)
    return [stream for stream in found if stream.transitions]


def delete_streams(connection: sqlite3.Connection, *, ends: Sequence[StreamEnd]) -> list[bool]:
    """Delete those that still end there and may go."""
    verdicts: list[bool] = []
    for end in ends:
        number = connection.execute(statements.FIND_FINISHED_STREAM, (*end.key, end.position)).fetchone()
        if number is not None:
            connection.execute(statements.DELETE_TRANSITIONS, number)
            connection.execute(statements.DELETE_STREAM, number)
        verdicts.append(number is not None)
    return verdicts


def restore_streams(connection: sqlite3.Connection, *, streams: Sequence[StoredStream]) -> list[bool]:
    """Put streams back to their places in the log.

    Raises:
        ValueError: these are not of this log.
    """
    (end,) = connection.execute(statements.LOG_END).fetchone()
    verdicts = [
        connection.execute(statements.FIND_STREAM, stream.key).fetchone() is None for stream in streams
    ]
    new = [stream for stream, is_new in zip(streams, verdicts, strict=True) if is_new]
    if any(stream.end.sequence > end for stream in new):
        raise ValueError("the log ends before the places of these streams: they are of another store")
    connection.executemany(statements.ADD_STREAM, [stream.key for stream in new])
    rows = [_row(logged) for stream in new for logged in stream.transitions]
    try:
        connection.executemany(statements.RESTORE_TRANSITION, rows)
    except sqlite3.IntegrityError as fault:
        raise ValueError("others stand at the places of these streams: they are of another store") from fault
    return verdicts


def _stored_stream(connection: sqlite3.Connection, key: StreamKey) -> StoredStream:
    rows = connection.execute(statements.READ_STORED_STREAM, key)
    return StoredStream(key, tuple(_logged(key, row) for row in rows))


def _logged(key: StreamKey, row: tuple[int, int, int, int, bytes]) -> Logged:
    sequence, position, events, recorded_at, body = row
    at = from_microseconds(recorded_at)
    return Logged(sequence, Transition(key=key, position=position, events=events, recorded_at=at, body=body))


def _row(logged: Logged) -> tuple[int, str, str, int, int, int, str]:
    sequence, each = logged
    namespace, saga_id = each.key
    recorded_at = to_microseconds(each.recorded_at)
    return sequence, namespace, saga_id, each.position, each.events, recorded_at, each.body.decode()
