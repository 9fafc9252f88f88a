"""What is queued in a lane: commands in the order in which they came, dos and undos apart, retries apart.

Rules: where both wait, a do and an undo go in turn; what may not go now holds up nothing of another kind. The same
attempt is queued once. To add, take or remove one takes as long however many there are.
It does not: know why something may not go.
"""

from collections.abc import Callable, Iterator
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


class Line:
    """The commands of one kind."""

    __slots__ = ("next", "waiting")

    def __init__(self) -> None:
        """Begin empty."""
        self.waiting: dict[Attempt, SendCommand] = {}
        """In the order in which they came."""
        self.next: Iterator[Attempt] = iter(())
        """The first of them, looked up many at a time; one that does not wait any more is passed over."""


class LaneQueue:
    """One per lane."""

    def __init__(self) -> None:
        self._lines: dict[Kind, Line] = {kind: Line() for kind in KINDS["do"]}
        self.first_dos = self._lines["do"]
        """Where nothing else waits, the usual case, the next is taken from here without a question."""
        self.length = 0
        self._turn: Direction = "undo"

    def add(self, command: SendCommand) -> None:
        """Queue `command` behind those of its kind."""
        waiting = self.first_dos.waiting
        attempt: Attempt = command.command_id
        if command.attempt != 1 or command.direction != "do":
            waiting, attempt = self._lines[kind_of(command)].waiting, _attempt(command)
        if not waiting:
            # What was taken out left holes, over which whoever looks through it would walk.
            waiting.clear()
        before = len(waiting)
        waiting[attempt] = command
        self.length += len(waiting) - before

    def kinds(self) -> list[Kind]:
        """Return of which kinds there are commands, the one whose turn it is first."""
        return [kind for kind in KINDS[self._turn] if self._lines[kind].waiting]

    def count(self, kind: Kind) -> int:
        """Return how many commands of a kind there are."""
        return len(self._lines[kind].waiting)

    def take(self, may_go: Callable[[Kind], bool]) -> SendCommand | None:
        """Return the next command that may go, and forget it; None when none may."""
        for kind in KINDS[self._turn]:
            line = self._lines[kind]
            if line.waiting and may_go(kind):
                self._turn = "do" if self._turn == "undo" else "undo"
                return self.take_from(line)
        return None

    def take_from(self, line: Line) -> SendCommand:
        """Return the first command of a line that has any, and forget it."""
        waiting = line.waiting
        self.length -= 1
        while True:
            for attempt in line.next:
                command = waiting.pop(attempt, None)
                if command is not None:
                    return command
            line.next = iter([*waiting])

    def remove(self, command: SendCommand) -> bool:
        """Forget an attempt; return whether it was here."""
        found = self._lines[kind_of(command)].waiting.pop(_attempt(command), None)
        self.length -= found is not None
        return found is not None

    def take_last(self, number: int) -> list[SendCommand]:
        """Return the last `number` commands, and forget them: those that came last have waited least."""
        found: list[SendCommand] = []
        for kind in reversed(KINDS["undo"]):
            waiting = self._lines[kind].waiting
            while waiting and len(found) < number:
                found.append(waiting.popitem()[1])
        self.length -= len(found)
        return found[::-1]


def _attempt(command: SendCommand) -> Attempt:
    return command.command_id if command.attempt == 1 else (command.command_id, command.attempt)
