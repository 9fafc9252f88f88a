"""Parked records in the tables of the store on PostgreSQL.

Rules: a session of its own, opened again when it was lost: then the call raises `StoreUnavailable`, and the next one
tries anew. A batch is one statement, so one transaction; one that the server refuses is halved until it is known which
record it cannot keep. The tables are made by the store's migrations, so the store is opened first. Any number of
processes share them: a record is put once, and settled once.
It does not: delete records, or migrate.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import DRIVER_ERRORS, Link
from amends.adapters.postgres.faults import AsStoreErrors, is_lost, unavailable
from amends.adapters.postgres.session import connect
from amends.ports.intake import Record
from amends.ports.parked import Kept, Parked, ParkedState

T = TypeVar("T")

BROKEN: tuple[type[BaseException], ...] = (*DRIVER_ERRORS, asyncio.CancelledError)
WITHIN = 5.0
"""Seconds that opening a session may take."""

_HEADERS = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])


class PostgresParkedStore:
    """`ParkedStore` at `address`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._turn = asyncio.Lock()
        self._link: Link | None = None
        self._is_open = False

    async def open(self) -> None:
        self._is_open = True
        await self.counts()

    async def put(self, batch: Sequence[Parked]) -> Sequence[Kept]:
        if not batch:
            return []
        try:
            return await self._put(batch)
        except ValueError as error:
            if len(batch) == 1:
                return [error]
        # The server does not say which one it was.
        middle = len(batch) // 2
        return [*await self.put(batch[:middle]), *await self.put(batch[middle:])]

    async def _put(self, batch: Sequence[Parked]) -> list[Kept]:
        # Two processes that put the same records meet in one order, and wait for one another instead of for ever.
        columns = [list(column) for column in zip(*map(_row, sorted(batch, key=_place)), strict=True)]
        rows = await self._ask(lambda link: link.fetch(statements.PARKED_PUT, *columns))
        new = {row["id"] for row in rows}
        told: list[Kept] = []
        for each in batch:
            told.append(each.id in new)
            new.discard(each.id)
        return told

    async def settle(
        self, parked_id: str, state: ParkedState, *, by: str, note: str, at: datetime, code: str = ""
    ) -> bool:
        values = (parked_id, state, by, note, at, code)
        return await self._ask(lambda link: link.fetchval(statements.PARKED_SETTLE, *values)) is not None

    async def get(self, parked_id: str) -> Parked | None:
        row = await self._ask(lambda link: link.fetchrow(statements.PARKED_GET, parked_id))
        return None if row is None else _parked(row)

    async def find(
        self,
        *,
        states: Sequence[ParkedState] = (),
        namespace: str = "",
        saga_id: str = "",
        topic: str = "",
        code: str = "",
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[Parked]:
        values = (after, list(states), namespace, saga_id, topic, code, limit)
        rows = await self._ask(lambda link: link.fetch(statements.PARKED_FIND, *values))
        return [_parked(row) for row in rows]

    async def counts(self) -> Mapping[ParkedState, int]:
        rows = await self._ask(lambda link: link.fetch(statements.PARKED_COUNTS))
        return {row["state"]: row["records"] for row in rows}

    async def close(self) -> None:
        self._is_open = False
        async with self._turn:
            link, self._link = self._link, None
            if link is not None:
                link.terminate()

    async def _ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        if not self._is_open:
            raise unavailable(self._address, "it is not open")
        async with self._turn:
            with AsStoreErrors(self._address):
                if self._link is None or self._link.is_closed():
                    self._link = await connect(self._address, within=WITHIN)
                try:
                    return await question(self._link)
                except BROKEN as fault:
                    if isinstance(fault, asyncio.CancelledError) or is_lost(fault):
                        # Nobody knows how it stands; the next call has a new one.
                        link, self._link = self._link, None
                        link.terminate()
                    raise


def _place(parked: Parked) -> tuple[str, int, int, str]:
    return parked.record.topic, parked.record.partition, parked.record.offset, parked.id


def _row(parked: Parked) -> tuple[object, ...]:
    record = parked.record
    return (
        *(parked.id, record.topic, record.partition, record.offset, record.timestamp_ms, record.key),
        *(record.value, msgspec.msgpack.encode(record.headers), parked.namespace, parked.saga_id),
        *(parked.code, parked.reason, parked.state, parked.parked_at, parked.until),
    )


def _parked(row: Any) -> Parked:
    return Parked(
        id=row["id"],
        number=row["number"],
        record=Record(
            topic=row["topic"],
            partition=row["partition"],
            offset=row["offset"],
            timestamp_ms=row["timestamp_ms"],
            key=row["key"],
            value=row["value"],
            headers=_HEADERS.decode(row["headers"]),
        ),
        namespace=row["namespace"],
        saga_id=row["saga_id"],
        code=row["code"],
        reason=row["reason"],
        state=row["state"],
        parked_at=row["parked_at"].astimezone(UTC),
        until=_utc(row["until"]),
        settled_at=_utc(row["settled_at"]),
        by=row["by"],
        note=row["note"],
    )


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC)
