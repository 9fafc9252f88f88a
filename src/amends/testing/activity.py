"""What is under way between the engine and its outside: how a test knows that it is quiet.

Rules: calls to participants, writes and loads are counted while they last. Between two of them the engine needs a few
turns of the event loop and no time; so after `TURNS` turns in which nothing began or ended, nothing will.
It does not: change what passes through.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports import (
    Append,
    DefinitionNote,
    EventStore,
    Logged,
    OpenInstance,
    SetIndex,
    StreamKey,
    Transition,
    Transport,
)

TURNS = 50


class Activity:
    """Counts what is under way."""

    def __init__(self, *, hanging: Callable[[], int]) -> None:
        """`hanging` says how many of the calls under way will never end by themselves."""
        self._hanging = hanging
        self._under_way: list[str] = []
        self._count = 0
        self._changed = asyncio.Event()

    @contextmanager
    def doing(self, what: str) -> Generator[None]:
        """Count what the block does."""
        self._under_way.append(what)
        self._note()
        try:
            yield
        finally:
            self._under_way.remove(what)
            self._note()

    def _note(self) -> None:
        self._count += 1
        self._changed.set()

    def shown(self) -> str:
        """Return what is under way."""
        return ", ".join(self._under_way) or "nothing"

    async def quiet(self, busy_elsewhere: Callable[[], bool]) -> None:
        """Return when nothing is under way but calls that hang, and nothing follows."""
        while True:
            before = self._count
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if self._count != before or busy_elsewhere():
                continue
            if len(self._under_way) <= self._hanging():
                return
            self._changed.clear()
            await self._changed.wait()


class WatchedTransport:
    """A `Transport` whose calls are counted."""

    def __init__(self, transport: Transport, activity: Activity) -> None:
        """Pass everything on to `transport`."""
        self._transport = transport
        self._activity = activity

    async def send(self, command: SendCommand) -> Answer | Accepted:
        """Pass it on."""
        with self._activity.doing(f"{command.participant}.{command.name} ({command.step})"):
            return await self._transport.send(command)

    async def close(self) -> None:
        """Pass it on."""
        await self._transport.close()


class WatchedStore:
    """An `EventStore` whose writes and loads are counted; what timers ask is not."""

    def __init__(self, store: EventStore, activity: Activity) -> None:
        """Pass everything on to `store`."""
        self._store = store
        self._activity = activity

    @property
    def commits_elsewhere(self) -> bool:
        """As the store says."""
        return self._store.commits_elsewhere

    async def open(self) -> None:
        """Pass it on."""
        await self._store.open()

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        """Pass it on."""
        with self._activity.doing("a write"):
            return await self._store.append(batch)

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        """Pass it on."""
        with self._activity.doing("a correction of the index"):
            await self._store.reindex(key, change)

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        """Pass it on."""
        with self._activity.doing("a load"):
            return await self._store.read(key, after=after, limit=limit)

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        """Pass it on."""
        return await self._store.log(after=after, limit=limit)

    async def log_end(self) -> int:
        """Pass it on."""
        return await self._store.log_end()

    async def settled_end(self) -> int:
        """Pass it on."""
        return await self._store.settled_end()

    async def definitions(self) -> Sequence[DefinitionNote]:
        """Pass it on."""
        return await self._store.definitions()

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        """Pass it on."""
        await self._store.note_definitions(notes)

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        """Pass it on."""
        return await self._store.open_instances(after=after, limit=limit)

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        """Pass it on."""
        return await self._store.due(now, limit=limit)

    async def next_wake(self) -> datetime | None:
        """Pass it on."""
        return await self._store.next_wake()

    async def close(self) -> None:
        """Pass it on."""
        await self._store.close()
