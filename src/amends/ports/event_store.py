"""The event store port: streams of transitions, and one small index row for each open instance.

Rules
- A *stream* belongs to one saga instance. Its events have positions 1, 2, 3… without gaps.
- A *transition* is one stored row: all events that one trigger caused, as a JSON array. Its `position` is that of its
  first event; the next transition stands at ``position + events``.
- The unique key (namespace, saga id, position) is the optimistic lock. The loser of a race is told so and its
  neighbours in the same batch are not harmed.
- A batch is one transaction and durable when `append` returns. A batch that raises left nothing behind.
- The index row says when an open instance must be looked at again. It may say *too early*, never too late; so most
  transitions leave it alone (`KeepIndex`).
- The *log* is all transitions of all streams in the order of their commits, numbered by a growing `sequence`. What is
  committed later stands behind everything that could be read before, so a follower misses nothing.
- A store that several processes share is a `SharedStore` as well (`amends.ports.shared_store`).
It does not: read the events, decide anything, or serve queries (the read side has its own tables).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec


class StreamKey(NamedTuple):
    """Identity of an instance: (namespace, saga id)."""

    namespace: str
    saga_id: str


class Transition(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One stored row of a stream."""

    key: StreamKey
    position: int
    """Position of its first event, counted from 1."""
    events: int
    """How many events it holds, at least 1."""
    recorded_at: datetime
    """UTC, with microseconds, as the orchestrator's clock said when it decided."""
    body: bytes
    """JSON array of the events; the store does not look inside."""


class KeepIndex(msgspec.Struct, frozen=True, gc=False):
    """Leave the index row as it is."""


class SetIndex(msgspec.Struct, frozen=True, gc=False):
    """Insert or replace the index row.

    `wake_at`: look at the instance not later than this; None: nothing to wait for. `outstanding`: at least one command
    may be unanswered, so recovery must load it.
    """

    wake_at: datetime | None
    outstanding: bool


class RemoveIndex(msgspec.Struct, frozen=True, gc=False):
    """The instance has ended: remove its index row (nothing happens when there is none)."""


IndexChange: TypeAlias = KeepIndex | SetIndex | RemoveIndex


class Handled(NamedTuple):
    """An inbox row (`amends.ports.shared_store`) of which something was made."""

    number: int
    answer: bytes
    """JSON: what its sender is told, if anybody waits."""


class Append(msgspec.Struct, frozen=True, gc=False):
    """One transition to store, together with what becomes of the instance's index row."""

    transition: Transition
    index: IndexChange
    handled: Handled | None = None
    """The inbox row that it follows from, which is taken away; only where the store has an inbox."""


class OpenInstance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An index row."""

    key: StreamKey
    wake_at: datetime | None
    outstanding: bool


class Logged(NamedTuple):
    """A transition with its place in the log."""

    sequence: int
    """At least 1; grows with each commit, and may have gaps."""
    transition: Transition


class DefinitionNote(NamedTuple):
    """What a definition looked like when it was last used on this store."""

    name: str
    version: int
    fingerprint: str
    shape: bytes = b""
    """Its canonical JSON, which the fingerprint stands for; empty when an older version of Amends noted it."""


class StoreReader(Protocol):
    """What can be asked of a store without holding it."""

    async def open(self) -> None:
        """Make the store readable.

        Raises:
            StoreError: it cannot be read; the text says why.
        """
        ...

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        """Return the stream's first `limit` transitions whose position is greater than `after`, in order."""
        ...

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        """Return a piece of the log behind `after`: at most `limit` transitions, fewer where they are large.

        Empty only when there are none.
        """
        ...

    async def log_end(self) -> int:
        """Return the sequence of the last committed transition; 0 when there is none."""
        ...

    async def definitions(self) -> Sequence[DefinitionNote]:
        """Return what was noted of definitions, by name and version."""
        ...

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        """Return a page of index rows in key order, starting behind `after`."""
        ...

    async def close(self) -> None:
        """Let go. Closing twice is harmless."""
        ...


@runtime_checkable
class ReadsBeginnings(Protocol):
    """What a store has besides when it can say at once how many instances began."""

    async def beginnings(self, keys: Sequence[StreamKey]) -> Sequence[Transition]:
        """Return the first transitions of these streams, in this order; one that is not there is left out."""
        ...


@runtime_checkable
class PreparesBatches(Protocol):
    """What a store has besides when a part of storing a batch can be done while another one is being committed."""

    def prepared(self, batch: Sequence[Append]) -> Sequence[Append]:
        """Return the same batch, for `append`, with that done; as it is, where it cannot be done beforehand.

        Nothing is asked, written or waited for, and nothing is lost when the batch is not appended after all.
        """
        ...


class EventStore(Protocol):
    """Durable streams. Each method may raise `StoreUnavailable`; `append` also `StoreFull`."""

    @property
    def commits_elsewhere(self) -> bool:
        """Whether commits happen in another process, so that it pays to decide while one is on its way."""
        ...

    async def open(self) -> None:
        """Take hold of the store, creating it when it is not there.

        Raises:
            StoreHeld: another process holds it, and it is none that several may share.
            StoreReadOnly, StoreCorrupt, StoreNewer: it cannot be used as it is.
        """
        ...

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        """Store all of `batch` in one durable transaction; one verdict each, in order.

        False: another transition stands at that position already (the optimistic lock was lost), or its stream has no
        beginning, for it was given up; neither this transition nor its index change was stored, everything else of
        the batch was.
        """
        ...

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        """Correct the index row of an open instance that was looked at too early; nothing happens when it has none."""
        ...

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        """Return the stream's transitions whose position is greater than `after`, in order; empty when unknown.

        `limit`: no more than the first so many.
        """
        ...

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        """Return a piece of the log behind `after`: at most `limit` transitions, fewer where they are large.

        Empty only when there are none (or `limit` is 0). Those of one stream come in the order of their positions.
        """
        ...

    async def log_end(self) -> int:
        """Return the sequence of the last committed transition; 0 when there is none.

        Where several processes write, what is under way may still come before it.
        """
        ...

    async def settled_end(self) -> int:
        """Return the place behind which to follow the log from now on: whatever is committed after this answer comes
        behind it.

        It is the log's end where nothing is under way, as it always is in a store that one process alone writes; else
        it may be earlier, so that something comes that was committed before.
        """
        ...

    async def definitions(self) -> Sequence[DefinitionNote]:
        """Return what was noted of definitions, by name and version."""
        ...

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        """Note definitions, each in place of what was noted under its name and version; durable on return."""
        ...

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        """Return a page of index rows in key order, starting behind `after`."""
        ...

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        """Return index rows with ``wake_at <= now``, the earliest first."""
        ...

    async def next_wake(self) -> datetime | None:
        """Return the earliest `wake_at` of all index rows."""
        ...

    async def close(self) -> None:
        """Let go of the store. Closing twice is harmless."""
        ...
