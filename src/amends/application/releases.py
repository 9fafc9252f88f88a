"""Releases: bring back, lane by lane and no faster than its gate lets, whose commands were set aside.

Rules
- Who is remembered comes first, in the order of the backlog; who is not is found in the store's index, page by page.
- Whoever is brought back sends what is outstanding in this lane; an attempt whose time passed meanwhile gets its full
  time once more first, as a fact (`Recover`).
- The verb is `run_once`; the loop around it waits for news of a lane, or until a gate opens by the clock.
It does not: decide when a gate opens, or send.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias

from amends.application.errors import NotRunning
from amends.application.lane import Lane
from amends.application.own_index import OwnIndex
from amends.application.patience import Patience
from amends.ports import StoreError, StreamKey

log = logging.getLogger("amends.releases")

LONGEST_WAIT: Final = timedelta(seconds=30)
"""Looked at least this often, should the clock have been set."""
SHORTEST_WAIT: Final = 0.001

BringBack: TypeAlias = "Callable[[StreamKey, Lane], asyncio.Future[Any]]"


class Search:
    """What was found in the index for one lane, and how far it was read."""

    def __init__(self) -> None:
        self.after: StreamKey | None = None
        self.found: deque[StreamKey] = deque()
        self.is_under_way = False


class Releases:
    """One per dispatcher."""

    def __init__(
        self, lanes: Mapping[str, Lane], index: OwnIndex, patience: Patience, bring_back: BringBack
    ) -> None:
        """Serve `lanes`; `bring_back` takes an instance into memory and has it send, and tells when that is done."""
        self._lanes = lanes
        self._index = index
        self._patience = patience
        self._bring_back = bring_back
        self._searches: dict[str, Search] = defaultdict(Search)
        self._wake = asyncio.Event()
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="amends-releases")

    async def stop(self) -> None:
        """Bring nobody back any more, and wait until that is so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def note(self) -> None:
        """Take notice that some lane may send, or must wait, otherwise than before."""
        self._wake.set()

    async def run_once(self) -> int:
        """Look at every lane once; return how many instances were brought back."""
        async with self._looking:
            return sum([await self._serve(lane) for lane in self._lanes.values()])

    async def _serve(self, lane: Lane) -> int:
        lane.check()
        brought = 0
        while lane.wanted() > 0 and (key := await self._next(lane)) is not None:
            self._bring(key, lane)
            brought += 1
        return brought

    def _bring(self, key: StreamKey, lane: Lane) -> None:
        lane.returning.add(key)

        def done(future: "asyncio.Future[Any]") -> None:
            lane.returning.discard(key)
            if not future.cancelled():
                # What went wrong is in the log already, and concerns this instance alone.
                future.exception()
            self.note()

        self._bring_back(key, lane).add_done_callback(done)

    async def _next(self, lane: Lane) -> StreamKey | None:
        """Return who comes back next; None when nobody is left, or the index must be read on later."""
        search = self._searches[lane.name]
        key = search.found.popleft() if search.found else lane.backlog.take()
        if key is not None or not (lane.backlog.has_more or search.is_under_way):
            return key
        if not search.is_under_way:
            lane.backlog.search_begins()
            search.is_under_way = True
        await self._read_on(lane, search)
        return search.found.popleft() if search.found else None

    async def _read_on(self, lane: Lane, search: Search) -> None:
        while not search.found:
            page = await self._patience.ask(partial(self._index.outstanding, None, search.after))
            if not page:
                lane.backlog.search_ended()
                del self._searches[lane.name]
                return
            search.after = page[-1].key
            search.found.extend(row.key for row in page if row.outstanding)

    async def _run(self) -> None:
        try:
            while True:
                self._wake.clear()
                await self.run_once()
                await self._wait()
        except NotRunning:
            return
        except StoreError as error:
            # The writer and the timers meet the same store, and stop the engine.
            log.error("nobody is brought back any more: %s", error)  # noqa: TRY400  the text says all

    async def _wait(self) -> None:
        pauses = [pause for lane in self._lanes.values() if (pause := lane.pause()) is not None]
        length = min([*pauses, LONGEST_WAIT]).total_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(length, SHORTEST_WAIT)):
                await self._wake.wait()
