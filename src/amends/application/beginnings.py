"""Beginnings: waits for an instance whose start is still in the inbox of a shared store.

Rules: the inbox is looked at before the stream, because a start leaves the one in the transaction that begins the
other; so one that is in neither is in neither. It is looked at anew with pauses that grow to a quarter of a second. A
start that nobody can take is told with the reason for which it was parked.
It does not: take anything out of the inbox, or wait where nothing was put.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from amends.application.errors import SagaUnknown
from amends.application.history import unknown
from amends.application.loader import Loader
from amends.application.watch import FIRST_PAUSE, LONGEST_PAUSE
from amends.core.state import State
from amends.ports import SharedStore, StreamKey


class Beginnings:
    """One per engine on a shared store."""

    def __init__(self, store: SharedStore, loader: Loader, *, check_running: Callable[[], None]) -> None:
        """Look into the inbox of `store`, and into streams by `loader`."""
        self._store = store
        self._loader = loader
        self._check_running = check_running

    async def begun(self, key: StreamKey) -> State:
        """Return the state of an instance as soon as it has begun.

        Raises:
            SagaUnknown: there is none, and no start of it waits; or its start cannot be taken.
        """
        seen: int | None = None
        pause = FIRST_PAUSE
        while True:
            waiting = await self._loader.patience.ask(partial(self._start_of, key))
            state = await self._loader.patience.ask(partial(self._loader.fold, key))
            if state.position:
                return state
            if waiting is None:
                raise await self._not_begun(key, seen)
            seen = waiting
            await asyncio.sleep(pause)
            self._check_running()
            pause = min(pause * 1.5, LONGEST_PAUSE)

    async def _not_begun(self, key: StreamKey, seen: int | None) -> SagaUnknown:
        inbox = self._store.inbox()
        reason = None if seen is None else await self._loader.patience.ask(partial(inbox.why_parked, seen))
        if reason is None:
            return unknown(key)
        return SagaUnknown(
            f"saga {key.saga_id!r} was started and could not begin, its start is parked: {reason}"
        )

    async def _start_of(self, key: StreamKey) -> int | None:
        return await self._store.inbox().start_of(key)
