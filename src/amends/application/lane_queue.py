"""What is queued in a lane: commands in the order in which they came, dos and undos apart, retries apart.

Rules: where both wait, a do and an undo go in turn; what may not go now holds up nothing of another kind. The same
attempt is queued once.
It does not: know why something may not go.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from amends.application.gate import Kind, kind_of
from amends.core.effect import Direction, SendCommand

KINDS: Final[dict[Direction, tuple[Kind, ...]]] = {
    "undo": ("undo", "undo again", "do", "do again"),
    "do": ("do", "do again", "undo", "undo again"),
}
"""In which order kinds are looked at, by whose turn it is."""


class LaneQueue:
    """One per lane."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, OrderedDict[tuple[str, int], SendCommand]] = {
            kind: OrderedDict() for kind in KINDS["do"]
        }
        self._dos = self._kinds["do"]
        self.length = 0
        self._turn: Direction = "undo"

    def add(self, command: SendCommand) -> None:
        """Queue `command` behind those of its kind."""
        number = command.attempt
        kind = self._dos if number == 1 and command.direction == "do" else self._kinds[kind_of(command)]
        before = len(kind)
        kind[command.command_id, number] = command
        self.length += len(kind) - before

    def kinds(self) -> list[Kind]:
        """Return of which kinds there are commands, the one whose turn it is first."""
        return [kind for kind in KINDS[self._turn] if self._kinds[kind]]

    def count(self, kind: Kind) -> int:
        """Return how many commands of a kind there are."""
        return len(self._kinds[kind])

    @property
    def has_first_do(self) -> bool:
        """Tell whether a first attempt of a do waits."""
        return bool(self._dos)

    def take_first_do(self) -> SendCommand | None:
        """Return the next command where only first attempts of dos wait, and forget it: the usual case."""
        if not self.length or len(self._dos) != self.length:
            return None
        self.length -= 1
        return self._dos.popitem(last=False)[1]

    def take(self, may_go: Callable[[Kind], bool]) -> SendCommand | None:
        """Return the next command that may go, and forget it; None when none may."""
        for kind in KINDS[self._turn]:
            waiting = self._kinds[kind]
            if waiting and may_go(kind):
                self._turn = "do" if self._turn == "undo" else "undo"
                self.length -= 1
                return waiting.popitem(last=False)[1]
        return None

    def remove(self, command: SendCommand) -> bool:
        """Forget an attempt; return whether it was here."""
        found = self._kinds[kind_of(command)].pop((command.command_id, command.attempt), None)
        self.length -= found is not None
        return found is not None

    def take_last(self, number: int) -> list[SendCommand]:
        """Return the last `number` commands, and forget them: those that came last have waited least."""
        found: list[SendCommand] = []
        for kind in reversed(KINDS["undo"]):
            waiting = self._kinds[kind]
            while waiting and len(found) < number:
                found.append(waiting.popitem()[1])
        self.length -= len(found)
        return found[::-1]
