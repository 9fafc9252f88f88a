"""The end of the log in memory: what this process committed last, so that who follows the log need not read it again.

Rules
- It begins when somebody reads the log, and holds what was committed since without a gap: at most `MOST` transitions
  and about `MOST_BYTES` bytes; the oldest go first.
- It is right because the file is held by one process. What changes the log otherwise, or leaves it open what was
  committed, empties it; then the file is asked.
It does not: read the file.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from amends.ports.event_store import Logged, Transition

MOST: Final = 2_000
MOST_BYTES: Final = 1_048_576


class LogTail:
    """The last transitions of the log."""

    def __init__(self) -> None:
        self._logged: deque[Logged] = deque()
        self._bytes = 0
        self._end: int | None = None
        """The last sequence; None while nothing is known."""

    def add(self, transitions: Sequence[Transition], end: int) -> None:
        """Take in what was committed just now, in the order of the log, which ends at `end`."""
        first = end - len(transitions) + 1
        if self._end is not None and self._end + 1 != first:
            self.forget()
        logged = self._logged
        for sequence, transition in enumerate(transitions, start=first):
            logged.append(Logged(sequence, transition))
            self._bytes += len(transition.body)
        self._end = end
        while len(logged) > MOST or (self._bytes > MOST_BYTES and logged):
            self._bytes -= len(logged.popleft().transition.body)

    def forget(self) -> None:
        """Know nothing any more."""
        self._logged.clear()
        self._bytes = 0
        self._end = None

    def behind(self, after: int, limit: int) -> list[Logged] | None:
        """Return the log behind `after`, at most `limit` transitions; None when the file is to be asked."""
        logged, end = self._logged, self._end
        if end is None or after > end:
            return None
        if after == end:
            return []
        if not logged or after < logged[0].sequence - 1:
            return None
        begin = after - logged[0].sequence + 1
        return list(islice(logged, begin, begin + limit))
