"""A clock that stands still until a test moves it.

Rules: it fills the clock port; times are aware and in UTC. `advance` goes forward only, `set` wherever it is told,
as the clocks of real machines do.
It does not: wake anybody; `harness` lets what is due happen.
"""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class ManualClock:
    """A `Clock` for tests."""

    def __init__(self, now: datetime = NOON) -> None:
        """Stand at `now`."""
        self._now = _utc(now)

    def now(self) -> datetime:
        """Return the instant at which the clock stands."""
        return self._now

    def advance(self, length: timedelta) -> datetime:
        """Move forward and return the new instant."""
        if length < timedelta(0):
            raise ValueError(f"time goes forward: {length} is negative; `set` can go back")
        self._now += length
        return self._now

    def set(self, instant: datetime) -> None:
        """Stand at `instant` from now on."""
        self._now = _utc(instant)


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone; give datetime(..., tzinfo=UTC)")
    return instant.astimezone(UTC)
