"""The circuit breaker of one participant: whether calling it makes sense now.

Rules
- Pure: the instant is an argument of every question; the same calls at the same instants come to the same.
- *Closed*, calls go. It opens when calls of `failures` different commands failed one after the other without an answer
  between them, or when of the last `over` calls the share `share` failed. One command that fails again and again says
  nothing about its participant.
- *Open*, none goes for `open_for`; each probe that fails doubles that, up to `longest`.
- *Half-open*, one goes: the probe. An answer of any kind is life; without one it is open again.
- *Ramping*, they go at a pace that begins at `ramp_first` a second and doubles ten times within `ramp`, so that what
  gathered meanwhile does not fall upon a participant that just came back. Then it is closed.
- What was sent before it opened says nothing about what is since: such results are passed over.
- Breakers of the same participant in other processes may be followed: `concert` says when.
It does not: send, wait, hold commands (the lane does), or know the clock.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from amends.application.pace import Tokens

Stage: TypeAlias = Literal["closed", "open", "half-open", "ramping"]

DOUBLINGS: Final = 10
"""How often the pace doubles within the ramp: from 5 calls a second to 5,120."""
FORGOTTEN: Final = 1e-3
"""A share of failures that counts as none."""
LATER: Final = timedelta.max
"""Not before something happens: a probe is answered, a person closes it."""
NOW: Final = timedelta(0)


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, and how it closes again."""

    enabled: bool = True
    """False: it opens only by hand."""
    failures: int = 5
    share: float = 0.8
    over: int = 50
    open_for: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=1)
    ramp: timedelta = timedelta(seconds=30)
    """No ramp when it is nothing."""
    ramp_first: float = 5.0


class Standing(NamedTuple):
    """How a breaker that is not closed stands, for breakers of the same participant elsewhere to follow."""

    stage: Literal["open", "ramping"]
    until: datetime | None
    """When a probe may go, of an open one; None: when a person closes it."""
    began: datetime
    """When it began to ramp."""
    opened: int
    """How often it opened without having been closed between."""


Permit: TypeAlias = int
"""A call that was let go, to be handed back with its result: the breaker's epoch then."""


class Breaker:
    """One per binding. Every permit is handed back once, to `answered` or `failed`."""

    def __init__(self, policy: BreakerPolicy) -> None:
        """Begin closed."""
        self.policy = policy
        self._stage: Stage = "closed"
        self.epoch: Permit = 0
        """What the permit of a call says that is let go now: it grows each time that it opens, or begins to close."""
        self.is_closed = True
        """Whether nothing is in the way; asks no clock, so a ramp that is over counts when somebody looked."""
        self.is_calm = False
        """Closed, and not to be opened by a share of failures that an answer could lower: an answer is no news."""
        self._until: datetime | None = None
        self._opened = 0
        self._probing = False
        self._ramp: Tokens | None = None
        self._ramp_began: datetime | None = None
        self._failed: set[str] = set()
        self._calls = 0
        self._share = 0.0
        self.trips = 0
        """How often it opened by itself."""
        self.may_probe = True
        """False: somebody else tries the participant, and this one stays open until it is told what came of it."""
        self.on_turn: Callable[[], None] | None = None
        """Told whenever it changes its stage."""
        self.sharers = 1
        """How many breakers of the same participant ramp at once, each at its share of the pace."""

    @property
    def probing(self) -> bool:
        """Tell whether the probe is on its way."""
        return self._probing

    @property
    def by_hand(self) -> bool:
        """Tell whether a person opened it, and has not closed it since."""
        return self._stage == "open" and self._until is None

    def look(self, now: datetime) -> Stage:
        """Return how it stands at `now`."""
        if self._stage == "open" and self._until is not None:
            # A clock that was set back does not keep it open for longer than anything else could.
            self._until = min(self._until, now + self.policy.longest)
            if now >= self._until and self.may_probe:
                self._turn("half-open")
        elif self._stage == "ramping" and self._pace(now) is None:
            self._close()
        return self._stage

    def wait(self, now: datetime) -> timedelta:
        """Return how long it takes until a call may go; nothing when one may now."""
        match self.look(now):
            case "closed":
                return NOW
            case "open":
                return LATER if self._until is None or self._until <= now else self._until - now
            case "half-open":
                return LATER if self._probing else NOW
            case "ramping":
                return NOW if self._ramp is None else self._ramp.wait(now)

    def pace(self, now: datetime) -> float | None:
        """Return how many calls a second may go while it ramps; None when there is no such bound."""
        return self._pace(now) if self.look(now) == "ramping" else None

    def begin(self, now: datetime) -> Permit:
        """Let a call go, which `wait` said may."""
        if self._stage == "half-open":
            self._probing = True
        elif self._stage == "ramping" and self._ramp is not None:
            self._ramp.take(now)
        return self.epoch

    def answered(self, permit: Permit) -> bool:
        """The participant answered, whatever it said; return whether this was the probe, so that it may `recover`."""
        if permit != self.epoch:
            return False
        if self._stage == "half-open":
            return True
        if self._failed:
            self._failed.clear()
        if self._share or self._calls < self.policy.over:
            self._count(0.0)
        self.is_calm = self.is_closed and not self._share and self._calls >= self.policy.over
        return False

    def recover(self, now: datetime) -> None:
        """Let calls go again, at the pace of the ramp."""
        if not self.policy.ramp:
            self._close()
            return
        self._turn("ramping")
        self._ramp_began = now
        first = self.policy.ramp_first
        self._ramp = Tokens(rate=first, burst=max(1.0, first / 10), now=now)

    def failed(self, permit: Permit, command_id: str, now: datetime) -> bool:
        """The call came to nothing; return whether it opened for that."""
        if permit != self.epoch:
            return False
        if self._stage != "half-open":
            self.is_calm = False
            self._failed.add(command_id)
            self._count(1.0)
            if not self._trips():
                return False
        self._open(now)
        return True

    def open_by_hand(self) -> None:
        """Let nothing go until somebody closes it."""
        self._turn("open")
        self._until = None

    def close_by_hand(self, now: datetime) -> None:
        """Let calls go again, at the pace of a recovery."""
        if self._stage in ("open", "half-open"):
            self.recover(now)

    def standing(self, now: datetime) -> Standing | None:
        """Return what others would follow; None when it is closed."""
        stage = self.look(now)
        if stage == "closed":
            return None
        until = now if stage == "half-open" else self._until
        shown: Literal["open", "ramping"] = "ramping" if stage == "ramping" else "open"
        return Standing(shown, until, self._ramp_began or now, self._opened)

    def follow(self, standing: Standing) -> None:
        """Stand as another breaker of the same participant does."""
        if standing.stage == "ramping":
            self.recover(standing.began)
            return
        self._turn("open")
        self._until, self._opened = standing.until, standing.opened

    def rest(self, now: datetime) -> None:
        """Have no probe to send after all: somebody else may."""
        if self._stage == "half-open" and not self._probing:
            self._turn("open")
            self._until = now

    def _trips(self) -> bool:
        policy = self.policy
        if not policy.enabled:
            # What is remembered has a bound all the same.
            self._failed.clear()
            return False
        often = self._calls >= policy.over and self._share >= policy.share and len(self._failed) > 1
        return often or len(self._failed) >= policy.failures

    def _count(self, failed: float) -> None:
        """Keep the share of failures: exact for the first `over` calls, then with older ones fading."""
        self._calls = min(self._calls + 1, self.policy.over)
        self._share += (failed - self._share) / self._calls
        if self._share < FORGOTTEN:
            self._share = 0.0

    def _open(self, now: datetime) -> None:
        policy = self.policy
        pause = min(policy.open_for * 2 ** min(self._opened, 30), policy.longest)
        self._opened += 1
        self.trips += 1
        self._turn("open")
        self._until = now + pause

    def _pace(self, now: datetime) -> float | None:
        """Return the pace of the ramp at `now` and keep to it from then on; None when the ramp is over."""
        if self._ramp is None or self._ramp_began is None:
            return None
        self._ramp_began = min(self._ramp_began, now)
        along = (now - self._ramp_began) / self.policy.ramp
        if along >= 1:
            return None
        self._ramp.rate = self.policy.ramp_first * 2 ** (DOUBLINGS * along) / self.sharers
        self._ramp.burst = max(1.0, self._ramp.rate / 10)
        return self._ramp.rate

    def _close(self) -> None:
        # What goes on since the ramp began counts on.
        epoch, ramped = self.epoch, self._stage == "ramping"
        self._turn("closed")
        if ramped:
            self.epoch = epoch
        self._opened = 0

    def _turn(self, stage: Stage) -> None:
        self._stage = stage
        self.is_closed = stage == "closed"
        self.is_calm = False
        self.epoch += 1
        self._probing = False
        self._ramp = self._ramp_began = None
        self._failed.clear()
        self._calls = 0
        self._share = 0.0
        if self.on_turn is not None:
            self.on_turn()
