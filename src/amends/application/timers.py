"""Durable timers: looks at the instances whose wake-up has come.

Rules: the index in the store is the truth, memory only knows when to ask it next. An index row may be too early: then
it is corrected, while its instance holds still. A row that stays due although it was reported is asked for ever more
seldom. The verb is `run_once`; the loop around it only waits.
It does not: decide what a timer means.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from amends.application.availability import Availability
from amends.application.own_index import OwnIndex
from amends.application.patience import longer
from amends.ports import (
    Clock,
    OpenInstance,
    SetIndex,
    StoreError,
    StoreFenced,
    StoreFull,
    StoreUnavailable,
    StreamKey,
)

log = logging.getLogger("amends.timers")

PAGE: Final = 500
LONGEST_WAIT: Final = timedelta(seconds=30)
"""Asked at least this often, should the clock have been set."""
SHORTEST_WAIT: Final = 0.001
MOMENT: Final = 0.02
"""Seconds that rows just reported are given to move."""


class Timers:
    """One per engine."""

    def __init__(
        self,
        index: OwnIndex,
        clock: Clock,
        *,
        due: Callable[[OpenInstance], bool],
        on_stop: Callable[[Exception], None],
        availability: Availability | None = None,
    ) -> None:
        """Tell `due` of each index row whose time has come; it answers whether that was news to it.

        `on_stop` is told why, should looking become impossible, `availability` of outages.
        """
        self._availability = availability or Availability()
        self._index = index
        self._clock = clock
        self._due = due
        self._on_stop = on_stop
        self._next: datetime | None = None
        self._wake = asyncio.Event()
        self._corrections: dict[StreamKey, tuple[SetIndex, Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self.on_fenced: Callable[[StoreFenced], None] | None = None
        """Told when the store says that others have taken over; it calls `abandon`."""
        self.on_fired: Callable[[timedelta], None] | None = None
        """Told how late each timer was that made something happen; nobody listens by default."""

    @property
    def next_look(self) -> datetime | None:
        """Return the earliest wake-up that is known of."""
        return self._next

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="amends-timers")

    def halt(self) -> None:
        """Look no more."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def stop(self) -> None:
        """Stop looking, and wait until that is so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def note(self, wake_at: datetime | None) -> None:
        """Take notice of a new wake-up."""
        if wake_at is not None and (self._next is None or wake_at < self._next):
            self._next = wake_at
            self._wake.set()

    def look_again(self) -> None:
        """Ask the index anew: there may be rows in it that were somebody else's."""
        self._wake.set()

    def abandon(self) -> None:
        """Correct nothing of what was to be corrected: others have taken over. Those who wait for it are told."""
        corrections, self._corrections = self._corrections, {}
        for _change, done in corrections.values():
            done()

    def fired(self, due: datetime | None, now: datetime) -> None:
        """Take notice that what was due at `due` happened."""
        if self.on_fired is not None and due is not None:
            self.on_fired(max(now - due, timedelta(0)))

    def correct(self, key: StreamKey, change: SetIndex, done: Callable[[], None]) -> None:
        """Have an index row corrected that was too early; `done` is told when it is.

        Nothing else may change that row meanwhile: a correction behind a newer change would make it too late.
        """
        self._corrections[key] = (change, done)
        self._wake.set()

    async def run_once(self) -> int:
        """Correct what was too early and report what is due now; return how many rows were due."""
        return (await self._look())[0]

    async def _look(self) -> tuple[int, int]:
        """Look once; return how many rows were due, and of how many that was news."""
        # What is noted while the store is asked must not be forgotten over an older answer.
        self._next = None
        await self._write_corrections()
        rows = await self._index.due(self._clock.now(), limit=PAGE)
        news = sum([self._due(row) for row in rows])
        stored = await self._index.next_wake()
        if stored is not None and (self._next is None or stored < self._next):
            self._next = stored
        return len(rows), news

    async def _write_corrections(self) -> None:
        while corrections := self._corrections:
            key, (change, done) = corrections.popitem()
            try:
                await self._index.reindex(key, change)
            except BaseException:
                if self._corrections is corrections:
                    corrections.setdefault(key, (change, done))
                else:
                    # Abandoned meanwhile with all the others.
                    done()
                raise
            done()

    async def _run(self) -> None:
        pause = away = 0.0
        try:
            while True:
                try:
                    rows, news = await self._look()
                except StoreFenced as error:
                    self._availability.answered("timers")
                    if self.on_fenced is None:
                        raise
                    self.on_fenced(error)
                    rows = news = 0
                except (StoreUnavailable, StoreFull) as error:
                    self._availability.missed("timers", error)
                    away = longer(away)
                    await asyncio.sleep(away)
                    continue
                away = 0.0
                if self._availability.is_away:
                    self._availability.answered("timers")
                pause = 0.0 if not rows else MOMENT if news else longer(pause)
                self._wake.clear()
                if not self._corrections:
                    await self._wait(max(pause, SHORTEST_WAIT))
        except StoreError as error:
            log.error("timers stopped: %s", error)  # noqa: TRY400  the text says all
            self._on_stop(error)

    async def _wait(self, least: float) -> None:
        """Wait until something is due, or news come; at least `least` seconds for what is due already."""
        length = LONGEST_WAIT
        if self._next is not None:
            length = min(max(self._next - self._clock.now(), timedelta(0)), LONGEST_WAIT)
        # Not `wait_for`: until Python 3.12 it forgets a cancellation that meets the wake-up.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(length.total_seconds(), least)):
                await self._wake.wait()
