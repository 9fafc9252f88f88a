"""The index rows that concern this process: those of its shards.

Rules: a store that is one process's own is asked for everything. It does not: read streams.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from amends.application.shards import Shards
from amends.ports import EventStore, OpenInstance, SetIndex, SharedStore, StreamKey


class OwnIndex(Protocol):
    """What recovery and timers ask."""

    async def outstanding(
        self, shards: Collection[int] | None, after: StreamKey | None
    ) -> Sequence[OpenInstance]:
        """Return a page of rows in key order behind `after`, with all that are outstanding among them; of these shards,
        or of all that are held.
        """
        ...

    async def due(self, now: datetime, *, limit: int) -> Sequence[OpenInstance]:
        """Return rows whose time has come, the earliest first."""
        ...

    async def next_wake(self) -> datetime | None:
        """Return the earliest time at which one must be looked at."""
        ...

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        """Correct a row that was too early."""
        ...


class WholeIndex:
    """`OwnIndex` where the store is this process's own."""

    def __init__(self, store: EventStore) -> None:
        """Ask `store`."""
        self._store = store

    async def outstanding(
        self, shards: Collection[int] | None, after: StreamKey | None
    ) -> Sequence[OpenInstance]:
        """Return a page of all rows."""
        return await self._store.open_instances(after=after)

    async def due(self, now: datetime, *, limit: int) -> Sequence[OpenInstance]:
        """Ask for all."""
        return await self._store.due(now, limit=limit)

    async def next_wake(self) -> datetime | None:
        """Ask for all."""
        return await self._store.next_wake()

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        """Correct a row."""
        await self._store.reindex(key, change)


class SharedIndex:
    """`OwnIndex` of the shards that are held."""

    def __init__(self, store: EventStore, shared: SharedStore, shards: Shards) -> None:
        """Ask `store`, which is `shared` as well."""
        self._store = store
        self._shared = shared
        self._shards = shards

    async def outstanding(
        self, shards: Collection[int] | None, after: StreamKey | None
    ) -> Sequence[OpenInstance]:
        """Return a page of those that are outstanding."""
        wanted = self._shards.held if shards is None else shards
        return await self._shared.membership().outstanding(wanted, after=after)

    async def due(self, now: datetime, *, limit: int) -> Sequence[OpenInstance]:
        """Ask for what is held."""
        held = self._shards.held
        return await self._shared.membership().due(held, now, limit=limit) if held else ()

    async def next_wake(self) -> datetime | None:
        """Ask for what is held."""
        held = self._shards.held
        return await self._shared.membership().next_wake(held) if held else None

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        """Correct a row."""
        await self._store.reindex(key, change)
