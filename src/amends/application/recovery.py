"""Recovery: brings every instance with outstanding commands back into memory after an opening, as room permits.

Rules: the index in the store says which; new work goes on beside. A row that was parked gets its timers back. The verb
is `run_once`, and once is all that is needed: what becomes outstanding later is in memory already.
It does not: send or decide; whoever is brought in does.
"""

import logging
from collections.abc import Callable
from functools import partial

from amends.application.errors import NotRunning
from amends.application.patience import Patience
from amends.application.room import Room
from amends.ports import EventStore, OpenInstance, StoreError, StreamKey

log = logging.getLogger("amends.recovery")


class Recovery:
    """One per engine."""

    def __init__(
        self,
        store: EventStore,
        patience: Patience,
        room: Room,
        *,
        is_live: Callable[[StreamKey], bool],
        bring_in: Callable[[StreamKey], object],
        due: Callable[[OpenInstance], bool],
        on_stop: Callable[[Exception], None],
    ) -> None:
        """Read `store`; `bring_in` takes an instance into memory, `due` looks at its timers.

        `on_stop` is told why, should it become impossible.
        """
        self._store = store
        self._patience = patience
        self._room = room
        self._is_live = is_live
        self._bring_in = bring_in
        self._due = due
        self._on_stop = on_stop
        self.under_way = False
        """Whether instances are still being brought in; true from before the first moment that `run` has."""

    async def run(self) -> None:
        """Go through all open instances, once."""
        try:
            found = await self.run_once()
        except NotRunning:
            return
        except StoreError as error:
            log.error("recovery stopped: %s", error)  # noqa: TRY400  the text says all
            self._on_stop(error)
            return
        self.under_way = False
        if found:
            log.info("recovery: %d instances go on", found)

    async def run_once(self) -> int:
        """Go through all open instances; return how many go on."""
        after: StreamKey | None = None
        found = 0
        while page := await self._patience.ask(partial(self._store.open_instances, after=after)):
            after = page[-1].key
            for row in page:
                found += await self._look_at(row)
        return found

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
