"""The event store in one SQLite file.

Rules
- A batch is one transaction. All of it is tried at once; only when the unique key refuses something is it rolled back
  and redone one by one, so that only the loser loses.
- Statements run on the event loop (7 to 9 µs of CPU a transition in batches); the commit, which waits for the disk,
  runs there as well while the disk is quick, else in a thread (`lane.py`). A cancelled append is finished first.
- Reads have a connection of their own and see only what is committed. A long stream is read in pieces, so that the
  loop is not held up for more than a few milliseconds.
- An append that raised left nothing behind; the next one finds the store as it was.
It does not: look into bodies (they must be UTF-8), check that positions follow one another, or retry.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.batch import append_all, append_guarded, correct_index
from amends.adapters.sqlite.database import Database, open_database
from amends.adapters.sqlite.faults import AsStoreErrors, unavailable
from amends.adapters.sqlite.instants import from_microseconds, to_microseconds
from amends.adapters.sqlite.lane import Lane
from amends.ports.event_store import Append, OpenInstance, SetIndex, StreamKey, Transition

T = TypeVar("T")

INLINE_LIMIT: Final = 0.002
"""Seconds a commit may take on average before it moves to a thread."""
PIECE_ROWS: Final = 500
PIECE_BYTES: Final = 1_048_576


class _Session(NamedTuple):
    """What exists between `open` and `close`."""

    database: Database
    writing: Lane
    reading: Lane


class SqliteEventStore:
    """`EventStore` in the file `path`, held by one process.

    `inline_limit`: seconds that a commit may take on average before commits move to a thread; 0: always in a thread.
    """

    def __init__(self, path: str | Path, *, inline_limit: float = INLINE_LIMIT) -> None:
        self._path = Path(path).resolve()
        self._as_store_errors = AsStoreErrors(self._path)
        self._inline_limit = inline_limit
        self._session: _Session | None = None

    async def open(self) -> None:
        writing = Lane(name="amends-sqlite-write", inline_limit=self._inline_limit)
        reading = Lane(name="amends-sqlite-read", inline_limit=self._inline_limit)
        opened: list[Database] = []
        try:
            await writing.run_aside(lambda: opened.append(open_database(self._path)))
        except BaseException:
            # Cancelled after all was done: nobody would ever close it.
            for database in opened:
                database.release()
            writing.stop()
            raise
        self._session = _Session(opened[0], writing, reading)

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        session = self._opened()
        if not batch:
            return []
        order = _order(batch)
        async with session.writing.turn:
            with self._as_store_errors:
                won = await _write(session, [batch[number] for number in order])
        verdicts = [True] * len(batch)
        for number, verdict in zip(order, won, strict=True):
            verdicts[number] = verdict
        return verdicts

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        session = self._opened()
        async with session.writing.turn:
            with self._as_store_errors:
                await _transact(session, partial(correct_index, key=key, change=change))

    async def read(self, key: StreamKey, *, after: int = 0) -> Sequence[Transition]:
        found: list[Transition] = []
        while True:
            piece, is_last = await self._ask(partial(_read_piece, key=key, after=after))
            found += piece
            if is_last:
                return found
            after = piece[-1].position
            await asyncio.sleep(0)

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        if after is None:
            return await self._ask(partial(_index_rows, sql=statements.OPEN_INSTANCES, values=(limit,)))
        sql = statements.OPEN_INSTANCES_AFTER
        return await self._ask(partial(_index_rows, sql=sql, values=(limit, *after)))

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        values = (to_microseconds(now), limit)
        return await self._ask(partial(_index_rows, sql=statements.DUE_INSTANCES, values=values))

    async def next_wake(self) -> datetime | None:
        return await self._ask(_next_wake)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        async with session.writing.turn, session.reading.turn:
            try:
                # Folds the log back into the file, so it may take a while.
                await session.writing.run_aside(session.database.release)
            finally:
                session.writing.stop()
                session.reading.stop()

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        session = self._opened()
        async with session.reading.turn:
            with self._as_store_errors:
                return await session.reading.run(lambda: question(session.database.reader))

    def _opened(self) -> _Session:
        if self._session is None:
            raise unavailable(self._path, "it is not open")
        return self._session


async def _write(session: _Session, appends: Sequence[Append]) -> list[bool]:
    try:
        return await _transact(session, partial(append_all, appends=appends))
    except sqlite3.IntegrityError:
        return await _transact(session, partial(append_guarded, appends=appends))


async def _transact(session: _Session, write: Callable[[sqlite3.Connection], T]) -> T:
    connection = session.database.writer
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = write(connection)
        await session.writing.run(lambda: connection.execute("COMMIT"))
        return result
    finally:
        # Still true when anything went wrong, a cancellation with a failed commit included.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _order(batch: Sequence[Append]) -> list[int]:
    """Neighbours in the index are written together; among equal positions the first of the batch wins."""
    places = [(append.transition.key, append.transition.position) for append in batch]
    return sorted(range(len(places)), key=places.__getitem__)


def _read_piece(
    connection: sqlite3.Connection, *, key: StreamKey, after: int
) -> tuple[list[Transition], bool]:
    """Read on behind `after`; True when the stream ends there."""
    piece: list[Transition] = []
    size = 0
    cursor = connection.execute(statements.READ_STREAM, (*key, after))
    for position, events, recorded_at, body in cursor:
        piece.append(
            Transition(
                key=key,
                position=position,
                events=events,
                recorded_at=from_microseconds(recorded_at),
                body=body,
            )
        )
        size += len(body)
        if len(piece) >= PIECE_ROWS or size >= PIECE_BYTES:
            # An unfinished cursor would keep later reads at today's state.
            cursor.close()
            return piece, False
    return piece, True


def _index_rows(
    connection: sqlite3.Connection, *, sql: str, values: tuple[str | int, ...]
) -> list[OpenInstance]:
    return [
        OpenInstance(
            key=StreamKey(namespace, saga_id),
            wake_at=None if wake_at is None else from_microseconds(wake_at),
            outstanding=bool(outstanding),
        )
        for namespace, saga_id, wake_at, outstanding in connection.execute(sql, values)
    ]


def _next_wake(connection: sqlite3.Connection) -> datetime | None:
    row = connection.execute(statements.NEXT_WAKE).fetchone()
    return None if row is None else from_microseconds(row[0])
