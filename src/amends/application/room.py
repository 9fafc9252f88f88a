"""Room for instances: how many may be live, and who waits for a place.

Rules: first come, first served; a place that becomes free is promised to the first who waits, and passed on should that
one have given up meanwhile. More waiting callers than the limit are refused. An instance that rests while a caller
waits for its end counts as that caller.
It does not: hold instances, or bound those that come back because something arrived for them.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sized
from contextlib import suppress

from amends.application.errors import Overloaded


class Room:
    """Bounds `live`, which somebody else fills and empties, without those of them that are `resting`."""

    def __init__(
        self,
        live: Sized,
        *,
        most_live: int,
        most_waiting: int,
        resting: Sized = (),
        make_room: Callable[[int], None] | None = None,
    ) -> None:
        """Let in up to `most_live`; up to `most_waiting` callers may wait.

        `make_room` is told how many may be live when one is kept waiting, so that others may rest.
        """
        self._live = live
        self._resting = resting
        self._make_room = make_room
        self._most_live = most_live
        self._most_waiting = most_waiting
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._promised = 0

    def _has_room(self) -> bool:
        beyond = len(self._live) + self._promised - self._most_live
        return beyond < 0 or beyond < min(len(self._resting), self._most_waiting)

    def is_open(self) -> bool:
        """Tell whether who comes now need not wait."""
        return not self._waiting and self._has_room()

    @property
    def waiting(self) -> int:
        """Return how many callers wait."""
        return len(self._waiting)

    async def enter(self, *, patient: bool = False) -> None:
        """Wait for a place; the caller takes it before it suspends again. A `patient` caller is never refused.

        Raises:
            Overloaded: too many wait already.
        """
        if self.is_open():
            return
        kept_waiting = len(self._waiting) + len(self._resting)
        if not patient and kept_waiting >= self._most_waiting:
            raise Overloaded(
                f"{len(self._live)} instances are in work and {kept_waiting} callers wait; try again later"
            )
        if self._make_room is not None:
            self._make_room(self._most_live)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(turn)
            else:
                self._promised -= 1
                self.let_in()
            raise
        self._promised -= 1

    def let_in(self) -> None:
        """Promise what is free to those who wait."""
        while self._waiting and self._has_room():
            self._promise()

    def let_all_in(self) -> None:
        """End all waiting: there is nothing to wait for any more."""
        while self._waiting:
            self._promise()

    def _promise(self) -> None:
        turn = self._waiting.popleft()
        if not turn.done():
            self._promised += 1
            turn.set_result(None)
