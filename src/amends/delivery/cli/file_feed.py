"""What happens in a store file, by looking at it again and again.

Rules: a file cannot call, so it is looked at every `LOOK` seconds; nothing is missed between two looks. It is at its
place when it is made.
It does not: hold the file.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import groupby
from typing import Any, Final

from amends.application.inspection import Inspection
from amends.application.queries import SagaQuery
from amends.delivery.cli.file_documents import as_faults, event_documents, summaries
from amends.delivery.client.exact_json import Document

LOOK: Final = 0.2
"""Seconds."""


class FileFeed:
    """An endless iterator over transitions, in the shape of a service's feed."""

    def __init__(
        self,
        inspection: Inspection,
        *,
        namespace: str,
        saga_id: str | None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin with what comes now; `inspection` is not open yet.

        Raises:
            Denied, Unreachable: the file cannot be read, or has no such instance.
        """
        self._inspection = inspection
        self._query = SagaQuery(namespace=namespace, id_prefix=saga_id or "")
        self._saga_id = saga_id
        self._wait = wait
        self._runner = asyncio.Runner()
        self._opened = AsyncExitStack()
        self._seen: dict[str, int] = {}
        self._coming: deque[Document] = deque()
        with as_faults():
            self._runner.run(self._begin())

    def __iter__(self) -> "FileFeed":
        return self

    def __next__(self) -> Document:
        """Wait for the next transition."""
        while not self._coming:
            self._wait(LOOK)
            with as_faults():
                self._runner.run(self._look())
        return self._coming.popleft()

    def close(self) -> None:
        """Let go of the file."""
        self._runner.run(self._opened.aclose())
        self._runner.close()

    async def _begin(self) -> None:
        await self._opened.enter_async_context(self._inspection)
        if self._saga_id is None:
            self._seen = {row.id: row.position for row in await summaries(self._inspection, self._query)}
        else:
            self._seen = {self._saga_id: (await self._inspection.get(self._saga_id)).position}

    async def _look(self) -> None:
        if self._saga_id is not None:
            await self._read(self._saga_id)
            return
        rows = await summaries(self._inspection, self._query)
        for row in sorted(rows, key=lambda row: row.sequence):
            if row.position > self._seen.get(row.id, 0):
                await self._read(row.id)

    async def _read(self, saga_id: str) -> None:
        events = event_documents(await self._inspection.events(saga_id, after=self._seen.get(saga_id, 0)))
        for moment, together in groupby(events, key=lambda event: event["time"]):
            self._coming.append(_item(saga_id, moment, list(together)))
        if events:
            self._seen[saga_id] = events[-1]["position"]


def _item(saga_id: str, moment: Any, events: list[Document]) -> Document:
    told = [{name: value for name, value in event.items() if name != "time"} for event in events]
    return {"saga_id": saga_id, "position": events[-1]["position"], "time": moment, "events": told}
