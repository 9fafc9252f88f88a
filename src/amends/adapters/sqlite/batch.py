"""What is written inside a transaction: a batch, the correction of an index row, notes of definitions.

Rules
- A batch is tried the quick way, all at once, which fails as a whole when one transition lost; the guarded way then
  finds the losers. Both want the appends in the order of (namespace, saga id, position) and give one verdict each.
They do not: begin, commit or roll back.
"""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Final, TypeAlias

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.instants import to_microseconds
from amends.ports.event_store import Append, DefinitionNote, KeepIndex, RemoveIndex, SetIndex, StreamKey

Row: TypeAlias = tuple[str, str, int, int, int, str]
TEN: Final = 10


def append_all(connection: sqlite3.Connection, appends: Sequence[Append]) -> list[bool]:
    """Store every transition.

    Raises:
        sqlite3.IntegrityError: at least one did not stand at a free position behind what is there.
    """
    if len(appends) == 1:
        append_one(connection, appends[0])
        return [True]
    rows = [_row(append) for append in appends]
    # Only a first transition can be without a stream; asking for the others would cost a microsecond each.
    if beginnings := [row[:2] for row in rows if row[2] == 1]:
        _insert(connection, statements.ADD_STREAM, statements.ADD_TEN_STREAMS, beginnings)
    _insert(connection, statements.APPEND_TRANSITION, statements.APPEND_TEN_TRANSITIONS, rows)
    _change_index(connection, appends)
    return [True] * len(appends)


def is_plain(append: Append) -> bool:
    """Tell whether storing it takes one statement: it begins no stream and leaves its index row alone."""
    return append.transition.position > 1 and isinstance(append.index, KeepIndex)


def append_one(connection: sqlite3.Connection, append: Append) -> None:
    """Store one transition; one that is plain may stand outside a transaction, which it is by itself.

    Raises:
        sqlite3.IntegrityError: it did not stand at a free position behind what is there.
    """
    row, index = _row(append), append.index
    if row[2] == 1:
        connection.execute(statements.ADD_STREAM, row[:2])
    connection.execute(statements.APPEND_TRANSITION, row)
    if isinstance(index, SetIndex):
        connection.execute(statements.SET_OPEN_INSTANCE, _index_row(append.transition.key, index))
    elif isinstance(index, RemoveIndex):
        connection.execute(statements.REMOVE_OPEN_INSTANCE, append.transition.key)


def append_guarded(connection: sqlite3.Connection, appends: Sequence[Append]) -> list[bool]:
    """Store, one by one, what still stands at a free position and does not follow a loser in its own stream."""
    losers: set[StreamKey] = set()
    verdicts: list[bool] = []
    for append in appends:
        key = append.transition.key
        if key not in losers and not _append_guarded(connection, _row(append)):
            losers.add(key)
        verdicts.append(key not in losers)
    _change_index(connection, [append for append, won in zip(appends, verdicts, strict=True) if won])
    return verdicts


def correct_index(connection: sqlite3.Connection, key: StreamKey, change: SetIndex) -> None:
    """Replace the index row of an instance that has one."""
    connection.execute(statements.CORRECT_OPEN_INSTANCE, _index_row(key, change))


def note_definitions(connection: sqlite3.Connection, notes: Sequence[DefinitionNote]) -> None:
    """Insert or replace notes of definitions."""
    rows = [(note.name, note.version, note.fingerprint, note.shape.decode()) for note in notes]
    connection.executemany(statements.NOTE_DEFINITION, rows)


def _append_guarded(connection: sqlite3.Connection, row: Row) -> bool:
    if row[2] <= 1:
        connection.execute(statements.ADD_STREAM, row[:2])
    elif connection.execute(statements.FIND_STREAM, row[:2]).fetchone() is None:
        # Its stream was never begun, or has been given up meanwhile.
        return False
    return connection.execute(statements.APPEND_TRANSITION_GUARDED, row).rowcount == 1


def _insert(
    connection: sqlite3.Connection, one: str, ten: str, rows: Sequence[tuple[str | int | None, ...]]
) -> None:
    """Insert rows in their order, ten with a statement while there are ten: beginning one is a fifth of a row."""
    whole = len(rows) - len(rows) % TEN
    if whole:
        tens = (tuple(chain.from_iterable(rows[first : first + TEN])) for first in range(0, whole, TEN))
        connection.executemany(ten, tens)
    if whole < len(rows):
        connection.executemany(one, rows[whole:])


def _row(append: Append) -> Row:
    transition = append.transition
    namespace, saga_id = transition.key
    return (
        namespace,
        saga_id,
        transition.position,
        transition.events,
        to_microseconds(transition.recorded_at),
        transition.body.decode(),
    )


def _change_index(connection: sqlite3.Connection, appends: Sequence[Append]) -> None:
    # Of several changes to one row only the last can be seen.
    changes = {
        append.transition.key: append.index for append in appends if not isinstance(append.index, KeepIndex)
    }
    if kept := [_index_row(key, change) for key, change in changes.items() if isinstance(change, SetIndex)]:
        _insert(connection, statements.SET_OPEN_INSTANCE, statements.SET_TEN_OPEN_INSTANCES, kept)
    if ended := [key for key, change in changes.items() if isinstance(change, RemoveIndex)]:
        connection.executemany(statements.REMOVE_OPEN_INSTANCE, ended)


def _index_row(key: StreamKey, change: SetIndex) -> tuple[str, str, int | None, bool]:
    wake_at = None if change.wake_at is None else to_microseconds(change.wake_at)
    return key.namespace, key.saga_id, wake_at, change.outstanding
