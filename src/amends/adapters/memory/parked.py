"""Parked records in memory: the oracle that every other store of them is held against, and enough for trials.

Rules: one dictionary; each question is answered by looking at all of them. Closing keeps the content.
It does not: persist.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from amends.ports.parked import Kept, Parked, ParkedState


class MemoryParkedStore:
    """`ParkedStore` in this process's memory."""

    def __init__(self) -> None:
        self._kept: dict[str, Parked] = {}

    async def open(self) -> None:
        """There is nothing to open."""

    async def put(self, batch: Sequence[Parked]) -> Sequence[Kept]:
        return [self._put(each) for each in batch]

    def _put(self, parked: Parked) -> Kept:
        if parked.id in self._kept:
            return False
        try:
            # What others could not store, the oracle takes as little.
            msgspec.msgpack.encode(parked)
        except ValueError as error:
            return error
        self._kept[parked.id] = replace(parked, number=len(self._kept) + 1)
        return True

    async def settle(
        self, parked_id: str, state: ParkedState, *, by: str, note: str, at: datetime, code: str = ""
    ) -> bool:
        found = self._kept.get(parked_id)
        if found is None or found.state not in {"waiting", "parked"}:
            return False
        self._kept[parked_id] = replace(
            found, state=state, by=by, note=note, settled_at=at, code=code or found.code
        )
        return True

    async def get(self, parked_id: str) -> Parked | None:
        return self._kept.get(parked_id)

    async def find(
        self,
        *,
        states: Sequence[ParkedState] = (),
        namespace: str = "",
        saga_id: str = "",
        topic: str = "",
        code: str = "",
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[Parked]:
        wanted = [
            each
            for each in self._kept.values()
            if each.number > after
            and (not states or each.state in states)
            and namespace in {"", each.namespace}
            and saga_id in {"", each.saga_id}
            and topic in {"", each.record.topic}
            and code in {"", each.code}
        ]
        return wanted[:limit]

    async def counts(self) -> Mapping[ParkedState, int]:
        return Counter(each.state for each in self._kept.values())

    async def close(self) -> None:
        """There is nothing to let go of."""
