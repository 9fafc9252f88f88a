"""The order of the log when several processes write: sequences are given out in order and committed in any.

Rules
- The log is read up to the first gap that may still be filled. A reader that stopped there goes on as soon as it is
  filled, or dead.
- A gap below a sequence that could be seen belongs to a transaction that was under way then, or had ended: appends take
  their transaction's number (by locking the member's row) before they take sequences. So when every transaction that
  had a number at that sight has ended, all gaps below are dead. On a server where nothing writes that is at once.
- Which numbers were given out is asked of the server. A snapshot does not say: it ends behind the last number that has
  ended, and who has a newer one may have an older sequence.
- Other programs' long transactions must not hold the log up: where a gap stands in the way it is looked who writes
  transitions at all, and when those have ended that were found, the gaps below are dead as well.
- Who follows from now on begins where nothing can come before any more: at the end, when all have ended that may fill a
  gap below it; before the first gap in doubt, when one of them is under way for longer. It may be early, never late.
- What is known to be dead stays dead, so it is remembered: one place per reader of the log. But rows are read with what
  was known when they were asked for: a gap that was filled since is dead, and their answer lacks what filled it.
It does not: wait for long, or know who follows.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from amends.adapters.postgres import statements
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.reading import PIECE_BYTES, as_transition
from amends.ports.event_store import Logged, StreamKey

A_MOMENT: Final = 0.003
MOMENTS: Final = 30
"""How long, in seconds, and how often it is waited for those who may fill a gap."""
MORE_MOMENTS: Final = 1_000
"""How often by whom nothing is known yet of the gaps: before the first one may be at the beginning."""


class LogOrder:
    """What is known of gaps."""

    def __init__(self) -> None:
        self._settled = 0
        """Every gap up to here is dead."""
        self._sight: tuple[int, int] | None = None
        """The last sequence at some moment, and a transaction number that was not given out before it."""

    async def piece(self, link: Link, *, after: int, limit: int) -> list[Logged]:
        """Read the log on behind `after`; fewer than `limit` where they are large, or before a gap in doubt."""
        rows, certain = await self._read(link, after, limit)
        # With something to tell, the rest can wait for the next piece.
        if len(certain) < len(rows) and await _writers_ended(link, moments=0 if certain else MOMENTS):
            self._settled = max(self._settled, rows[0]["last"])
            rows, certain = await self._read(link, after, limit)
        return [
            Logged(sequence, as_transition(StreamKey(namespace, saga_id), *stored))
            for sequence, namespace, saga_id, *stored, _last, _oldest, _next in certain
        ]

    async def settled_end(self, link: Link) -> int:
        """Return a place that all comes behind which is committed after this answer: the end, or before a gap."""
        sight = await link.fetchrow(statements.LOG_SIGHT)
        last = sight["last"]
        self._settled = max(self._settled, self._look(sight))
        moments = MOMENTS if self._settled else MORE_MOMENTS
        if self._settled < last and await _writers_ended(link, moments=moments):
            self._settled = max(self._settled, last)
        if self._settled >= last:
            return self._settled
        return int(await link.fetchval(statements.BEFORE_GAP, self._settled))

    async def _read(self, link: Link, after: int, limit: int) -> tuple[Sequence[Any], Sequence[Any]]:
        """Return the rows behind `after`, and of these the ones before the first gap in doubt."""
        settled = self._settled
        rows = await link.fetch(statements.READ_LOG, after, limit, PIECE_BYTES)
        if rows:
            settled = max(settled, self._look(rows[0]))
            self._settled = max(self._settled, settled)
        return rows, _certain(rows, after, settled)

    def _look(self, row: Any) -> int:
        """Take one sight; return up to where it shows that gaps are dead."""
        if self._sight is not None and row["oldest"] < self._sight[1]:
            return 0
        settled = 0 if self._sight is None else self._sight[0]
        self._sight = (row["last"], row["next"])
        return max(settled, row["last"]) if row["oldest"] >= row["next"] else settled


def _certain(rows: Sequence[Any], after: int, settled: int) -> Sequence[Any]:
    for number, row in enumerate(rows):
        if row["sequence"] > after + 1 and row["sequence"] - 1 > settled:
            return rows[:number]
        after = row["sequence"]
    return rows


async def _writers_ended(link: Link, *, moments: int) -> bool:
    """Wait so many moments until all have ended that write transitions now; tell whether they have."""
    found = await link.fetchrow(statements.LOG_WRITERS)
    if found["is_standby"]:
        return False
    writers = set(found["writers"])
    for _ in range(moments):
        if not writers:
            break
        await asyncio.sleep(A_MOMENT)
        writers &= set((await link.fetchrow(statements.LOG_WRITERS))["writers"])
    return not writers
