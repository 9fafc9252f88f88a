"""The event store in a schema of a PostgreSQL database.

Rules
- One session writes and has the hold (`held_session.py`); a few others read and see only what is committed.
- One write at a time: so sequences are committed in the order in which they were given out. A write that is cancelled
  costs its session: whether it was committed is looked up before the next.
- A long stream is read in pieces, so that the loop is not held up for more than a few milliseconds.
- Away is away: a lost connection is opened again at the next call, which raises `StoreUnavailable` until that works.
It does not: look into bodies (they must be JSON), check that positions follow one another, or wait for the server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from amends.adapters.postgres import reading
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import unavailable
from amends.adapters.postgres.readers import Readers
from amends.adapters.postgres.writer import StoreWriter
from amends.ports.event_store import (
    Append,
    DefinitionNote,
    Logged,
    OpenInstance,
    SetIndex,
    StreamKey,
    Transition,
)

T = TypeVar("T")


class _Opened(NamedTuple):
    """What exists between `open` and `close`."""

    writer: StoreWriter
    readers: Readers
    turn: asyncio.Lock


class PostgresEventStore:
    """`EventStore` in the schema that `address` names, held by one process.

    `connections`: how many may be open at most, at least 2: one of them writes. `connect_timeout`: for each of them.
    """

    commits_elsewhere = True

    def __init__(
        self, address: Address, *, connections: int = 5, connect_timeout: timedelta = timedelta(seconds=5)
    ) -> None:
        self._address = address
        self._connections = max(connections, 2)
        self._connect_within = connect_timeout.total_seconds()
        self._opened: _Opened | None = None

    async def open(self) -> None:
        writer = StoreWriter(self._address, connect_within=self._connect_within)
        await writer.open()
        readers = Readers(self._address, most=self._connections - 1, connect_within=self._connect_within)
        self._opened = _Opened(writer, readers, asyncio.Lock())

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        if not batch:
            self._must_be_open()
            return []
        return await self._write(lambda writer: writer.append(batch))

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        await self._write(lambda writer: writer.reindex(key, change))

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        found: list[Transition] = []
        while True:
            rest = None if limit is None else limit - len(found)
            piece, is_last = await self._ask(partial(reading.read_piece, key=key, after=after, limit=rest))
            found += piece
            if is_last:
                return found
            after = piece[-1].position

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        return await self._ask(partial(reading.log_piece, after=after, limit=limit))

    async def log_end(self) -> int:
        return await self._ask(reading.log_end)

    async def definitions(self) -> Sequence[DefinitionNote]:
        return await self._ask(reading.definitions)

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        await self._write(lambda writer: writer.note_definitions(notes))

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        return await self._ask(partial(reading.open_instances, after=after, limit=limit))

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        return await self._ask(partial(reading.due, now=now, limit=limit))

    async def next_wake(self) -> datetime | None:
        return await self._ask(reading.next_wake)

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        async with opened.turn:
            await opened.writer.close()
        await opened.readers.close()

    async def _write(self, write: Callable[[StoreWriter], Awaitable[T]]) -> T:
        opened = self._must_be_open()
        async with opened.turn:
            return await write(opened.writer)

    async def _ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        return await self._must_be_open().readers.ask(question)

    def _must_be_open(self) -> _Opened:
        if self._opened is None:
            raise unavailable(self._address, "it is not open")
        return self._opened
