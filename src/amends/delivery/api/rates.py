"""How much one client may ask: a bucket of requests for each, which fills up again with time.

Rules: a client is an API key, or an address where there are no keys. A bucket holds a second's worth. What is refused
costs next to nothing and others do not feel it; it is logged as one line for all of it now and then.
It does not: bound what all clients do together (`Overloaded` and the limit on connections do).
"""

from collections import OrderedDict
from collections.abc import Callable

from amends.delivery.api.problem import Problem

MOST_CLIENTS = 10_000
"""Clients that are remembered; who has asked nothing for longest is forgotten first, and its bucket is full then."""
TELL_EVERY = 10.0
"""Seconds."""


class Rates:
    """The buckets; `per_second` 0 is no limit. `now` gives seconds that only grow."""

    def __init__(self, per_second: int, *, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By client: how many requests are left, and when that was so; who asked last is last."""
        self._told_at: float | None = None
        self._untold = 0

    def check(self, client: str) -> None:
        """Let a request of `client` pass.

        Raises:
            Problem: 429, there were too many.
        """
        if not self._per_second:
            return
        now = self._now()
        left, since = self._buckets.pop(client, (float(self._per_second), now))
        left = min(left + (now - since) * self._per_second, self._per_second)
        is_good = left >= 1
        self._buckets[client] = (left - 1 if is_good else left, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if not is_good:
            self._untold += 1
            raise Problem(
                "too-many",
                f"more than {self._per_second} requests a second came from this client",
                headers={"Retry-After": "1"},
            )

    def untold(self) -> int:
        """Return how many refusals are to be logged now, in one line; 0 while it is too early for another line."""
        now = self._now()
        if self._told_at is not None and now - self._told_at < TELL_EVERY:
            return 0
        self._told_at = now
        count, self._untold = self._untold, 0
        return count
