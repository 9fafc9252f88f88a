"""The read model port: one row per saga instance, to be searched and counted.

Rules
- Rows and checkpoint are one transaction, so what is shown is always the log up to some point, never half of a batch.
- It can be dropped at any time and is rebuilt from the log; nothing is stored here alone, and no decision reads it.
- Several processes may share one: each answers from it, one at a time writes, who has claimed that.
- Rows come in the order of (started_at, namespace, id), forward or backward, and pages go on behind a `Place`. What is
  begun meanwhile moves no page.
It does not: read events, or know how a row comes about (`application/projector.py` does).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from amends.core.transitions import Status
from amends.ports.event_store import StreamKey


class SagaSummary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One instance in a list."""

    namespace: str
    id: str
    saga: str
    version: int
    status: Status
    business_status: str
    paused: bool
    position: int
    """How many events its stream has."""
    sequence: int
    """The place in the log of its last transition."""
    started_at: datetime
    updated_at: datetime
    """When its last transition was decided."""
    ended_at: datetime | None
    """None while it is open."""
    stuck: tuple[str, ...]
    """The paths that wait for a person."""
    cause: str
    """The code of what turned it round; empty while it goes forward."""


class SagaQuery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which instances are wanted; what is left at its default does not restrict. `from` includes, `before` excludes."""

    namespace: str = ""
    saga: str = ""
    version: int | None = None
    statuses: tuple[Status, ...] = ()
    """Any of these."""
    business_status: str = ""
    paused: bool | None = None
    started_from: datetime | None = None
    started_before: datetime | None = None
    updated_from: datetime | None = None
    updated_before: datetime | None = None
    id_prefix: str = ""
    newest_first: bool = True


class Place(NamedTuple):
    """A row's place in the order of all rows."""

    started_at: datetime
    namespace: str
    id: str


class Count(NamedTuple):
    """How many instances of a saga have a status; there is none of 0."""

    saga: str
    status: Status
    number: int


class Checkpoint(NamedTuple):
    """Up to where the log is in the rows."""

    sequence: int
    """0: nothing yet."""
    mark: str
    """What stands in the log there: another store has another transition at this sequence."""


class ReadModel(Protocol):
    """Rows and their checkpoint. Each method may raise `StoreUnavailable`; `put` also `StoreFull`.

    `put`, `remove` and `clear` may raise `ClaimLost`: nothing was written, and the checkpoint must be asked for anew.
    """

    async def open(self) -> None:
        """Make it usable; what cannot be used as it is (damaged, of another version) is made anew, empty.

        Raises:
            StoreReadOnly, StoreHeld, StoreNewer: it can be neither used nor replaced.
        """
        ...

    async def claim(self) -> bool:
        """Take the right to write, unless another process has it; tell whether it is ours. Ends with `close`."""
        ...

    async def checkpoint(self) -> Checkpoint:
        """Return up to where the log is in the rows."""
        ...

    async def put(self, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
        """Insert or replace `rows`, at most one per instance, and move the checkpoint, in one transaction."""
        ...

    async def remove(self, keys: Sequence[StreamKey]) -> None:
        """Forget the rows of some instances; the checkpoint stays."""
        ...

    async def clear(self) -> None:
        """Forget all rows and the checkpoint."""
        ...

    async def find(
        self, query: SagaQuery, *, limit: int, after: Place | None = None
    ) -> Sequence[SagaSummary]:
        """Return the first `limit` rows that `query` wants behind `after`, in its order."""
        ...

    async def counts(self, namespace: str = "") -> Sequence[Count]:
        """Return how many instances there are, by saga and status; of one namespace, or of all."""
        ...

    async def secret(self) -> bytes | None:
        """Return 32 bytes that all who share the rows know, as long as the rows last; None: one process has them."""
        ...

    async def close(self) -> None:
        """Let go. Closing twice is harmless."""
        ...
