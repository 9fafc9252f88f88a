"""Whether the store can be used now, as all who use it see it together: what readiness and the log say of it.

Rules
- An outage begins when the first of them is refused, or has waited for long; it is over when nobody waits for the store
  any more and somebody was answered. Each end of it is one line in the log, however many wait.
- The reason that is shown to anybody names no address; the line in the log does.
It does not: ask the store, or wait (`patience`, `writer` and `timers` do).
"""

import asyncio
import logging
from collections.abc import Hashable
from time import monotonic
from typing import Final

from amends.ports import StoreError, StoreFull

log = logging.getLogger("amends.store")

SLOW: Final = 5.0
"""Seconds without an answer after which the store counts as away."""


class Availability:
    """One per store and process."""

    def __init__(self) -> None:
        """Begin with a store that can be used."""
        self._waiting: set[Hashable] = set()
        self._since: float | None = None
        self._reason = ""
        self._asked: dict[Hashable, float] = {}
        self._look: asyncio.TimerHandle | None = None

    @property
    def is_away(self) -> bool:
        """Tell whether there is an outage now."""
        return self._since is not None

    @property
    def reason(self) -> str | None:
        """Return why the store cannot be used now, and how long that has been so; None when it can."""
        if self._since is None:
            return None
        return f"{self._reason} ({monotonic() - self._since:.0f} s now); the log says more"

    def missed(self, who: Hashable, error: StoreError) -> None:
        """Take notice that `who` was refused, and will ask again."""
        full = isinstance(error, StoreFull)
        self._wait(who, "the store has no space left" if full else "the store does not answer", str(error))

    def answered(self, who: Hashable) -> None:
        """Take notice that `who` got what it asked for."""
        self._waiting.discard(who)
        if self._since is None or self._waiting:
            return
        log.warning("the store can be used again, after %.1f s", monotonic() - self._since)
        self._since = None

    def left(self, who: Hashable) -> None:
        """Take notice that `who` asks no more, and was not answered."""
        self._waiting.discard(who)

    def asked(self, who: Hashable) -> None:
        """Take notice that `who` asks now; until it `heard` it is noticed when that takes long."""
        self._asked[who] = monotonic()
        if self._look is None:
            # One timer for all commits of its time: one for each would cost more than the rest of this.
            self._look = asyncio.get_running_loop().call_later(SLOW, self._look_at_slow)

    def heard(self, who: Hashable) -> None:
        """Take notice that `who` waits for no answer any more, whatever it was."""
        del self._asked[who]

    def _look_at_slow(self) -> None:
        now = monotonic()
        latest = now - SLOW
        for who in [who for who, since in self._asked.items() if since <= latest]:
            self._wait(who, "the store does not answer", f"no answer to a commit within {SLOW:g} s")
        fresh = [since for since in self._asked.values() if since > latest]
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(min(fresh) + SLOW - now, self._look_at_slow) if fresh else None

    def _wait(self, who: Hashable, reason: str, told: str) -> None:
        self._waiting.add(who)
        self._reason = reason
        if self._since is None:
            self._since = monotonic()
            log.warning("the store cannot be used now, what needs it waits: %s", told)
