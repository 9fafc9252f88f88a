"""Patience with a store that is away: asks again, with growing pauses, until it answers.

Rules: only what passes by itself is waited for; it is said once when waiting begins and once when it ends.
It does not: give up; whoever waits is cancelled when the orchestrator closes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from amends.ports import StoreUnavailable

log = logging.getLogger("amends.store")

T = TypeVar("T")

FIRST_PAUSE: Final = 0.05
"""Seconds before the first new try; doubled up to `LONGEST_PAUSE`."""
LONGEST_PAUSE: Final = 2.0


def longer(pause: float) -> float:
    """Return the pause that follows `pause` seconds; the first follows 0."""
    return min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)


class Patience:
    """Shared by all who read, so that an outage is told once and not once per instance."""

    def __init__(self) -> None:
        """Begin with a store that answers."""
        self._waits = False

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return the store's answer, however long it takes."""
        pause = 0.0
        while True:
            try:
                answer = await question()
            except StoreUnavailable as error:
                if not self._waits:
                    self._waits = True
                    log.warning("reading waits: %s", error)
                pause = longer(pause)
                await asyncio.sleep(pause)
            else:
                if self._waits:
                    self._waits = False
                    log.warning("the store can be read again")
                return answer
