"""Upkeep: a store that nobody runs on, opened for a moment to archive what has ended, or to bring it back.

Rules: the store is opened so that nobody runs on it meanwhile. Lists are brought up to date first, so that they agree
with the store afterwards. What has not left to a topic stays. Nothing is decided and nothing is sent.
It does not: choose adapters (`amends.bootstrap`), or run sagas.
"""

from collections.abc import Collection
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self

from amends.application.follower import PIECE, Followed
from amends.application.orchestrator import SystemClock
from amends.application.projector import Projector
from amends.application.restoration import Restored, restore
from amends.application.retention import Archived, Retention
from amends.ports import (
    Archive,
    Clock,
    EventStore,
    OpensAlone,
    ReadModel,
    RelayedStore,
    RetainedStore,
    StoreHeld,
)


class Upkeep:
    """Use it as ``async with Upkeep(store, archive, read_model=...) as upkeep``."""

    def __init__(
        self,
        store: EventStore,
        archive: Archive,
        *,
        read_model: ReadModel | None = None,
        topic: str = "",
        clock: Clock | None = None,
    ) -> None:
        """Join a store, not open yet, its lists if it has some, and an archive; `topic`: where its log leaves to.

        Raises:
            TypeError: the store cannot give up anything.
        """
        if not isinstance(store, RetainedStore):
            raise TypeError("this store keeps everything: it has no way to give up finished instances")
        self._store: RetainedStore = store
        self._archive = archive
        self._read_model = read_model
        self._projector = None if read_model is None else Projector(store, read_model)
        self._relayed = store.relay_checkpoint(topic) if topic and isinstance(store, RelayedStore) else None
        self._clock = clock or SystemClock()
        self._opened: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        """Take hold of the store, and bring its lists up to date.

        Raises:
            StoreError: one of them cannot be used; `StoreHeld` while a process runs on it.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._store.close)
            await (self._store.open_alone() if isinstance(self._store, OpensAlone) else self._store.open())
            if self._read_model is not None and self._projector is not None:
                stack.push_async_callback(self._read_model.close)
                await self._read_model.open()
                await _project(self._store, self._read_model, self._projector)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    async def archive(self, age: timedelta) -> Archived:
        """Archive what ended longer than `age` ago.

        Raises:
            ArchiveError, StoreError: it cannot be done now; nothing is lost, and doing it again goes on.
        """
        role = Retention(
            self._store,
            self._archive,
            self._clock,
            age=age,
            read_model=self._read_model,
            relayed=self._relayed,
            rest=0,
        )
        return await role.run_once()

    async def restore(self, name: str, ids: Collection[str] = ()) -> Restored:
        """Bring back what is in a volume; with `ids` only these instances.

        Raises:
            ArchiveError: the volume cannot be read, or is damaged.
            ValueError: it is not of this store.
            StoreError: the store cannot be written to.
        """
        return await restore(self._store, self._archive, name, projector=self._projector, ids=ids)


async def _project(store: EventStore, read_model: ReadModel, projector: Projector) -> None:
    if not await read_model.claim():
        raise StoreHeld("another process puts the rows of these lists; stop it first")
    place = await projector.begin(await store.log_end())
    while piece := await store.log(after=place, limit=PIECE):
        await projector.take([Followed(logged) for logged in piece])
        place = piece[-1].sequence
