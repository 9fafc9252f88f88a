"""Parking: joins the records that are to be parked into transactions, and says sparingly what was parked.

Rules
- One transaction is in flight; the next holds what came meanwhile, so there is no timer and no artificial delay. A
  caller is answered when its record is durable. A record that cannot be kept fails alone; a fault of the store is told
  to all whose records were in that transaction, for it passes, and they come again.
- The log has a line for the first record of a topic and a code, and at each `look` one for all that followed it: poison
  in a stream must not become a flood of lines. How many there were, the figures say.
It does not: decide what is parked, or try again.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, TypeAlias

from amends.ports.parked import Parked, ParkedStore
from amends.wire.excerpt import excerpt

log = logging.getLogger("amends.arrivals")

MOST: Final = 500
"""Records in one transaction."""
LARGEST: Final = 4 << 20
"""Bytes of records in one transaction, beyond the first."""


Verdict: TypeAlias = bool | Exception
"""Whether a record is new; or why it is not kept, or not known to be."""


class Parking:
    """One per process, on a store that others open and close."""

    def __init__(self, store: ParkedStore) -> None:
        """Put records into `store`."""
        self._store = store
        self._pending: list[tuple[Parked, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._held_back: dict[tuple[str, str], int] = {}

    async def put(self, parked: Parked) -> bool:
        """Keep a record; tell, when it is durable, whether it is new.

        Raises:
            ValueError: it cannot be kept as it is.
            StoreError: it is not known to be kept.
        """
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((parked, told))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="amends-parking")
        return await told

    async def close(self) -> None:
        """Wait until all are answered whose records were put."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        self.look()

    def parked(self, parked: Parked, *, defect: BaseException | None = None) -> None:
        """Take notice of a record for a person, and of the `defect` of this service, if that is the reason."""
        kind = parked.record.topic, parked.code
        if kind in self._held_back:
            self._held_back[kind] += 1
            return
        self._held_back[kind] = 0
        where = f"{parked.record.topic}[{parked.record.partition}]@{parked.record.offset}"
        level = logging.WARNING if defect is None else logging.ERROR
        saga = {"saga": excerpt(parked.saga_id)}
        log.log(level, "parked %s: %s, %s", where, parked.code, parked.reason, exc_info=defect, extra=saga)

    def look(self) -> None:
        """Say how many more were parked since the last look."""
        for (topic, code), more in self._held_back.items():
            if more:
                log.warning("parked %d more of %s: %s", more, topic, code)
        self._held_back = {kind: 0 for kind, more in self._held_back.items() if more}

    async def _write(self) -> None:
        try:
            while self._pending:
                batch = self._take()
                verdicts: Sequence[Verdict]
                try:
                    verdicts = await self._store.put([parked for parked, _told in batch])
                except Exception as error:  # noqa: BLE001  it is theirs whose records these are
                    verdicts = [error] * len(batch)
                for (_parked, told), verdict in zip(batch, verdicts, strict=True):
                    _answer(told, verdict)
        finally:
            self._writing = None

    def _take(self) -> "list[tuple[Parked, asyncio.Future[bool]]]":
        """Take the next batch."""
        size = count = 0
        for parked, _told in self._pending:
            size += len(parked.record.value or b"")
            if count and (size > LARGEST or count >= MOST):
                break
            count += 1
        batch, self._pending = self._pending[:count], self._pending[count:]
        return batch


def _answer(told: "asyncio.Future[bool]", verdict: Verdict) -> None:
    # Whoever was cancelled meanwhile hears nothing.
    if told.done():
        return
    if isinstance(verdict, Exception):
        told.set_exception(verdict)
    else:
        told.set_result(verdict)
