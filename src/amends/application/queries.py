"""Queries: search and counts over instances, answered from the read model alone.

Rules: only instances of the orchestrator's namespace are shown. What is shown may be behind what is durable, by `lag`;
who must see its own writes waits with `caught_up` first.
It does not: read streams, decide, or bound how long somebody waits.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from amends.application.follower import Follower
from amends.application.projector import Projector
from amends.ports import Count, EventStore, Place, ReadModel, SagaQuery, SagaSummary

__all__ = ["Count", "Page", "Place", "Queries", "SagaQuery", "SagaSummary"]

LARGEST_PAGE = 1_000
LOOK = 0.02
"""Seconds between two looks at rows that another process puts, for somebody who waits for them."""


class Page(NamedTuple):
    """Some of what was searched for."""

    sagas: tuple[SagaSummary, ...]
    next: Place | None
    """Where the next page begins; None when there is none."""


class Queries:
    """The read side of one orchestrator."""

    def __init__(
        self,
        *,
        read_model: ReadModel,
        store: EventStore,
        follower: Follower,
        projector: Projector,
        namespace: str,
    ) -> None:
        """Ask `read_model`, which `projector` fills."""
        self._read_model = read_model
        self._store = store
        self._follower = follower
        self._projector = projector
        self._namespace = namespace

    async def find(self, query: SagaQuery, *, limit: int = 50, after: Place | None = None) -> Page:
        """Return a page of the instances that `query` wants, behind `after`.

        Raises:
            ValueError: `limit` is not 1 to 1,000.
        """
        query = msgspec.structs.replace(query, namespace=self._namespace)
        return await find_page(self._read_model, query, limit=limit, after=after)

    async def counts(self) -> dict[str, dict[str, int]]:
        """Return how many instances there are, by saga and status."""
        return counted(await self._read_model.counts(self._namespace))

    async def secret(self) -> bytes | None:
        """Return 32 bytes that all processes which answer from these rows know; None: only this one does.

        Raises:
            StoreError: the read model is not open.
        """
        return await self._read_model.secret()

    @property
    def lag(self) -> int:
        """Return about how many transitions are durable and not shown yet."""
        return self._follower.lag(self._projector)

    @property
    def projected(self) -> int:
        """Return the sequence of the log up to which everything is shown."""
        return self._follower.place(self._projector)

    async def caught_up(self, sequence: int | None = None) -> None:
        """Wait until the log is shown up to `sequence`; without it, up to what is durable now. The caller bounds it."""
        wanted = await self._store.log_end() if sequence is None else sequence
        while not self._projector.leads and self.projected < wanted:
            # Another process projects: only the checkpoint beside the rows tells how far they go.
            checkpoint = await self._read_model.checkpoint()
            if checkpoint.sequence >= wanted:
                return
            await asyncio.sleep(LOOK)
        await self._follower.taken(self._projector, wanted)


async def find_page(read_model: ReadModel, query: SagaQuery, *, limit: int, after: Place | None) -> Page:
    """Return a page of what `query` wants from `read_model`.

    Raises:
        ValueError: `limit` is not 1 to 1,000.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValueError(f"a page has 1 to {LARGEST_PAGE} sagas, not {limit}")
    rows = await read_model.find(query, limit=limit + 1, after=after)
    page = tuple(rows[:limit])
    has_more = len(rows) > limit
    return Page(page, Place(page[-1].started_at, page[-1].namespace, page[-1].id) if has_more else None)


def counted(counts: Sequence[Count]) -> dict[str, dict[str, int]]:
    """Return counts by saga and status."""
    table: dict[str, dict[str, int]] = {}
    for saga, status, number in counts:
        table.setdefault(saga, {})[status] = number
    return table
