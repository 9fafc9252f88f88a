"""Wrappers around event stores: what goes wrong, or is held up, between the engine and a real store.

Rules: the wrapped store does the work; a wrapper only delays, refuses, counts. It does not: know the engine.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from amends.adapters.postgres import PostgresEventStore
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.writer import StoreWriter
from amends.application.writer import Verdict
from amends.ports import (
    Append,
    DefinitionNote,
    EventStore,
    Logged,
    OpenInstance,
    SetIndex,
    StreamKey,
    Transition,
)

T = TypeVar("T")


class Waiting(NamedTuple):
    """What the writer is handed by those who are no engine."""

    append: Append
    told: Callable[[Verdict], None]

    def settled(self, verdict: Verdict) -> None:
        self.told(verdict)


class Wrapped:
    """An `EventStore` that passes everything on and counts it."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.calls: Counter[str] = Counter()
        self.batches: list[int] = []

    @property
    def commits_elsewhere(self) -> bool:
        return self.store.commits_elsewhere

    async def open(self) -> None:
        await self.store.open()

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        self.calls["append"] += 1
        self.batches.append(len(batch))
        return await self.store.append(batch)

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        self.calls["reindex"] += 1
        await self.store.reindex(key, change)

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        self.calls["read"] += 1
        return await self.store.read(key, after=after, limit=limit)

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        self.calls["log"] += 1
        return await self.store.log(after=after, limit=limit)

    async def log_end(self) -> int:
        return await self.store.log_end()

    async def settled_end(self) -> int:
        return await self.store.settled_end()

    async def definitions(self) -> Sequence[DefinitionNote]:
        return await self.store.definitions()

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        await self.store.note_definitions(notes)

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        self.calls["open_instances"] += 1
        return await self.store.open_instances(after=after, limit=limit)

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        self.calls["due"] += 1
        return await self.store.due(now, limit=limit)

    async def next_wake(self) -> datetime | None:
        return await self.store.next_wake()

    async def close(self) -> None:
        await self.store.close()


class Remote(PostgresEventStore):
    """A store whose answers take real time: `asked` says how many are being waited for, in all such stores."""

    asked = 0

    async def _write(self, write: Callable[[StoreWriter], Awaitable[T]]) -> T:
        Remote.asked += 1
        try:
            return await super()._write(write)
        finally:
            Remote.asked -= 1

    async def _ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        Remote.asked += 1
        try:
            return await super()._ask(question)
        finally:
            Remote.asked -= 1


class Held(Wrapped):
    """Holds every append until `gate` is open, which with `one_by_one` closes behind each."""

    def __init__(self, store: EventStore, *, one_by_one: bool = False) -> None:
        super().__init__(store)
        self.gate = asyncio.Event()
        self.held = asyncio.Event()
        self.one_by_one = one_by_one

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        self.held.set()
        await self.gate.wait()
        if self.one_by_one:
            self.gate.clear()
        return await super().append(batch)


class Losing(Wrapped):
    """Says once of each named instance that its lock was lost, and stores nothing of it then."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store)
        self.to_lose: set[str] = set()

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        lost = [append.transition.key.saga_id in self.to_lose for append in batch]
        self.to_lose -= {append.transition.key.saga_id for append in batch}
        kept = [append for append, is_lost in zip(batch, lost, strict=True) if not is_lost]
        verdicts = iter(await super().append(kept))
        return [False if is_lost else next(verdicts) for is_lost in lost]


class Failing(Wrapped):
    """Raises `error` for the named operations as long as it is set."""

    def __init__(self, store: EventStore, *operations: str) -> None:
        super().__init__(store)
        self.operations = operations
        self.error: Exception | None = None

    def _check(self, operation: str) -> None:
        if self.error is not None and operation in self.operations:
            self.calls[f"failed {operation}"] += 1
            raise self.error

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        self._check("append")
        return await super().append(batch)

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        self._check("reindex")
        await super().reindex(key, change)

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        self._check("read")
        return await super().read(key, after=after, limit=limit)

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        self._check("log")
        return await super().log(after=after, limit=limit)

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        self._check("open_instances")
        return await super().open_instances(after=after, limit=limit)

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        self._check("due")
        return await super().due(now, limit=limit)
