"""What is queued in a lane: commands in the order in which they came, dos and undos apart, retries apart.

Rules: where both wait, a do and an undo go in turn; what may not go now holds up nothing of another kind. The same
attempt is queued once. To add, take or remove one takes as long however many there are.
It does not: know why something may not go.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

from amends.application.gate import Kind, kind_of
from amends.core.effect import Direction, SendCommand

KINDS: Final[dict[Direction, tuple[Kind, ...]]] = {
    "undo": ("undo", "undo again", "do", "do again"),
    "do": ("do", "do again", "undo", "undo again"),
}
"""In which order kinds are looked at, by whose turn it is."""

Attempt: TypeAlias = str | tuple[str, int]
"""What is queued once; a first attempt is known by its command alone, which is quicker."""
Line: TypeAlias = OrderedDict[Attempt, SendCommand]
"""The commands of one kind, in the order in which they came. A plain dict would walk over what was taken before."""


class LaneQueue:
    """One per lane."""

    def __init__(self) -> None:
        self._lines: dict[Kind, Line] = {kind: OrderedDict() for kind in KINDS["do"]}
        self.first_dos = self._lines["do"]
        """Where nothing else waits, the usual case, the next is taken from here without a question."""
        self.length = 0
        self._turn: Direction = "undo"

    def add(self, command: SendCommand) -> None:
        """Queue `command` behind those of its kind."""
        line = self.first_dos
        attempt: Attempt = command.command_id
        if command.attempt != 1 or command.direction != "do":
            line, attempt = self._lines[kind_of(command)], _attempt(command)
        if attempt not in line:
            self.length += 1
        line[attempt] = command

    def kinds(self) -> list[Kind]:
        """Return of which kinds there are commands, the one whose turn it is first."""
        return [kind for kind in KINDS[self._turn] if self._lines[kind]]

    def count(self, kind: Kind) -> int:
        """Return how many commands of a kind there are."""
        return len(self._lines[kind])

    def take(self, may_go: Callable[[Kind], bool]) -> SendCommand | None:
        """Return the next command that may go, and forget it; None when none may."""
        for kind in KINDS[self._turn]:
            line = self._lines[kind]
            if line and may_go(kind):
                self._turn = "do" if self._turn == "undo" else "undo"
                return self.take_from(line)
        return None

    def take_from(self, line: Line) -> SendCommand:
        """Return the first command of a line that has any, and forget it."""
        self.length -= 1
        return line.popitem(last=False)[1]

    def remove(self, command: SendCommand) -> bool:
        """Forget an attempt; return whether it was here."""
        found = self._lines[kind_of(command)].pop(_attempt(command), None)
        self.length -= found is not None
        return found is not None

    def take_last(self, number: int) -> list[SendCommand]:
        """Return the last `number` commands, and forget them: those that came last have waited least."""
        found: list[SendCommand] = []
        for kind in reversed(KINDS["undo"]):
            line = self._lines[kind]
            while line and len(found) < number:
                found.append(line.popitem()[1])
        self.length -= len(found)
        return found[::-1]


def _attempt(command: SendCommand) -> Attempt:
    return command.command_id if command.attempt == 1 else (command.command_id, command.attempt)
