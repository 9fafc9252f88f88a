"""The loader: folds an instance from its stream.

Rules: only stored facts are folded; no user code is called. A store that is away is waited for where asked to.
It does not: keep instances, or act on what it found.
"""

from functools import partial

from amends.application.errors import AmendsError
from amends.application.patience import Patience
from amends.application.registry import Registry
from amends.core.evolve import InvalidTransition, evolve
from amends.core.plan import Plan
from amends.core.state import State, initial
from amends.core.upcast import UnknownEvent, from_body
from amends.ports import EventStore, StreamKey


class Loader:
    """Reads one store."""

    def __init__(self, store: EventStore, registry: Registry) -> None:
        """Fold from `store` what runs on the definitions of `registry`."""
        self._store = store
        self._registry = registry
        self.patience = Patience()

    async def fold(self, key: StreamKey) -> State:
        """Return the state of an instance; that before the first event when there is none.

        Raises:
            AmendsError: its stream cannot be read by this version of Amends.
            StoreError: the store does not give it.
        """
        state = initial(key.namespace, key.saga_id)
        for transition in await self._store.read(key):
            try:
                state = evolve(state, from_body(transition.body))
            except (UnknownEvent, InvalidTransition) as error:
                raise AmendsError(f"saga {key.saga_id!r}, position {transition.position}: {error}") from error
        return state

    async def load(self, key: StreamKey) -> tuple[Plan | None, State]:
        """Return definition and state, however long the store is away; no definition when there is no instance.

        Raises:
            SagaUnknown: this process does not have its definition.
            AmendsError, StoreError: it cannot be folded.
        """
        state = await self.patience.ask(partial(self.fold, key))
        return (self._registry.plan_of(state) if state.position else None), state
