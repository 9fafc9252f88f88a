"""An inspection: what is in a store, only to look at it, without an orchestrator and without definitions.

Rules: nothing is held, written or run, and another process may run on the store meanwhile. Data are shown as plain JSON
values. A list is made from the log each time it is asked for: right, and as slow as the log is long.
It does not: act, follow, or run definitions.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from amends.application.follower import PIECE, Followed
from amends.application.history import EventView, events_of, folded, state_at, unknown
from amends.application.projector import Projector
from amends.application.queries import Page, Place, SagaQuery, counted, find_page
from amends.application.saga_id import checked
from amends.application.view import SagaView, view
from amends.ports import DefinitionNote, ReadModel, StoreReader, StreamKey


class Inspection:
    """Use it as ``async with sqlite_reader(path) as inspection``."""

    def __init__(self, store: StoreReader, read_model: ReadModel, *, namespace: str = "default") -> None:
        """Look at the instances of `namespace` in `store`; `read_model` is an empty one to make lists in."""
        self._store = store
        self._read_model = read_model
        self._namespace = namespace
        self._projector = Projector(store, read_model)
        self._place = 0

    async def __aenter__(self) -> Self:
        """Make the store readable.

        Raises:
            StoreError: it cannot be read; the text says why.
        """
        await self._store.open()
        await self._read_model.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        await self._read_model.close()
        await self._store.close()

    async def get(self, saga_id: str, *, at: int | None = None) -> SagaView[Any]:
        """Return an instance as it stands, or as it stood after `at` events.

        Raises:
            SagaUnknown: there is none.
            PositionUnknown: it has no such position.
            SagaIdInvalid: the id cannot be one.
        """
        key = self._key(saga_id)
        if at is not None:
            return view(None, await state_at(self._store, key, at))
        state = folded(key, await self._store.read(key))
        if not state.position:
            raise unknown(key)
        return view(None, state)

    async def events(self, saga_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[EventView]:
        """Return what happened to an instance, one by one, behind position `after`; at most `limit` events.

        Raises:
            SagaUnknown: there is none.
            SagaIdInvalid: the id cannot be one.
        """
        return await events_of(self._store, self._key(saga_id), after=after, limit=limit)

    async def definitions(self) -> Sequence[DefinitionNote]:
        """Return what definitions looked like when they were last used on this store, by name and version."""
        return await self._store.definitions()

    async def find(self, query: SagaQuery, *, limit: int = 50, after: Place | None = None) -> Page:
        """Return a page of the instances that `query` wants, behind `after`; of all namespaces if it names none.

        Raises:
            ValueError: `limit` is not 1 to 1,000.
        """
        await self._project()
        return await find_page(self._read_model, query, limit=limit, after=after)

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many instances there are in all namespaces, by saga and status."""
        await self._project()
        return counted(await self._read_model.counts())

    async def _project(self) -> None:
        """Make the rows from what is new in the log."""
        while piece := await self._store.log(after=self._place, limit=PIECE):
            await self._projector.take([Followed(logged) for logged in piece])
            self._place = piece[-1].sequence

    def _key(self, saga_id: str) -> StreamKey:
        return StreamKey(self._namespace, checked(saga_id))
