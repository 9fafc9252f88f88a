"""A store that is only read, whoever runs on it: nothing is locked, written, migrated or created.

Rules
- Each answer shows what was committed when it was asked for, also while another process writes; a standby will do.
- The schema must be this version's: an older one is migrated when the store is opened to run, not here.
It does not: wait for a server that is away.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from amends.adapters.postgres import reading
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import corrupt, unavailable
from amends.adapters.postgres.log_order import LogOrder
from amends.adapters.postgres.migrations import check_complete
from amends.adapters.postgres.readers import Readers
from amends.adapters.postgres.session import facts_of
from amends.ports.event_store import DefinitionNote, Logged, OpenInstance, StreamKey, Transition

T = TypeVar("T")

CONNECTIONS = 2


class PostgresStoreReader:
    """`StoreReader` of the schema that `address` names."""

    def __init__(self, address: Address, *, connect_timeout: timedelta = timedelta(seconds=5)) -> None:
        self._address = address
        self._connect_within = connect_timeout.total_seconds()
        self._readers: Readers | None = None
        self._order = LogOrder()

    async def open(self) -> None:
        readers = Readers(self._address, most=CONNECTIONS, connect_within=self._connect_within)
        try:
            await readers.ask(partial(_check_is_store, address=self._address))
        except BaseException:
            await readers.close()
            raise
        self._readers = readers

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
        return await self._ask(partial(self._order.piece, after=after, limit=limit))

    async def log_end(self) -> int:
        return await self._ask(reading.log_end)

    async def definitions(self) -> Sequence[DefinitionNote]:
        return await self._ask(reading.definitions)

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        return await self._ask(partial(reading.open_instances, after=after, limit=limit))

    async def close(self) -> None:
        readers, self._readers = self._readers, None
        if readers is not None:
            await readers.close()

    async def _ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        if self._readers is None:
            raise unavailable(self._address, "it is not open")
        return await self._readers.ask(question)


async def _check_is_store(link: Link, *, address: Address) -> None:
    facts = await facts_of(link, address)
    if not facts.is_built:
        raise corrupt(address, "there is no store in it")
    await check_complete(link, address)
