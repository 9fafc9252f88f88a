"""Recovery: brings every instance with outstanding commands back into memory after an opening, as room permits.

Rules: the index in the store says which; new work goes on beside. A row that was parked gets its timers back. The verb
is `run_once`, and once is all that is needed: what becomes outstanding later is in memory already.
It does not: send or decide; whoever is brought in does.
"""

from collections.abc import Callable
from functools import partial

from amends.application.patience import Patience
from amends.application.room import Room
from amends.ports import EventStore, OpenInstance, StreamKey


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
    ) -> None:
        """Read `store`; `bring_in` takes an instance into memory, `due` looks at its timers."""
        self._store = store
        self._patience = patience
        self._room = room
        self._is_live = is_live
        self._bring_in = bring_in
        self._due = due

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
