"""What is written inside a transaction: a batch, the correction of an index row, notes of definitions.

Rules
- A batch is tried the quick way, all at once; one transition that lost takes the whole transaction back, which spares
  SQLite what it needs to undo a statement by itself. The guarded way then finds the losers.
- Both want the appends in the order of (namespace, saga id, position) and give one verdict each.
They do not: begin or commit, or go on after a failure.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, TypeAlias

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.instants import to_microseconds
from amends.adapters.sqlite.numbering import StreamNumbers
from amends.ports.event_store import (
    Append,
    DefinitionNote,
    IndexChange,
    KeepIndex,
    RemoveIndex,
    SetIndex,
    StreamKey,
    Transition,
)

Value: TypeAlias = str | int | None
Beginning: TypeAlias = tuple[int, str, str]
Row: TypeAlias = tuple[int | None, int, int, int, str]
"""Without a number there is no such stream."""
GuardedRow: TypeAlias = tuple[str, str, int, int, int, str]
IndexRow: TypeAlias = tuple[str, str, int | None, int]
TEN: Final = 10


def append_all(
    connection: sqlite3.Connection, appends: Sequence[Append], numbers: StreamNumbers
) -> list[bool]:
    """Store every transition.

    Raises:
        sqlite3.IntegrityError: at least one did not stand at a free position behind what is there; the transaction has
            been rolled back, so what `numbers` knows is to be forgotten.
    """
    if len(appends) == 1:
        append_one(connection, appends[0], numbers)
        return [True]
    # Only a first transition can be without a stream; asking for the others would cost a microsecond each.
    if beginnings := [_begun(append, numbers) for append in appends if append.transition.position == 1]:
        _insert(connection, statements.BEGIN_STREAM, statements.BEGIN_TEN_STREAMS, beginnings)
    rows = [_row(append.transition, numbers) for append in appends]
    _insert(connection, statements.APPEND_TRANSITION, statements.APPEND_TEN_TRANSITIONS, rows)
    for key in _change_index(connection, appends):
        numbers.rest(key)
    return [True] * len(appends)


def is_plain(append: Append) -> bool:
    """Tell whether storing it takes one statement: it begins no stream and leaves its index row alone."""
    return append.transition.position > 1 and isinstance(append.index, KeepIndex)


def append_one(connection: sqlite3.Connection, append: Append, numbers: StreamNumbers) -> None:
    """Store one transition; one that is plain may stand outside a transaction, which it is by itself.

    Raises:
        sqlite3.IntegrityError: as `append_all`.
    """
    transition, index = append.transition, append.index
    if transition.position == 1:
        connection.execute(statements.BEGIN_STREAM, _begun(append, numbers))
    connection.execute(statements.APPEND_TRANSITION, _row(transition, numbers))
    if isinstance(index, SetIndex):
        connection.execute(statements.SET_OPEN_INSTANCE, _index_row(transition.key, index))
    elif isinstance(index, RemoveIndex):
        connection.execute(statements.REMOVE_OPEN_INSTANCE, transition.key)
    if _rests(index):
        numbers.rest(transition.key)


def append_guarded(connection: sqlite3.Connection, appends: Sequence[Append]) -> list[bool]:
    """Store, one by one, what still stands at a free position and does not follow a loser in its own stream."""
    losers: set[StreamKey] = set()
    verdicts: list[bool] = []
    for append in appends:
        key = append.transition.key
        if key not in losers and not _append_guarded(connection, _guarded_row(append.transition)):
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


def _append_guarded(connection: sqlite3.Connection, row: GuardedRow) -> bool:
    if row[2] <= 1:
        connection.execute(statements.ADD_STREAM, row[:2])
    elif connection.execute(statements.FIND_STREAM, row[:2]).fetchone() is None:
        # Its stream was never begun, or has been given up meanwhile.
        return False
    return connection.execute(statements.APPEND_TRANSITION_GUARDED, row).rowcount == 1


def _insert(connection: sqlite3.Connection, one: str, ten: str, rows: Sequence[tuple[Value, ...]]) -> None:
    """Insert rows in their order, ten with a statement while there are ten: beginning one is a fifth of a row."""
    whole = len(rows) - len(rows) % TEN
    if whole:
        values: list[Value] = []
        for row in rows[:whole]:
            values += row
        tens = TEN * len(rows[0])
        connection.executemany(ten, (values[first : first + tens] for first in range(0, len(values), tens)))
    if whole < len(rows):
        connection.executemany(one, rows[whole:])


def _begun(append: Append, numbers: StreamNumbers) -> Beginning:
    key = append.transition.key
    return numbers.begin(key), key.namespace, key.saga_id


def _row(transition: Transition, numbers: StreamNumbers) -> Row:
    return (
        numbers.find(transition.key),
        transition.position,
        transition.events,
        to_microseconds(transition.recorded_at),
        transition.body.decode(),
    )


def _guarded_row(transition: Transition) -> GuardedRow:
    namespace, saga_id = transition.key
    return (
        namespace,
        saga_id,
        transition.position,
        transition.events,
        to_microseconds(transition.recorded_at),
        transition.body.decode(),
    )


def _change_index(connection: sqlite3.Connection, appends: Sequence[Append]) -> Sequence[StreamKey]:
    """Write the changes of index rows; return which instances rest from now on."""
    # Of several changes to one row only the last can be seen. Exact types: a `no` of isinstance is dear.
    changes = {
        append.transition.key: append.index for append in appends if type(append.index) is not KeepIndex
    }
    if kept := [_index_row(key, change) for key, change in changes.items() if type(change) is SetIndex]:
        _insert(connection, statements.SET_OPEN_INSTANCE, statements.SET_TEN_OPEN_INSTANCES, kept)
    if ended := [key for key, change in changes.items() if type(change) is RemoveIndex]:
        connection.executemany(statements.REMOVE_OPEN_INSTANCE, ended)
    return [key for key, change in changes.items() if _rests(change)]


def _rests(change: IndexChange) -> bool:
    """Tell whether an instance has ended, or waits with no command out."""
    return type(change) is RemoveIndex or (type(change) is SetIndex and not change.outstanding)


def _index_row(key: StreamKey, change: SetIndex) -> IndexRow:
    wake_at = None if change.wake_at is None else to_microseconds(change.wake_at)
    # A bool would be looked up among types that need to be adapted, which costs as much as the row.
    return key.namespace, key.saga_id, wake_at, int(change.outstanding)
