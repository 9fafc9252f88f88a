"""The loader: opens and closes the store, and folds instances from their streams.

Rules: only stored facts are folded; no user code is called. A store that is away is waited for where asked to.
It does not: keep instances, or act on what it found.
"""

from datetime import timedelta
from functools import partial

from amends.application.availability import Availability
from amends.application.definitions import open_checked
from amends.application.history import folded
from amends.application.patience import Patience
from amends.application.registry import Registry
from amends.core.plan import Plan
from amends.core.state import State
from amends.ports import EventStore, StreamKey


class Loader:
    """Reads one store."""

    def __init__(
        self, store: EventStore, registry: Registry, *, open_within: timedelta = timedelta(0)
    ) -> None:
        """Fold from `store` what runs on the definitions of `registry`; opening waits `open_within` for it."""
        self._open_within = open_within
        self._store = store
        self._registry = registry
        self.availability = Availability()
        self.patience = Patience(self.availability)

    async def open(self) -> None:
        """Open the store, waiting for one that is away.

        Raises:
            DefinitionChanged: an open instance was begun on another definition of the same name and version.
            StoreError: the store cannot be used.
        """
        opening = partial(open_checked, self._store, self._registry.plans)
        await self.patience.ask(opening, within=self._open_within.total_seconds())

    async def close(self, reason: Exception) -> None:
        """Let go of the store; whoever waits for it in vain is told `reason`."""
        self.patience.end(reason)
        await self._store.close()

    async def fold(self, key: StreamKey) -> State:
        """Return the state of an instance; that before the first event when there is none.

        Raises:
            AmendsError: its stream cannot be read by this version of Amends.
            StoreError: the store does not give it.
        """
        return folded(key, await self._store.read(key))

    async def further(self, key: StreamKey, state: State) -> State:
        """Return the state after what was stored behind `state`, however long the store is away.

        Raises:
            AmendsError: its stream cannot be read by this version of Amends.
            StoreError: the store does not give it.
        """
        stored = await self.patience.ask(partial(self._store.read, key, after=state.position))
        return folded(key, stored, state=state)

    async def load(self, key: StreamKey) -> tuple[Plan | None, State]:
        """Return definition and state, however long the store is away; no definition when there is no instance, or
        when it has ended and this process does not have it.

        Raises:
            SagaUnknown: this process does not have its definition.
            AmendsError, StoreError: it cannot be folded.
        """
        state = await self.patience.ask(partial(self.fold, key))
        if state.final or not state.position:
            return self._registry.plan_at_hand(state), state
        return self._registry.plan_of(state), state
