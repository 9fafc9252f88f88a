"""Recovery: brings every instance with outstanding commands back into memory, after an opening or when shards were
taken over, as room permits.

Rules: the index in the store says which; new work goes on beside. A row that was parked gets its timers back. The verb
is `run_once`, and once is all that is needed: what becomes outstanding later is in memory already.
It does not: send or decide; whoever is brought in does.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from amends.application.errors import NotRunning
from amends.application.own_index import OwnIndex
from amends.application.patience import Patience
from amends.application.room import Room
from amends.ports import OpenInstance, StoreError, StreamKey

log = logging.getLogger("amends.engine")


class Recovery:
    """One per engine."""

    def __init__(
        self,
        index: OwnIndex,
        patience: Patience,
        room: Room,
        *,
        is_live: Callable[[StreamKey], bool],
        bring_in: Callable[[StreamKey], object],
        due: Callable[[OpenInstance], bool],
        on_stop: Callable[[Exception], None],
    ) -> None:
        """Read `index`; `bring_in` takes an instance into memory, `due` looks at its timers; `on_stop` is told why,
        should reading become impossible.
        """
        self._index = index
        self._patience = patience
        self._room = room
        self._is_live = is_live
        self._bring_in = bring_in
        self._due = due
        self._on_stop = on_stop
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        """Tell whether instances are still being brought in."""
        return bool(self._tasks)

    def begin(self, shards: Collection[int] | None = None) -> None:
        """Bring in what is outstanding in these shards, or in all, beside other work."""
        task = asyncio.create_task(self._run(shards), name="amends-recovery")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Bring in nothing more."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run_once(self, shards: Collection[int] | None = None) -> int:
        """Go through the open instances; return how many go on."""
        after: StreamKey | None = None
        found = 0
        while page := await self._patience.ask(partial(self._index.outstanding, shards, after)):
            after = page[-1].key
            for row in page:
                found += await self._look_at(row)
        return found

    async def _run(self, shards: Collection[int] | None) -> None:
        try:
            found = await self.run_once(shards)
        except NotRunning:
            return
        except StoreError as error:
            log.error("recovery stopped: %s", error)  # noqa: TRY400  the text says all
            self._on_stop(error)
            return
        if found:
            log.info("recovery: %d instances go on", found)

    async def _look_at(self, row: OpenInstance) -> bool:
        if not row.outstanding:
            return False
        news = not self._is_live(row.key)
        if news:
            await self._room.enter(patient=True)
            self._bring_in(row.key)
        if row.wake_at is None:
            # It was parked: now that it can be run its timers count again.
            self._due(row)
        return news
