"""A member of a store: its lease, its shards, what it hears of others.

Rules
- Times are the server's. One session of its own renews the lease and listens, so neither waits behind a long append.
- A member whose writing session is gone, as its server says, and that has not renewed for half its lease, counts as one
  whose lease is over; at the first look after opening, one whose session is gone does whatever it renewed.
- A session that is lost is replaced, and the question asked once more: each of them may be.
It does not: decide who gets which shard, or write transitions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.channel import Caller, channel_of, read_call
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import AsStoreErrors, fenced, is_lost, unavailable
from amends.adapters.postgres.late_rows import a_page, earlier, earliest
from amends.adapters.postgres.readers import closed
from amends.adapters.postgres.reading import index_rows
from amends.adapters.postgres.session import connect
from amends.adapters.postgres.writer import StoreWriter
from amends.ports.event_store import OpenInstance, StreamKey
from amends.ports.shared_store import News, Standing

T = TypeVar("T")
Heard: TypeAlias = Callable[[News, frozenset[int] | None], None]
Write: TypeAlias = Callable[[Callable[[StoreWriter], Awaitable[Any]]], Awaitable[Any]]

EVER: Final = timedelta(days=365)


class PostgresMembership:
    """`Membership` of one process."""

    def __init__(
        self,
        address: Address,
        *,
        lease: timedelta,
        connect_within: float,
        writer: StoreWriter,
        write: Write,
        caller: Caller,
        ask: Callable[[Callable[[Link], Awaitable[Any]]], Awaitable[Any]],
        heard: Heard,
    ) -> None:
        self._address = address
        self._lease = lease
        self._connect_within = connect_within
        self._writer = writer
        self._write = write
        self._caller = caller
        self._read = ask
        self._heard = heard
        self._as_store_errors = AsStoreErrors(address)
        self._turn = asyncio.Lock()
        self._link: Link | None = None
        self._is_open = True
        self._is_first_look = True

    @property
    def lease(self) -> timedelta:
        return self._lease

    async def join(self) -> None:
        await self._write(lambda writer: writer.join())

    async def renew(self) -> Standing:
        standing: Standing | None = await self._ask(self._renewed)
        if standing is None:
            raise fenced(self._address)
        return standing

    async def claim(self, most: int) -> frozenset[int]:
        token = self._writer.token
        claimed: frozenset[int] = await self._write(lambda writer: writer.claim(most, token))
        return claimed

    async def release(self, shards: Collection[int]) -> None:
        token = self._writer.token
        await self._write(lambda writer: writer.write_all_late_rows())
        await self._ask(lambda link: link.fetch(statements.RELEASE, token, [*shards]))
        self._caller.leases()

    async def outstanding(
        self, shards: Collection[int], *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        late = self._writer.late.outstanding(frozenset(shards))
        rows = await self._read(partial(_outstanding, shards=[*shards], after=after, limit=limit))
        return a_page(late, index_rows(rows), after=after, limit=limit)

    async def due(
        self, shards: Collection[int], now: datetime, *, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        late = self._writer.late.due(now, frozenset(shards))
        of = [*shards]
        rows = await self._read(lambda link: link.fetch(statements.DUE_IN_SHARDS, of, now, limit))
        return earliest(late, index_rows(rows), limit=limit)

    async def next_wake(self, shards: Collection[int]) -> datetime | None:
        late = self._writer.late.next_wake(frozenset(shards))
        of = [*shards]
        stored = await self._read(lambda link: link.fetchval(statements.NEXT_WAKE_IN_SHARDS, of))
        return earlier(late, stored)

    async def close(self) -> None:
        """End the session; the member leaves with its writer."""
        self._is_open = False
        async with self._turn:
            link, self._link = self._link, None
            if link is not None:
                await closed(link)

    async def _renewed(self, link: Link) -> Standing | None:
        token, schema = self._writer.token, self._writer.schema
        if await link.fetchval(statements.RENEW, token, self._lease) is None:
            return None
        nearly = EVER if self._is_first_look else self._lease / 2
        if schema:
            await link.fetchval(statements.FENCE, token, schema, nearly)
            self._is_first_look = False
        row = await link.fetchrow(statements.STANDING, token)
        return Standing(row["members"], frozenset(row["held"]), row["free"], row["look_again"])

    async def _ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        async with self._turn:
            with self._as_store_errors:
                try:
                    return await self._once(question)
                except Exception as fault:
                    if not is_lost(fault):
                        raise
                return await self._once(question)

    async def _once(self, question: Callable[[Link], Awaitable[T]]) -> T:
        link = await self._linked()
        try:
            return await question(link)
        except BaseException as fault:
            if not isinstance(fault, Exception) or is_lost(fault):
                link.terminate()
            raise

    async def _linked(self) -> Link:
        if not self._is_open:
            raise unavailable(self._address, "it is not open")
        if self._link is None or self._link.is_closed():
            link = await connect(self._address, within=self._connect_within)
            try:
                await link.add_listener(channel_of(self._address), self._called)
            except BaseException:
                link.terminate()
                raise
            self._link = link
        return self._link

    def _called(self, _link: object, _process: int, _channel: str, payload: str) -> None:
        call = read_call(payload)
        if call is not None:
            self._heard(*call)


async def _outstanding(
    link: Link, *, shards: list[int], after: StreamKey | None, limit: int
) -> Sequence[Any]:
    if after is None:
        return await link.fetch(statements.OUTSTANDING, shards, limit)
    return await link.fetch(statements.OUTSTANDING_AFTER, shards, limit, *after)
