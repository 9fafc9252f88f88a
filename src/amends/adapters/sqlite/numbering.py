"""The numbers of streams, as far as they are known here: so that a transition need not have its stream looked for.

Rules
- They are right because one process holds the file, and all is forgotten when streams come or go otherwise than by an
  append, or when a transaction did not end as usual.
- Those of instances that rest are forgotten: memory does not grow with those that only wait. At most `MOST` are known.
They are not: written here.
"""

import sqlite3
from typing import Final

from amends.adapters.sqlite import statements
from amends.ports.event_store import StreamKey

MOST: Final = 10_000


class StreamNumbers:
    """The numbers of the streams behind one connection, which is asked for those that are not known."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[StreamKey, int] = {}
        self._last: int | None = None
        """The largest that was given; None while that is not known."""

    def find(self, key: StreamKey) -> int | None:
        """Return the number of a stream; None when there is no such stream."""
        if (number := self._known.get(key)) is not None:
            return number
        row: tuple[int] | None = self._connection.execute(statements.FIND_STREAM, key).fetchone()
        return None if row is None else self._learn(key, row[0])

    def begin(self, key: StreamKey) -> int:
        """Give a new stream its number; it is to be added in the same transaction."""
        last = self._last
        if last is None:
            last = int(self._connection.execute(statements.LAST_STREAM).fetchone()[0])
        self._last = last + 1
        return self._learn(key, self._last)

    def rest(self, key: StreamKey) -> None:
        """Forget the number of an instance of which nothing more is to come soon."""
        self._known.pop(key, None)

    def forget(self) -> None:
        """Know nothing any more."""
        self._known.clear()
        self._last = None

    def _learn(self, key: StreamKey, number: int) -> int:
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[key] = number
        return number
