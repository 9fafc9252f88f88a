"""The backlog of one lane: whose commands were set aside, because they cannot go yet and memory is for those that can.

Rules
- A command that is set aside stays outstanding in its stream; here is only whose it is. So nothing is lost with it.
- What is remembered has a bound. Beyond it the backlog only knows that there is more; the store's index knows who.
- Undos and dos come back in turn, so neither waits for all of the other. Each in the order in which they came.
It does not: read the store, or bring anybody back.
"""

from collections import OrderedDict
from typing import Final

from amends.core.effect import Direction
from amends.ports import StreamKey

MOST: Final = 10_000
"""Instances that are remembered for each lane."""


class Backlog:
    """One per lane."""

    def __init__(self, most: int = MOST) -> None:
        """Remember at most `most` instances."""
        self._most = most
        self._keys: dict[Direction, OrderedDict[StreamKey, None]] = {
            "do": OrderedDict(),
            "undo": OrderedDict(),
        }
        self._turn: Direction = "undo"
        self._beyond = 0
        self._beyond_before = 0
        self._remembered = 0
        self.size = 0
        """About how many instances wait."""

    def __contains__(self, key: StreamKey) -> bool:
        return key in self._keys["do"] or key in self._keys["undo"]

    @property
    def has_more(self) -> bool:
        """Tell whether there are instances that only the store's index knows."""
        return self._beyond > 0

    def add(self, key: StreamKey, direction: Direction) -> None:
        """Remember that a command of the instance was set aside."""
        if key in self:
            return
        if self._remembered < self._most:
            self._keys[direction][key] = None
            self._remembered += 1
        else:
            self._beyond += 1
        self.size = self._remembered + self._beyond

    def take(self) -> StreamKey | None:
        """Return who comes next, and forget it."""
        first = self._turn
        second: Direction = "do" if first == "undo" else "undo"
        self._turn = second
        for direction in (first, second):
            if self._keys[direction]:
                self._remembered -= 1
                self.size -= 1
                return self._keys[direction].popitem(last=False)[0]
        return None

    def search_begins(self) -> None:
        """The index is read from its beginning: who was set aside until now is found."""
        self._beyond_before = self._beyond

    def search_ended(self) -> None:
        """The index was read to its end."""
        self._beyond = max(0, self._beyond - self._beyond_before)
        self._beyond_before = 0
        self.size = self._remembered + self._beyond
