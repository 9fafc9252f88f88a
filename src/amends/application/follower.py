"""The follower: reads the log behind what was committed and hands it to listeners.

Rules
- It is woken by the writer's commits and asks for nothing in between, unless other processes write as well. It reads
  in bounded pieces, lets the loop go on after each, and rests a moment after a short one, so that many small commits
  are read together. If it is behind, it lags, and nobody waits for it. With nobody listening it reads nothing.
- Each listener has a place of its own: one that is slow, or raises, holds up neither the others nor the engine. A piece
  that it raised for is given to it again, after a pause that grows; that is said with its place in the log.
- Those who stand at the same place share what was read, and what was decoded of it.
- A store that is away is waited for.
It does not: decide, write, or keep more than the last piece.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from amends.application.availability import Availability
from amends.application.history import events_in
from amends.application.patience import Patience, longer
from amends.core.event import AnyEvent
from amends.ports import EventStore, Logged, StoreError, Transition

log = logging.getLogger("amends.follower")

PIECE: Final = 500
"""Transitions that are read at a time."""
REST: Final = 0.01
"""Seconds of rest after a short piece; a busy log is then read a hundred times a second, whatever its commits."""


class Followed:
    """A transition of the log, whose events are decoded once, for all listeners, when the first asks."""

    __slots__ = ("_events", "sequence", "transition")

    def __init__(self, logged: Logged) -> None:
        """Show `logged`."""
        self.sequence = logged.sequence
        self.transition: Transition = logged.transition
        self._events: tuple[AnyEvent, ...] | None = None

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """Its events.

        Raises:
            AmendsError: this version of Amends cannot read them.
        """
        if self._events is None:
            self._events = events_in(self.transition)
        return self._events


class BeginAnew(Exception):
    """Raised by a listener that took nothing of a piece and no longer knows its place: it is asked to begin again."""


class Listener(Protocol):
    """What follows the log."""

    @property
    def name(self) -> str:
        """What it is called in logs and figures."""
        ...

    async def begin(self, end: int) -> int:
        """Return the sequence behind which it wants to be told; all that is committed from now on is behind `end`."""
        ...

    async def take(self, piece: Sequence[Followed]) -> None:
        """Take the next piece; when it raises it has taken nothing.

        Raises:
            BeginAnew: its place is not known any more.
        """
        ...


class Follower:
    """One per open orchestrator: `start` it with its listeners, and have each commit told to `committed`."""

    def __init__(
        self,
        store: EventStore,
        *,
        rest: float = REST,
        poll: float | None = None,
        availability: Availability | None = None,
    ) -> None:
        """Read the log of `store`, which is open as long as this runs; `rest` is in seconds. Where others write as well
        it is looked for their commits every `poll` seconds.
        """
        self._poll = poll
        self._store = store
        self._availability = availability or Availability()
        self._patience = Patience(self._availability)
        self._rest = rest
        self._places: dict[Listener, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._end = 0
        self._commits = 0
        self._reading = asyncio.Lock()
        self._last: tuple[int, Sequence[Followed]] = (-1, ())
        self._news: asyncio.Future[None] | None = None
        self._arrivals: dict[asyncio.Future[None], tuple[Listener, int]] = {}
        self._stopped = False

    @property
    def end(self) -> int:
        """Return about where the log ends: exactly, once somebody has read up to there."""
        return self._end

    def place(self, listener: Listener) -> int:
        """Return the sequence up to which `listener` has taken the log; 0 before it began."""
        return self._places.get(listener, 0)

    def lag(self, listener: Listener) -> int:
        """Return about how many transitions `listener` is behind."""
        return max(self._end - self.place(listener), 0)

    async def start(self, *listeners: Listener) -> None:
        """Begin to tell `listeners`; one that begins at the end is told of all that is committed after this."""
        end = await self._store.settled_end()
        self._end = await self._store.log_end()
        for listener in listeners:
            task = asyncio.create_task(self._serve(listener, end), name=f"amends-follower-{listener.name}")
            self._tasks.append(task)

    async def stop(self) -> None:
        """Tell nobody any more; whoever waits for something, or comes to wait, is told that it is cancelled."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for waiter in (self._news, *self._arrivals):
            if waiter is not None:
                waiter.cancel()

    def committed(self, transitions: int) -> None:
        """Take notice of a commit of so many transitions."""
        self._end += transitions
        self._commits += 1
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    def note(self, listener: Listener, place: int, end: int) -> None:
        """Take notice of a place that another process has brought `listener` to, in a log that ends at `end`."""
        self._end = max(self._end, end)
        self._arrived(listener, place)

    async def taken(self, listener: Listener, sequence: int) -> None:
        """Wait until `listener` has taken the log up to `sequence`."""
        if self.place(listener) >= sequence:
            return
        arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals[arrival] = (listener, sequence)
        try:
            await arrival
        finally:
            self._arrivals.pop(arrival, None)

    async def piece(self, after: int) -> Sequence[Followed]:
        """Return the next piece of the log behind `after`; empty at its end."""
        async with self._reading:
            known, piece = self._last
            if known != after or not piece:
                read = partial(self._store.log, after=after, limit=PIECE)
                piece = [Followed(logged) for logged in await self._patience.ask(read)]
                self._last = after, piece
        if not piece:
            self._end = after
        return piece

    async def next_piece(self, after: int) -> Sequence[Followed]:
        """Return the next piece of the log behind `after`, waiting for one at its end."""
        while True:
            commits = self._commits
            piece = await self.piece(after)
            if piece:
                return piece
            if self._stopped:
                raise asyncio.CancelledError
            if commits == self._commits:
                if self._news is None:
                    self._news = asyncio.get_running_loop().create_future()
                news = self._news
                # Shared by all who wait: one who is cancelled must not take the others along.
                await asyncio.wait({news}, timeout=self._poll)
                if news.cancelled():
                    raise asyncio.CancelledError

    async def _serve(self, listener: Listener, end: int) -> None:
        pause = 0.0
        is_told = True
        place: int | None = None
        anew: BeginAnew | None = None
        while True:
            try:
                if place is None:
                    place = await listener.begin(end)
                    self._arrived(listener, place)
                    if anew is not None and not pause:
                        log.warning("%s begins anew behind sequence %s: %s", listener.name, place, anew)
                    anew = None
                else:
                    place = await self._tell(listener, place)
            except BeginAnew as reason:
                # Said when it has begun: where it has to wait first, that it waits and goes on says all.
                anew, place = reason, None
                continue
            except Exception as error:  # whatever it is, it concerns this listener alone
                if not pause:
                    is_of_store = isinstance(error, StoreError)
                    # An outage is told once, by whoever met it first.
                    is_told = not (is_of_store and self._availability.is_away)
                    trace = None if is_of_store else error
                    level = logging.ERROR if is_told else logging.DEBUG
                    where = listener.name, place or 0
                    log.log(level, "%s waits behind sequence %s: %s", *where, error, exc_info=trace)
                pause = longer(pause)
                await asyncio.sleep(pause)
                continue
            if pause:
                pause = 0.0
                level = logging.WARNING if is_told else logging.DEBUG
                log.log(level, "%s goes on behind sequence %s", listener.name, place)

    async def _tell(self, listener: Listener, place: int) -> int:
        """Wait for the next piece, and have it taken; return where it ends."""
        piece = await self.next_piece(place)
        await listener.take(piece)
        self._arrived(listener, piece[-1].sequence)
        is_hurried = any(each is listener for each, _sequence in self._arrivals.values())
        await asyncio.sleep(0 if len(piece) >= PIECE or is_hurried else self._rest)
        return piece[-1].sequence

    def _arrived(self, listener: Listener, place: int) -> None:
        self._places[listener] = place
        for arrival, (waited_for, sequence) in self._arrivals.items():
            if waited_for is listener and sequence <= place and not arrival.done():
                arrival.set_result(None)
