"""A read model in memory: the oracle that every other one is held against, and enough for trials.

Rules: one dictionary of rows; each question is answered by looking at all of them. Closing keeps the content.
It does not: persist, or know an index for anything.
"""

from collections import Counter
from collections.abc import Sequence

from amends.core.transitions import Status
from amends.ports.event_store import StreamKey
from amends.ports.read_model import Checkpoint, Count, Place, SagaQuery, SagaSummary
from amends.ports.store_errors import StoreUnavailable

NOTHING = Checkpoint(0, "")


class MemoryReadModel:
    """`ReadModel` in this process's memory."""

    def __init__(self) -> None:
        self._rows: dict[StreamKey, SagaSummary] = {}
        self._checkpoint = NOTHING
        self._is_open = False

    async def open(self) -> None:
        self._is_open = True

    async def checkpoint(self) -> Checkpoint:
        self._check_open()
        return self._checkpoint

    async def claim(self) -> bool:
        self._check_open()
        return True

    async def put(self, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
        self._check_open()
        for row in rows:
            _check_possible(row)
        self._rows.update({StreamKey(row.namespace, row.id): row for row in rows})
        self._checkpoint = checkpoint

    async def remove(self, keys: Sequence[StreamKey]) -> None:
        self._check_open()
        for key in keys:
            self._rows.pop(key, None)

    async def clear(self) -> None:
        self._check_open()
        self._rows.clear()
        self._checkpoint = NOTHING

    async def find(
        self, query: SagaQuery, *, limit: int, after: Place | None = None
    ) -> Sequence[SagaSummary]:
        self._check_open()
        newest = query.newest_first
        rows = sorted((row for row in self._rows.values() if _is_wanted(row, query)), key=_place)
        if after is not None:
            rows = [row for row in rows if (_place(row) < after if newest else _place(row) > after)]
        return (rows[::-1] if newest else rows)[:limit]

    async def counts(self, namespace: str = "") -> Sequence[Count]:
        self._check_open()
        counted: Counter[tuple[str, Status]] = Counter(
            (row.saga, row.status) for row in self._rows.values() if namespace in {"", row.namespace}
        )
        return [Count(saga, status, number) for (saga, status), number in sorted(counted.items())]

    async def secret(self) -> bytes | None:
        return None

    async def close(self) -> None:
        self._is_open = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("The read model in memory is not open; call open() first.")


def _check_possible(row: SagaSummary) -> None:
    if row.started_at.tzinfo is None or row.updated_at.tzinfo is None:
        raise TypeError("Instants have a time zone.")


def _place(row: SagaSummary) -> Place:
    return Place(row.started_at, row.namespace, row.id)


def _is_wanted(row: SagaSummary, query: SagaQuery) -> bool:
    return (
        query.namespace in {"", row.namespace}
        and query.saga in {"", row.saga}
        and query.version in {None, row.version}
        and (not query.statuses or row.status in query.statuses)
        and query.business_status in {"", row.business_status}
        and query.paused in {None, row.paused}
        and (query.started_from is None or row.started_at >= query.started_from)
        and (query.started_before is None or row.started_at < query.started_before)
        and (query.updated_from is None or row.updated_at >= query.updated_from)
        and (query.updated_before is None or row.updated_at < query.updated_before)
        and row.id.startswith(query.id_prefix)
    )
