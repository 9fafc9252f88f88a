"""Pace: how many of something may happen in a time.

Rules: pure arithmetic; the instant is an argument, and a clock that was set back gives nothing and takes nothing.
It does not: wait, or know what is counted.
"""

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
