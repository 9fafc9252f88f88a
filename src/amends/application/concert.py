"""Concert: processes that call the same participants do so together, over an exchange that may be lost at any time.

Rules
- One process's opened breaker makes the others' open, too; one of them sends the probe; they ramp together at the pace
  of one. What a person opened is closed by a person.
- A rate limit holds for all of them together: calls are granted from one bucket, and what is not used is given back.
- Nothing waits for the exchange. This role meets the others in the background, `INTERVAL` seconds apart and at once
  when a call is wanted or a breaker turns; gates answer from what it left with them.
- While the exchange is away each process keeps to itself: own breakers, own probes, and of each rate the share that is
  one of as many processes as there last were. It is one line in the log when that begins and one when it ends.
It does not: decide what a participant's answers mean (the breaker does), or make anything durable.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from amends.application.breakers import NOW, Standing
from amends.application.lane import Lane
from amends.ports import Clock
from amends.ports.exchange import Exchange, ExchangeAway, Heard, Said, Turn, Wish

log = logging.getLogger("amends.concert")

INTERVAL: Final = 0.2
"""Seconds between two meetings while nothing is wanted."""
SHORTEST: Final = 0.01
"""Seconds between two meetings when something is."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 2.0
"""Seconds between two tries while nobody answers."""
UNUSED: Final = timedelta(seconds=0.5)
"""What was granted and not used for so long is given back."""
LONG_AGO: Final = timedelta(days=1)
"""A ramp that began then is over, whatever its length."""


class Concert:
    """One per process: its lanes, in concert with those of others."""

    def __init__(
        self, exchange: Exchange, lanes: Mapping[str, Lane], clock: Clock, *, members: Callable[[], int]
    ) -> None:
        """Join `lanes`; `members` says how many processes the store knows of."""
        self._exchange = exchange
        self._clock = clock
        self._wake = asyncio.Event()
        self._parts = [Part(name, lane, self._wake.set) for name, lane in lanes.items()]
        self._members_of_store = members
        self._members = 1
        self._away_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False
        self.meetings = 0
        """How many there were."""

    @property
    def trouble(self) -> str:
        """Return what keeps processes from acting together now, without an address; empty when nothing does."""
        if self._away_since is None:
            return ""
        return "the exchange does not answer: this process keeps its own breakers and limits"

    def start(self) -> None:
        """Begin to meet."""
        self._task = asyncio.create_task(self._run(), name="amends-concert")

    async def stop(self) -> None:
        """Meet no more, and take leave."""
        self._is_ending = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._exchange.leave()

    async def run_once(self) -> bool:
        """Meet the others once; tell whether somebody answered."""
        try:
            await self._meet()
        except ExchangeAway as error:
            self._lost(error)
            return False
        except Exception as error:  # whatever it is, nobody may come to wait for the exchange
            if self._away_since is None:
                log.exception("a meeting failed")
            self._lost(error)
            return False
        return True

    async def _meet(self) -> None:
        now = self._clock.now()
        met = await self._exchange.meet({part.name: part.says(now) for part in self._parts})
        self._found()
        self.meetings += 1
        self._members = met.members
        now = self._clock.now()
        for part in self._parts:
            part.hears(met.heard.get(part.name, Heard()), met.members, now)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        # Looked at besides being cancelled: a client that is refused may swallow that.
        while not self._is_ending:
            self._wake.clear()
            if await self.run_once():
                pause = FIRST_PAUSE
                # Wishes that come together are one meeting.
                await asyncio.sleep(SHORTEST)
                soon = min([INTERVAL, *(part.soon for part in self._parts if part.soon is not None)])
                with suppress(TimeoutError):
                    async with asyncio.timeout(soon):
                        await self._wake.wait()
            elif not self._is_ending:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _lost(self, error: Exception) -> None:
        if self._away_since is not None:
            return
        self._away_since = asyncio.get_running_loop().time()
        log.warning("the exchange is away, each process keeps its own breakers and limits: %s", error)
        now, sharers = self._clock.now(), max(self._members, self._members_of_store(), 1)
        for part in self._parts:
            part.keeps_to_itself(sharers, now)

    def _found(self) -> None:
        if self._away_since is None:
            return
        seconds = asyncio.get_running_loop().time() - self._away_since
        log.warning("the exchange is back, after %.1f s: breakers and limits are shared again", seconds)
        self._away_since = None
        for part in self._parts:
            part.shares_again()


class Part:
    """One lane's part in it."""

    def __init__(self, name: str, lane: Lane, asks: Callable[[], None]) -> None:
        """Let the lane send no probe and no limited call but by agreement."""
        self.name = name
        self._lane = lane
        self._breaker = lane.gate.breaker
        self._breaker.may_probe = False
        self._breaker.on_turn = asks
        self._allowance = lane.gate.share_limit(asks)
        self._trips = 0
        self._is_open = False
        self._by_hand = False
        """A person made the turn that this breaker stands by."""
        self._turn_id = self._heard = self._said = ""
        self._is_new = False
        """That turn came about here, and was not told yet."""
        self._granted: tuple[int, datetime] | None = None
        """What was granted and not used, and since when that is so."""

    @property
    def soon(self) -> float | None:
        """Return in how many seconds a call that was not granted should be wished for again; None: there is none."""
        allowance = self._allowance
        return 1 / allowance.rate if allowance is not None and allowance.is_wanted else None

    def says(self, now: datetime) -> Said:
        """Return how the lane stands, and what it wishes."""
        standing = self._breaker.standing(now)
        self._notice(standing)
        self._said = self._turn_id
        return Said(
            turn=self._turn(standing, now),
            turn_id=self._turn_id,
            is_new=self._is_new,
            heard=self._heard,
            probe=self._wants_probe(standing, now),
            wish=self._wish(now),
        )

    def hears(self, heard: Heard, members: int, now: datetime) -> None:
        """Follow the others."""
        breaker = self._breaker
        breaker.sharers = members
        self._notice(breaker.standing(now))
        is_told = self._turn_id == self._said
        if is_told:
            self._is_new = False
            if heard.turn is not None:
                self._follow(heard.turn, heard.turn_id, now)
        had, breaker.may_probe = breaker.may_probe, heard.probe
        allowance = self._allowance
        if allowance is not None and heard.calls:
            allowance.granted += heard.calls
            allowance.is_wanted = False
        if heard.calls or (heard.probe and not had):
            self._lane.turned()

    def keeps_to_itself(self, sharers: int, now: datetime) -> None:
        """Ask nobody any more."""
        self._breaker.may_probe = True
        self._breaker.sharers = sharers
        if self._allowance is not None:
            self._allowance.keep_to_itself(sharers, now)
        self._lane.turned()

    def shares_again(self) -> None:
        """Count what is granted again."""
        if self._allowance is not None:
            self._allowance.is_shared = True
            self._allowance.is_wanted = self._lane.waiting > 0

    # --- the breaker ---

    def _notice(self, standing: Standing | None) -> None:
        """Name the turn that came about here since this was asked last, if there was one."""
        was_open, self._is_open = self._is_open, standing is not None and standing.stage == "open"
        by_hand, tripped = self._breaker.by_hand, self._breaker.trips != self._trips
        self._trips = self._breaker.trips
        if by_hand and not (was_open and self._by_hand):
            self._begin_turn(by_hand=True)
        elif tripped and self._is_open:
            self._begin_turn(by_hand=False)
        elif was_open and not self._is_open:
            self._begin_turn(by_hand=self._by_hand)

    def _begin_turn(self, *, by_hand: bool) -> None:
        self._turn_id, self._is_new, self._by_hand = uuid.uuid4().hex, True, by_hand

    def _turn(self, standing: Standing | None, now: datetime) -> Turn | None:
        if standing is None:
            # A breaker without a ramp is closed at once: the others are told of a ramp that is over.
            return Turn(stage="ramping", ago=LONG_AGO, by_hand=self._by_hand) if self._is_new else None
        return Turn(
            stage=standing.stage,
            left=None if standing.until is None else max(standing.until - now, NOW),
            ago=now - standing.began,
            opened=standing.opened,
            by_hand=self._by_hand,
        )

    def _follow(self, turn: Turn, turn_id: str, now: datetime) -> None:
        was_open, is_open = self._is_open, turn.stage == "open"
        until = None if turn.left is None else now + turn.left
        if is_open or was_open:
            self._breaker.follow(Standing(turn.stage, until, now - turn.ago, turn.opened))
            self._lane.turned()
        self._turn_id = self._heard = turn_id
        self._is_open, self._by_hand = is_open, turn.by_hand
        if is_open and not was_open:
            log.warning("participant %s is not called for a while: %s", self.name, _told(turn))
        elif was_open and not is_open:
            log.warning("participant %s is called again: %s", self.name, _told(turn))

    def _wants_probe(self, standing: Standing | None, now: datetime) -> bool:
        if standing is None or standing.stage != "open" or standing.until is None:
            return False
        if self._breaker.probing:
            return True
        if standing.until > now:
            return False
        if self._lane.waiting or self._lane.returning:
            return True
        # What was to be the probe is gone: another process may have one.
        self._breaker.rest(now)
        return False

    # --- the limit ---

    def _wish(self, now: datetime) -> Wish | None:
        allowance = self._allowance
        if allowance is None or not allowance.is_shared:
            return None
        calls = 0
        if allowance.is_wanted and not self._is_open:
            calls = min(max(1, self._lane.waiting), ceil(allowance.burst))
        elif allowance.granted > 0:
            if self._granted is None or self._granted[0] != allowance.granted:
                self._granted = allowance.granted, now
            elif now - self._granted[1] >= UNUSED:
                calls, allowance.granted, self._granted = -allowance.granted, 0, None
        return Wish(rate=allowance.rate, burst=allowance.burst, calls=calls)


def _told(turn: Turn) -> str:
    who = "somebody did that by hand" if turn.by_hand else "another process found that out"
    return f"{who}, and said so at the exchange"
