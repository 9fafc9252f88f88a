"""Index rows that are not written yet: those of instances that this member began a moment ago.

Most instances end within a second. A row that is inserted and deleted again costs the server a fifth of all that it
does for them, so a row is kept here first, and is written when its instance is still open at the second look, or when
it waits with no command out: then it is no short one.

Rules
- What is here is as true as what is in the table, and newer where both have it. Who asks takes what is here first and
  asks the table then: a row that is written in between is seen twice, and never not at all.
- Changes are made when what they belong to is committed, by whoever has the turn to write.
- A row that was asked to be written is not here alone any more, whatever became of it: what changes it has to change
  the table as well.
- After a crash the log says what is missing (`migrations/0009_late_rows.sql`).
It does not: write, look at the clock, or outlive the member.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from amends.ports.event_store import OpenInstance, SetIndex, StreamKey
from amends.ports.shared_store import shard_of

MOST_KEPT: Final = 10_000
"""Rows; with more it is time to look."""


class LateRows:
    """One per writer, cleared when it becomes a member anew."""

    def __init__(self) -> None:
        self._rows: dict[StreamKey, SetIndex] = {}
        self._seen: dict[StreamKey, None] = {}
        """Those that were here at the last look, and perhaps some that have left since."""
        self._asked: set[StreamKey] = set()
        """Those that the server was asked to write, while nobody knows that it did."""
        self.log_end = 0
        """The log's end at the last look: what began before it was seen, or has left."""
        self.asked = 0
        """How often some were to be written: who counted on their being here alone must look anew."""

    def __len__(self) -> int:
        return len(self._rows)

    def has_alone(self, key: StreamKey) -> bool:
        """Tell whether a row is here and certainly not in the table."""
        return key in self._rows and key not in self._asked

    def put(self, rows: Mapping[StreamKey, SetIndex]) -> None:
        """Keep rows of which the table has none, in place of what is here."""
        self._rows.update(rows)

    def forget(self, keys: Iterable[StreamKey]) -> None:
        """Keep rows no more: they are in the table, or of no use."""
        rows, asked = self._rows, self._asked
        for key in keys:
            rows.pop(key, None)
        if asked:
            asked.difference_update(keys)

    def correct(self, key: StreamKey, change: SetIndex) -> None:
        """Correct a row, if it is here."""
        if key in self._rows:
            self._rows[key] = change

    def look(self, log_end: int) -> None:
        """Take notice that a look is over: what is here now is written by the next one."""
        self._seen = dict.fromkeys(self._rows)
        self.log_end = log_end

    def ripe(self, most: int, *, all_of_them: bool) -> dict[StreamKey, SetIndex]:
        """Return rows to write: of those that were here at the last look, or of all."""
        rows, keys = self._rows, self._rows if all_of_them else self._seen
        return dict(islice(((key, rows[key]) for key in keys if key in rows), most))

    def asked_for(self, keys: Collection[StreamKey]) -> None:
        """Take notice that the server is asked to write these."""
        self.asked += 1
        self._asked.update(keys)

    def refused(self, keys: Iterable[StreamKey]) -> None:
        """Take notice that it certainly wrote none of these."""
        self._asked.difference_update(keys)

    def clear(self, log_end: int) -> None:
        """Forget all: others have taken over, or nothing has begun yet."""
        self.asked += 1
        self._rows, self._seen, self._asked = {}, {}, set()
        self.log_end = log_end

    def open(self) -> list[OpenInstance]:
        """Return all rows."""
        return [_row(key, row) for key, row in self._rows.items()]

    def outstanding(self, shards: Collection[int]) -> list[OpenInstance]:
        """Return those of shards with commands that may be unanswered."""
        return [
            _row(key, row) for key, row in self._rows.items() if row.outstanding and shard_of(key) in shards
        ]

    def due(self, now: datetime, shards: Collection[int] | None = None) -> list[OpenInstance]:
        """Return those whose time has come, of shards or of all."""
        return [
            _row(key, row)
            for key, row in self._rows.items()
            if row.wake_at is not None and row.wake_at <= now and (shards is None or shard_of(key) in shards)
        ]

    def next_wake(self, shards: Collection[int] | None = None) -> datetime | None:
        """Return when the first of them must be looked at."""
        first: datetime | None = None
        for key, row in self._rows.items():
            wake_at = row.wake_at
            if wake_at is None or (first is not None and wake_at >= first):
                continue
            if shards is None or shard_of(key) in shards:
                first = wake_at
        return first


def _row(key: StreamKey, row: SetIndex) -> OpenInstance:
    return OpenInstance(key=key, wake_at=row.wake_at, outstanding=row.outstanding)


def a_page(
    late: Sequence[OpenInstance], stored: Sequence[OpenInstance], *, after: StreamKey | None, limit: int
) -> Sequence[OpenInstance]:
    """Return a page in key order of what is here and a page of what the table has."""
    wanted = [row for row in late if after is None or row.key > after]
    return sorted(_both(wanted, stored), key=lambda row: row.key)[:limit] if wanted else stored


def earliest(
    late: Sequence[OpenInstance], stored: Sequence[OpenInstance], *, limit: int
) -> Sequence[OpenInstance]:
    """Return the earliest of what is due here and in the table."""
    return sorted(_both(late, stored), key=lambda row: (row.wake_at, row.key))[:limit] if late else stored


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier of two instants that may not be there."""
    return min((each for each in (one, other) if each is not None), default=None)


def _both(late: Sequence[OpenInstance], stored: Sequence[OpenInstance]) -> Iterable[OpenInstance]:
    return {row.key: row for row in (*stored, *late)}.values()
