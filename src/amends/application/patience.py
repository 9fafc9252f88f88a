"""Patience with a store that is away: asks again, with growing pauses, until it answers.

Rules: only what passes by itself is waited for; that there is an outage is told to all who use the store together.
It does not: give up before the orchestrator closes. Then the store answers nobody any more, and who waits is told that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeVar

from amends.application.availability import Availability
from amends.ports import StoreUnavailable

T = TypeVar("T")

FIRST_PAUSE: Final = 0.05
"""Seconds before the first new try; doubled up to `LONGEST_PAUSE`."""
LONGEST_PAUSE: Final = 2.0


def longer(pause: float) -> float:
    """Return the pause that follows `pause` seconds; the first follows 0."""
    return min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)


class Patience:
    """Shared by all who read."""

    def __init__(self, availability: Availability) -> None:
        """Tell `availability` of each wait."""
        self._availability = availability
        self._over: Exception | None = None

    def end(self, reason: Exception) -> None:
        """Wait no more: who has no answer gets `reason`, at the latest after `LONGEST_PAUSE`."""
        self._over = reason

    async def ask(self, question: Callable[[], Awaitable[T]], *, within: float = inf) -> T:
        """Return the store's answer, however long it takes; or no longer than `within` seconds.

        Raises:
            StoreUnavailable: there was none in that time.
            NotRunning, StoreError: there is none because the orchestrator has stopped.
        """
        pause = 0.0
        this = object()
        latest = asyncio.get_running_loop().time() + within
        try:
            while True:
                try:
                    answer = await question()
                except StoreUnavailable as error:
                    if self._over is not None:
                        raise self._over.with_traceback(None) from error
                    if (rest := latest - asyncio.get_running_loop().time()) <= 0:
                        raise
                    self._availability.missed(this, error)
                    pause = longer(pause)
                    await asyncio.sleep(min(pause, rest))
                else:
                    if pause:
                        self._availability.answered(this)
                    return answer
        finally:
            if pause:
                self._availability.left(this)
