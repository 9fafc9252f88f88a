"""The gate of one binding: whether a command may go to its participant now, or what it waits for.

Rules
- Three things can be in the way: the breaker, the binding's rate limit, and for a retry the retry budget of its
  direction. A do and an undo have budgets of their own: retries of one never use up those of the other.
- A budget is a share of the first attempts, and so many a second besides, so that retries never come to a standstill.
- Only what was sent counts: who looks at the gate and turns away has used up nothing.
It does not: hold commands, send, or wait.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from amends.application.breakers import NOW, Breaker, BreakerPolicy, Permit, Stage
from amends.application.pace import Allowance, Tokens
from amends.core.effect import Direction, SendCommand
from amends.core.outcome import Accepted, Answer, Failed
from amends.ports import Clock

Kind: TypeAlias = Literal["do", "undo", "do again", "undo again"]
"""A command's direction, and whether it is a retry."""
Obstacle: TypeAlias = Literal["breaker", "limit", "budget"]

DOWN: Final = frozenset({"transient", "timeout"})
"""Faults that say that a participant is down, or hangs. The others are answers: somebody is there."""


LEAST_BURST: Final = 10.0
"""Retries that may come at once, however small a budget is."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How many retries one direction may have."""

    share: float = 0.2
    """For each first attempt, so many retries."""
    least: float = 10.0
    """So many a second, whatever the share comes to; ten seconds' worth may come at once."""


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between the engine and one participant."""

    breaker: BreakerPolicy = BreakerPolicy()
    do_budget: Budget = Budget()
    undo_budget: Budget = Budget(share=1.0)
    rate: float | None = None
    """Calls a second; None: no limit."""
    width: int | None = None
    """Calls at a time; None: as wide as any lane."""


STANDARD: Final = Protection()
AGAIN: Final[dict[Direction, Kind]] = {"do": "do again", "undo": "undo again"}
FIRST: Final[dict[Kind, Kind]] = {"do again": "do", "undo again": "undo"}


def kind_of(command: SendCommand) -> Kind:
    """Return what a command is to the gate."""
    return command.direction if command.attempt == 1 else AGAIN[command.direction]


class Gate:
    """One per binding."""

    def __init__(self, protection: Protection, clock: Clock) -> None:
        """Begin open, with full budgets."""
        now = clock.now()
        rate = protection.rate
        self._clock = clock
        self.breaker = Breaker(protection.breaker)
        self.is_limited = rate is not None
        """Whether a rate limit counts first attempts, too."""
        self._limit: Tokens | Allowance | None = (
            None if rate is None else Tokens(rate=rate, burst=max(1.0, rate / 10), now=now)
        )
        do, undo = _tokens(protection.do_budget, now), _tokens(protection.undo_budget, now)
        self._retries: dict[Kind, Tokens] = {"do again": do, "undo again": undo}
        self._shares: dict[Kind, float] = {
            "do again": protection.do_budget.share,
            "undo again": protection.undo_budget.share,
        }
        self.firsts: dict[Kind, int] = {"do": 0, "undo": 0}
        """First attempts that no budget has been given its share of yet; a retry that asks is what needs it.

        One that goes while the gate `is_free` need only be counted here: that is all that `begin` does.
        """
        self.held: Counter[Obstacle] = Counter()
        """How many commands could not go at once, by what was in their way; for reading, the lane counts."""

    @property
    def is_free(self) -> bool:
        """Tell whether nothing is in the way of a first attempt, whenever it comes."""
        return self.breaker.is_closed and not self.is_limited

    @property
    def stage(self) -> Stage:
        """How the breaker stands now."""
        return self.breaker.look(self._clock.now())

    @property
    def pace(self) -> float | None:
        """How many calls a second may go now; None when nothing bounds them."""
        ramp = None if self.breaker.is_closed else self.breaker.pace(self._clock.now())
        limit = None if self._limit is None else self._limit.rate
        return min((bound for bound in (ramp, limit) if bound is not None), default=None)

    def is_shut(self, queued: int) -> bool:
        """Tell whether the breaker lets no command come that would stand behind `queued` others."""
        breaker = self.breaker
        if breaker.is_closed:
            return False
        match breaker.look(self._clock.now()):
            case "open":
                return True
            case "half-open":
                return breaker.probing or queued > 0
            case _:
                return False

    def obstacle(self, kind: Kind) -> tuple[Obstacle, timedelta] | None:
        """Return what keeps a command of this kind from going now, and for how long; None when it may go."""
        if kind not in self._retries and self.is_free:
            return None
        budget = self._budget(kind)
        now = self._clock.now()
        waits: list[tuple[Obstacle, timedelta]] = [("breaker", self.breaker.wait(now))]
        if self._limit is not None:
            waits.append(("limit", self._limit.wait(now)))
        if budget is not None:
            waits.append(("budget", budget.wait(now)))
        longest = max(waits, key=lambda each: each[1])
        return longest if longest[1] > NOW else None

    def begin(self, kind: Kind) -> Permit:
        """Let a command go that nothing keeps."""
        if kind in self.firsts:
            self.firsts[kind] += 1
            if self.is_free:
                return self.breaker.epoch
        now = self._clock.now()
        if self._limit is not None:
            self._limit.take(now)
        budget = self._budget(kind)
        if budget is not None:
            budget.take(now)
        return self.breaker.begin(now)

    def share_limit(self, asks: Callable[[], None]) -> Allowance | None:
        """Have the rate limit counted elsewhere, for several processes; return what is granted of it, None without one.

        `asks` is called when a command could go but for that.
        """
        if isinstance(self._limit, Tokens):
            self._limit = Allowance(self._limit, asks)
        return self._limit

    def _budget(self, kind: Kind) -> Tokens | None:
        """Return the budget of a kind of retries, with its share of the first attempts; None: they have none."""
        budget = self._retries.get(kind)
        if budget is not None and self.firsts[first := FIRST[kind]]:
            budget.give(self._shares[kind] * self.firsts[first])
            self.firsts[first] = 0
        return budget

    def settle(self, permit: Permit, command_id: str, answer: Answer | Accepted) -> bool:
        """Take notice of what a call came to; return whether the breaker opened for it."""
        if isinstance(answer, Failed) and answer.fault in DOWN:
            return self.breaker.failed(permit, command_id, self._clock.now())
        if self.breaker.answered(permit):
            self.breaker.recover(self._clock.now())
        return False

    def open_by_hand(self) -> None:
        """Let nothing go until somebody closes the breaker."""
        self.breaker.open_by_hand()

    def close_by_hand(self) -> None:
        """Let calls go again, at the pace of a recovery."""
        self.breaker.close_by_hand(self._clock.now())


def _tokens(budget: Budget, now: datetime) -> Tokens:
    return Tokens(rate=budget.least, burst=max(LEAST_BURST, budget.least * 10), now=now)
