"""A lane: where one connection's blocking calls run, on the event loop while they are quick, else in a thread.

Rules
- A quick disk commits in 0.2 ms; handing that to a thread costs more than it saves. A slow disk must not stop the
  caller's loop. So the moving average of the calls' own time decides, with a gap between going and coming back.
- One thread per lane, its own: nobody else's work stands before it, and a connection is never used twice at once.
- What was begun is finished before a cancellation goes on: half a commit cannot be taken back.
It does not: know SQLite, or limit how many wait (the callers do).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")

WEIGHT = 0.05
"""Of the newest call in the average: one checkpoint of 14 ms does not yet count as a slow disk, three in a row do."""


class Lane:
    """Runs calls one after the other; `turn` must be held around them."""

    def __init__(self, *, name: str, inline_limit: float) -> None:
        self.turn = asyncio.Lock()
        self._limit = inline_limit
        self._average = 0.0
        self._aside = inline_limit <= 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    @property
    def is_aside(self) -> bool:
        """Whether calls run in the thread for now."""
        return self._aside

    @property
    def is_free(self) -> bool:
        """Whether a call may run on the loop at once, without the turn: nobody has it, and calls are quick."""
        return not (self._aside or self.turn.locked())

    async def run(self, call: Callable[[], T]) -> T:
        """Run the call where it belongs at its present pace."""
        if self._aside:
            return await self.run_aside(partial(self.run_here, call))
        return self.run_here(call)

    def run_here(self, call: Callable[[], T]) -> T:
        """Run the call at once, and count how long it took."""
        started = time.perf_counter()
        try:
            return call()
        finally:
            self._average += WEIGHT * (time.perf_counter() - started - self._average)
            self._aside = self._average >= (self._limit / 2 if self._aside else self._limit)

    async def run_aside(self, call: Callable[[], T]) -> T:
        """Run the call in the thread whatever the pace, and do not count it."""
        return await _finished(asyncio.get_running_loop().run_in_executor(self._thread, call))

    def stop(self) -> None:
        self._thread.shutdown()


async def _finished(future: asyncio.Future[T]) -> T:
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as request:
            cancelled = request
    if cancelled is not None:
        # Its own error, if any, is looked at so that nobody warns of it.
        future.exception()
        raise cancelled
    return future.result()
