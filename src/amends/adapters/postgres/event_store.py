"""The event store in a schema of a PostgreSQL database, which several processes may share.

Rules
- One session writes transitions (`held_session.py`), one renews the lease and listens (`membership.py`), one writes to
  the inbox; a few others read and see only what is committed.
- One write at a time. A write that is cancelled costs its session: whether it was committed is looked up before the
  next.
- Several processes' sequences may be committed in any order; the log is read so that none is missed (`log_order.py`).
- A long stream is read in pieces, so that the loop is not held up for more than a few milliseconds.
- Away is away: a lost connection is opened again at the next call, which raises `StoreUnavailable` until that works.
It does not: look into bodies (they must be JSON), check that positions follow one another, or wait for the server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from amends.adapters.postgres import reading, retention
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.channel import Caller
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import unavailable
from amends.adapters.postgres.inbox import PostgresInbox
from amends.adapters.postgres.late_rows import a_page, earlier, earliest
from amends.adapters.postgres.log_order import LogOrder
from amends.adapters.postgres.looks import Looks
from amends.adapters.postgres.membership import Heard, PostgresMembership
from amends.adapters.postgres.readers import Readers
from amends.adapters.postgres.relay import PostgresRelayCheckpoint
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
from amends.ports.retention import FinishedPage, StoredStream, StreamEnd
from amends.ports.shared_store import Inbox, Membership, News

T = TypeVar("T")


class _Opened(NamedTuple):
    """What exists between `open` and `close`."""

    writer: StoreWriter
    readers: Readers
    others: Readers
    membership: PostgresMembership
    inbox: PostgresInbox
    caller: Caller
    order: LogOrder
    looks: Looks
    turn: asyncio.Lock


class PostgresEventStore:
    """`EventStore`, `RetainedStore` and `SharedStore` in the schema that `address` names.

    `connections`: how many may be open at most, at least 4: for transitions, for the lease, for the inbox, and those
    that read. `connect_timeout`: for each of them. `lease`: how long this process may be silent before others take its
    work over.
    """

    commits_elsewhere = True

    def __init__(
        self,
        address: Address,
        *,
        connections: int = 5,
        connect_timeout: timedelta = timedelta(seconds=5),
        lease: timedelta = timedelta(seconds=5),
    ) -> None:
        self._address = address
        self._connections = max(connections, 4)
        self._connect_within = connect_timeout.total_seconds()
        self._lease = lease
        self._opened: _Opened | None = None
        self._is_alone = False
        self._heard: Heard | None = None

    def membership(self) -> Membership:
        return self._must_be_open().membership

    def inbox(self) -> Inbox:
        return self._must_be_open().inbox

    def listen(self, heard: Heard) -> None:
        self._heard = heard

    async def open(self) -> None:
        await self._open(is_alone=False)

    async def open_alone(self) -> None:
        await self._open(is_alone=True)

    async def _open(self, *, is_alone: bool) -> None:
        within = self._connect_within
        writer = StoreWriter(self._address, connect_within=within, lease=self._lease, is_alone=is_alone)
        await writer.open()
        self._is_alone = is_alone
        self._opened = self._around(writer)
        self._opened.looks.start()

    def _around(self, writer: StoreWriter) -> _Opened:
        within = self._connect_within
        readers = Readers(self._address, most=self._connections - 3, connect_within=within)
        others = Readers(self._address, most=1, connect_within=within, is_reader=False)
        caller = Caller(self._address, others)
        membership = PostgresMembership(
            self._address,
            lease=self._lease,
            connect_within=within,
            writer=writer,
            write=self._write,
            caller=caller,
            ask=self._ask,
            heard=self._hear,
        )
        inbox = PostgresInbox(others, readers, caller=caller, token=lambda: writer.token)
        looks = Looks(writer.late, lambda: self._write(lambda writer: writer.write_late_rows()))
        return _Opened(writer, readers, others, membership, inbox, caller, LogOrder(), looks, asyncio.Lock())

    def prepared(self, batch: Sequence[Append]) -> Sequence[Append]:
        return batch if self._opened is None else self._opened.writer.prepared(batch)

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        # What is asked for now is written with the token of now, whatever it waits for.
        token = self._must_be_open().writer.token
        if not batch:
            return []
        verdicts = await self._write(lambda writer: writer.append(batch, token))
        if [append for append in batch if append.handled is not None]:
            self._must_be_open().caller.answers()
        return verdicts

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        token = self._must_be_open().writer.token
        await self._write(lambda writer: writer.reindex(key, change, token))

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        found: list[Transition] = []
        while True:
            rest = None if limit is None else limit - len(found)
            piece, is_last = await self._ask(partial(reading.read_piece, key=key, after=after, limit=rest))
            found += piece
            if is_last:
                return found
            after = piece[-1].position

    async def beginnings(self, keys: Sequence[StreamKey]) -> Sequence[Transition]:
        return await self._ask(partial(reading.beginnings, keys=keys))

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        return await self._ask(partial(self._must_be_open().order.piece, after=after, limit=limit))

    async def log_end(self) -> int:
        return await self._ask(reading.log_end)

    async def settled_end(self) -> int:
        return await self._ask(self._must_be_open().order.settled_end)

    async def definitions(self) -> Sequence[DefinitionNote]:
        return await self._ask(reading.definitions)

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        await self._write(lambda writer: writer.note_definitions(notes))

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        late = self._must_be_open().writer.late.open()
        stored = await self._ask(partial(reading.open_instances, after=after, limit=limit))
        return a_page(late, stored, after=after, limit=limit)

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        late = self._must_be_open().writer.late.due(now)
        return earliest(late, await self._ask(partial(reading.due, now=now, limit=limit)), limit=limit)

    async def next_wake(self) -> datetime | None:
        late = self._must_be_open().writer.late.next_wake()
        return earlier(late, await self._ask(reading.next_wake))

    async def write_all_late_rows(self) -> None:
        """Write the index rows that are not written yet, which happens by itself within two seconds."""
        await self._write(lambda writer: writer.write_all_late_rows())

    async def finished(self, *, before: datetime, after: int = 0, limit: int = 1000) -> FinishedPage:
        who = self._who()
        return await self._ask(partial(retention.finished, who=who, before=before, after=after, limit=limit))

    async def streams(self, keys: Sequence[StreamKey]) -> Sequence[StoredStream]:
        return await self._ask(partial(retention.stored_streams, keys=keys))

    async def delete_streams(self, ends: Sequence[StreamEnd]) -> Sequence[bool]:
        who = self._who()
        return await self._write(lambda writer: writer.delete_streams(ends, who))

    async def restore_streams(self, streams: Sequence[StoredStream]) -> Sequence[bool]:
        token = self._must_be_open().writer.token
        return await self._write(lambda writer: writer.restore_streams(streams, token))

    def relay_checkpoint(self, topic: str) -> PostgresRelayCheckpoint:
        return PostgresRelayCheckpoint(
            self._address, topic, connect_within=self._connect_within, ask=self._ask
        )

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        await opened.looks.stop()
        await opened.membership.close()
        async with opened.turn:
            await opened.writer.close()
        await opened.caller.stop()
        await opened.others.close()
        await opened.readers.close()

    def _hear(self, news: News, shards: frozenset[int] | None) -> None:
        if self._heard is not None:
            self._heard(news, shards)

    def _who(self) -> retention.Who:
        return retention.Who(self._must_be_open().writer.token, self._is_alone)

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
