"""The leases: keeps this process a member of a shared store, with its fair share of the shards.

Rules
- A fair share is the number of shards over that of live members, rounded up. Who has less takes what is free; who has
  more gives away: it stops deciding, waits for what is at the store, and only then lets the shard go.
- The lease is renewed every third of it. Who is fenced drops everything at once, joins anew and goes on.
- The next look comes when the lease is to be renewed, when another's is over, or when somebody calls.
- While the store is away it is asked ever more seldom.
The verb is `run_once`; the loop around it only waits.
It does not: move instances (the engine does), or know the store's clock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from amends.application.availability import Availability
from amends.application.patience import longer
from amends.application.shards import Shards
from amends.ports import SHARDS, SharedStore, Standing, StoreError, StoreFenced

log = logging.getLogger("amends.leases")

SHORTEST: Final = 0.05
"""Seconds between two looks, unless somebody calls."""
A_THIRD: Final = 3


class Leases:
    """One per engine on a shared store."""

    def __init__(
        self,
        store: SharedStore,
        shards: Shards,
        *,
        acquired: Callable[[frozenset[int]], None],
        release: Callable[[frozenset[int]], Awaitable[None]],
        fenced: Callable[[StoreFenced], None],
        availability: Availability,
    ) -> None:
        """Keep `shards`: `acquired` is told of new ones, `release` lets go of some, `fenced` of all at once,
        `availability` of outages.
        """
        self._store = store
        self._availability = availability
        self._shards = shards
        self._acquired = acquired
        self._release = release
        self._fenced = fenced
        self._giving: frozenset[int] = frozenset()
        self._giving_task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.members = 0
        """How many members lived at the last look."""

    def start(self) -> None:
        """Go on looking."""
        self._task = asyncio.create_task(self._run(), name="amends-leases")

    def wake(self) -> None:
        """Look again soon."""
        self._wake.set()

    async def stop(self) -> None:
        """Look no more; the shards stay leased until the store is closed."""
        tasks = [task for task in (self._task, self._giving_task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run_once(self) -> float:
        """Renew the lease and see to a fair share; return in how many seconds to look again.

        Raises:
            StoreError: the store does not answer.
        """
        standing = await self._standing()
        self.members = standing.members
        if lost := self._shards.held - standing.held:
            await self._release(lost)
        if known := standing.held - self._giving - self._shards.held:
            self._acquired(known)
        own, fair = len(standing.held - self._giving), -(-SHARDS // max(standing.members, 1))
        if own < fair and standing.free:
            claimed = await self._store.membership().claim(min(standing.free, fair - own))
            if claimed:
                self._acquired(claimed)
        elif own > fair and not self._giving:
            self._give(frozenset(sorted(self._shards.held)[fair:]))
        return self._pause(standing.look_again)

    def _pause(self, look_again: timedelta | None) -> float:
        pause = self._store.membership().lease.total_seconds() / A_THIRD
        if look_again is not None:
            pause = min(pause, look_again.total_seconds() + 0.01)
        return max(pause, SHORTEST)

    async def _standing(self) -> Standing:
        membership = self._store.membership()
        try:
            return await membership.renew()
        except StoreFenced as error:
            log.warning("%s", error)
            self._giving = frozenset()
            self._fenced(error)
        await membership.join()
        return await membership.renew()

    def _give(self, shards: frozenset[int]) -> None:
        self._giving = shards
        self._giving_task = asyncio.create_task(self._gave(shards), name="amends-giving-shards")

    async def _gave(self, shards: frozenset[int]) -> None:
        await self._release(shards)
        pause = 0.0
        while self._giving == shards:
            try:
                await self._store.membership().release(shards)
            except StoreError:
                pause = longer(pause)
                await asyncio.sleep(pause)
            else:
                self._giving = frozenset()
                self.wake()

    async def _run(self) -> None:
        away = 0.0
        while True:
            self._wake.clear()
            try:
                pause = await self.run_once()
            except StoreError as error:
                self._availability.missed("leases", error)
                pause = away = longer(away)
            except Exception:
                log.exception("leases cannot be looked after")
                pause = away = longer(away)
            else:
                if self._availability.is_away:
                    self._availability.answered("leases")
                away = 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
