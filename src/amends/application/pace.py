"""Pace: how many of something may happen in a time.

Rules: pure arithmetic; the instant is an argument, and a clock that was set back gives nothing and takes nothing.
It does not: wait, or know what is counted.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

ENOUGH: Final = 1 - 1e-9
"""What counts as a whole one: a share of 0.2 comes to 1 after five times, whatever the last bit says."""


class Tokens:
    """A bucket that fills at `rate` a second, up to `burst`; it begins full."""

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, *, rate: float, burst: float, now: datetime) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def wait(self, now: datetime) -> timedelta:
        """Return how long it takes until one may be taken; nothing when it may now."""
        missing = 1 - self._filled(now)
        if missing <= 1 - ENOUGH:
            return timedelta(0)
        if not self.rate:
            return timedelta.max
        # A microsecond more, for what rounding takes away: who comes back then finds one.
        return timedelta(seconds=missing / self.rate, microseconds=1)

    def take(self, now: datetime) -> None:
        """Take one, which `wait` said is there."""
        self._level = max(0.0, self._filled(now) - 1)

    def give(self, share: float) -> None:
        """Put `share` in besides what time does."""
        self._level = min(self.burst, self._level + share)

    def _filled(self, now: datetime) -> float:
        passed = (now - self._at).total_seconds()
        self._at = now
        if passed > 0:
            self._level = min(self.burst, self._level + passed * self.rate)
        return self._level


class Allowance:
    """Calls of a pace that several processes share, as somebody grants them; while nobody does, an own bucket."""

    def __init__(self, own: Tokens, asks: Callable[[], None]) -> None:
        """Begin with nothing granted; `asks` is called when one is wanted and there is none."""
        self.rate = own.rate
        self.burst = own.burst
        self.granted = 0
        self.is_shared = True
        """False: nobody grants, and the own bucket counts."""
        self.is_wanted = False
        """Somebody wanted one and did not get it, since this was last looked at."""
        self._own = own
        self._asks = asks

    def wait(self, now: datetime) -> timedelta:
        """Return nothing when one may be taken now; else how long that takes: without end until one is granted."""
        if not self.is_shared:
            return self._own.wait(now)
        if self.granted > 0:
            return timedelta(0)
        if not self.is_wanted:
            self.is_wanted = True
            self._asks()
        return timedelta.max

    def take(self, now: datetime) -> None:
        """Take one, which `wait` said is there."""
        if self.is_shared:
            self.granted -= 1
        else:
            self._own.take(now)

    def keep_to_itself(self, sharers: int, now: datetime) -> None:
        """Count by an own bucket from now on, for one of so many processes."""
        rate = self.rate / sharers
        self._own = Tokens(rate=rate, burst=max(1.0, self.burst / sharers), now=now)
        self.is_shared = False
        self.granted = 0
