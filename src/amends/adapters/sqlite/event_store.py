"""The event store in one SQLite file.

Rules
- A batch is one transaction. All of it is tried at once; only when the unique key refuses something is it rolled back
  and redone one by one, so that only the loser loses.
- Statements run on the event loop (5 to 7 µs of CPU a transition in batches); the commit, which waits for the disk,
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

from amends.adapters.sqlite import reading, retention
from amends.adapters.sqlite.batch import (
    append_all,
    append_guarded,
    append_one,
    correct_index,
    is_plain,
    note_definitions,
)
from amends.adapters.sqlite.database import Database, open_database
from amends.adapters.sqlite.faults import AsStoreErrors, unavailable
from amends.adapters.sqlite.instants import to_microseconds
from amends.adapters.sqlite.lane import Lane
from amends.adapters.sqlite.numbering import StreamNumbers
from amends.adapters.sqlite.relay import SqliteRelayCheckpoint
from amends.adapters.sqlite.tail import LogTail
from amends.adapters.sqlite.transaction import transact, transact_here
from amends.ports.event_store import (
    Append,
    DefinitionNote,
    Logged,
    OpenInstance,
    SetIndex,
    StreamKey,
    Transition,
)
from amends.ports.retention import FinishedPage, StoredStream, StreamEnd

T = TypeVar("T")

INLINE_LIMIT: Final = 0.002
"""Seconds a commit may take on average before it moves to a thread."""


class _Session(NamedTuple):
    """What exists between `open` and `close`."""

    database: Database
    writing: Lane
    reading: Lane
    numbers: StreamNumbers
    """Touched by whoever has the turn to write."""


class SqliteEventStore:
    """`EventStore` in the file `path`, held by one process.

    `inline_limit`: seconds that a commit may take on average before commits move to a thread; 0: always in a thread.
    """

    commits_elsewhere = False

    def __init__(self, path: str | Path, *, inline_limit: float = INLINE_LIMIT) -> None:
        self._path = Path(path).resolve()
        self._as_store_errors = AsStoreErrors(self._path)
        self._inline_limit = inline_limit
        self._session: _Session | None = None
        self._tail: LogTail | None = None
        """None until somebody reads the log."""

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
        self._session = _Session(opened[0], writing, reading, StreamNumbers(opened[0].writer))

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        session = self._opened()
        if not batch:
            return []
        if len(batch) == 1:
            return await self._written(session, batch)
        order = _order(batch)
        won = await self._written(session, [batch[number] for number in order])
        if all(won):
            return won
        verdicts = [True] * len(batch)
        for number, verdict in zip(order, won, strict=True):
            verdicts[number] = verdict
        return verdicts

    async def _written(self, session: _Session, appends: Sequence[Append]) -> list[bool]:
        lane = session.writing
        try:
            with self._as_store_errors:
                if lane.is_free:
                    return self._noted(session, appends, _write_here(session, appends))
                async with lane.turn:
                    return self._noted(session, appends, await _write(session, appends))
        except BaseException:
            # A cancelled append may be durable all the same.
            self._forget()
            raise

    def _noted(self, session: _Session, appends: Sequence[Append], won: list[bool]) -> list[bool]:
        """Let the tail follow what was committed, if somebody reads the log."""
        if (tail := self._tail) is not None:
            stored = [each.transition for each, verdict in zip(appends, won, strict=True) if verdict]
            try:
                tail.add(stored, reading.log_end(session.database.writer))
            except sqlite3.Error:
                tail.forget()
        return won

    def _forget(self) -> None:
        """Know nothing any more of what is stored."""
        if self._tail is not None:
            self._tail.forget()
        if self._session is not None:
            self._session.numbers.forget()

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        await self._change(partial(correct_index, key=key, change=change))

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        found: list[Transition] = []
        while True:
            rest = None if limit is None else limit - len(found)
            piece, is_last = await self._ask(partial(reading.read_piece, key=key, after=after, limit=rest))
            found += piece
            if is_last:
                return found
            after = piece[-1].position
            await asyncio.sleep(0)

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        if self._tail is None:
            self._tail = LogTail()
        elif (known := self._tail.behind(after, limit)) is not None:
            self._opened()
            return known
        return await self._ask(partial(reading.log_piece, after=after, limit=limit))

    async def log_end(self) -> int:
        return await self._ask(reading.log_end)

    async def settled_end(self) -> int:
        return await self.log_end()

    async def definitions(self) -> Sequence[DefinitionNote]:
        return await self._ask(reading.definitions)

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        await self._change(partial(note_definitions, notes=notes))

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        return await self._ask(partial(reading.open_instances, after=after, limit=limit))

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        return await self._ask(partial(reading.due, microseconds=to_microseconds(now), limit=limit))

    async def next_wake(self) -> datetime | None:
        return await self._ask(reading.next_wake)

    async def finished(self, *, before: datetime, after: int = 0, limit: int = 1000) -> FinishedPage:
        microseconds = to_microseconds(before)
        return await self._ask(
            partial(retention.finished, microseconds=microseconds, after=after, limit=limit)
        )

    async def streams(self, keys: Sequence[StreamKey]) -> Sequence[StoredStream]:
        return await self._ask(partial(retention.stored_streams, keys=keys))

    async def delete_streams(self, ends: Sequence[StreamEnd]) -> Sequence[bool]:
        return await self._change_log(partial(retention.delete_streams, ends=ends))

    async def restore_streams(self, streams: Sequence[StoredStream]) -> Sequence[bool]:
        return await self._change_log(partial(retention.restore_streams, streams=streams))

    def relay_checkpoint(self, topic: str) -> SqliteRelayCheckpoint:
        return SqliteRelayCheckpoint(topic, ask=self._ask, change=self._change)

    async def close(self) -> None:
        session, self._session = self._session, None
        self._tail = None
        if session is None:
            return
        async with session.writing.turn, session.reading.turn:
            try:
                # Folds the log back into the file, so it may take a while.
                await session.writing.run_aside(session.database.release)
            finally:
                session.writing.stop()
                session.reading.stop()

    async def _change(self, change: Callable[[sqlite3.Connection], T]) -> T:
        session = self._opened()
        async with session.writing.turn:
            with self._as_store_errors:
                return await _transact(session, change)

    async def _change_log(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Change what the log has otherwise than by appending."""
        try:
            return await self._change(change)
        finally:
            self._forget()

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
    numbers = session.numbers
    try:
        if len(appends) == 1 and is_plain(appends[0]):
            await session.writing.run(partial(append_one, session.database.writer, appends[0], numbers))
            return [True]
        return await _transact(session, partial(append_all, appends=appends, numbers=numbers))
    except sqlite3.IntegrityError:
        numbers.forget()
        return await _transact(session, partial(append_guarded, appends=appends))


def _write_here(session: _Session, appends: Sequence[Append]) -> list[bool]:
    """As `_write`, at once: the lane is free. The ordinary case, where each task more would be felt."""
    lane, connection, numbers = session.writing, session.database.writer, session.numbers
    try:
        if len(appends) == 1 and is_plain(appends[0]):
            lane.run_here(partial(append_one, connection, appends[0], numbers))
            return [True]
        return transact_here(lane, connection, partial(append_all, appends=appends, numbers=numbers))
    except sqlite3.IntegrityError:
        numbers.forget()
        return transact_here(lane, connection, partial(append_guarded, appends=appends))


async def _transact(session: _Session, write: Callable[[sqlite3.Connection], T]) -> T:
    return await transact(session.writing, session.database.writer, write)


def _order(batch: Sequence[Append]) -> list[int]:
    """Neighbours in the index are written together; among equal positions the first of the batch wins."""
    places = [(append.transition.key, append.transition.position) for append in batch]
    return sorted(range(len(places)), key=places.__getitem__)
