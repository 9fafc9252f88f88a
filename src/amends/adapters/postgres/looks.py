"""The looks at index rows that are not written yet: what is still open at the second one gets its row.

Rules
- A look comes each second; when there is nothing to write, each fifth second, so that what has to be searched after a
  crash stays short whatever others write meanwhile.
- Between the pieces of a look whoever appends has its turn.
- A look that cannot be had is no matter: the next one does what it would have done, and the log has it all.
It does not: write (`StoreWriter` does), or tell of outages (whoever appends does).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from amends.adapters.postgres.late_rows import MOST_KEPT, LateRows
from amends.ports.store_errors import StoreError

log = logging.getLogger("amends.postgres")

PAUSE: Final = 1.0
"""Seconds."""
SELDOM: Final = 5


class Looks:
    """One per open store."""

    def __init__(self, late: LateRows, write: Callable[[], Awaitable[bool]]) -> None:
        self._late = late
        self._write = write
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on looking."""
        self._task = asyncio.create_task(self._run(), name="amends-index-looks")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self) -> None:
        """Look once.

        Raises:
            StoreError: the store does not answer, or others have taken over.
        """
        while await self._write():
            pass

    async def _run(self) -> None:
        rest = SELDOM
        while True:
            await asyncio.sleep(0 if len(self._late) > MOST_KEPT else PAUSE)
            rest -= 1
            if rest and not self._late:
                continue
            rest = SELDOM
            try:
                await self.run_once()
            except StoreError:
                await asyncio.sleep(PAUSE)
            except Exception:
                log.exception("the index rows that are not written yet cannot be looked at")
                await asyncio.sleep(PAUSE)
