"""The retention port: what a store can do besides, to give up finished streams and to take them back.

Rules
- A stream has *finished* when it has no index row; until its instance is reopened by a late answer nothing follows.
- What is deleted and what is restored are whole streams. Deleting says what was seen: a stream that went on meanwhile
  stays. The newest transition of the log always stays, so that no place in the log is given out twice.
- What is restored has its places in the log again. They are behind every follower, so it is not told once more.
- In a store that several processes may have open, one looks only at streams of the shards that it leases, and deletes
  no others; who has opened it alone at all.
- Each call is one short transaction; the caller takes few streams at a time, so that nobody waits long for a turn.
It does not: decide what is old enough, or keep what was deleted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from amends.ports.event_store import EventStore, Logged, StreamKey


class StreamEnd(NamedTuple):
    """Where a stream ended when it was looked at."""

    key: StreamKey
    position: int
    """Of its last event."""
    sequence: int
    """Of its last transition in the log."""


class FinishedPage(NamedTuple):
    """Some of the log, looked at."""

    ends: Sequence[StreamEnd]
    """The finished streams that end there, in the order of the log."""
    next: int | None
    """Behind which the log goes on with what is old enough; None: nothing does."""


class StoredStream(msgspec.Struct, frozen=True, gc=False):
    """A whole stream with its places in the log."""

    key: StreamKey
    transitions: tuple[Logged, ...]

    @property
    def end(self) -> StreamEnd:
        """Where it ends."""
        last = self.transitions[-1]
        return StreamEnd(self.key, last.transition.position + last.transition.events - 1, last.sequence)


@runtime_checkable
class RetainedStore(EventStore, Protocol):
    """An event store that can give up streams. Each method may raise `StoreUnavailable`; the last two `StoreFull`."""

    async def finished(self, *, before: datetime, after: int = 0, limit: int = 1000) -> FinishedPage:
        """Look at the next `limit` transitions of the log behind `after`; return the finished streams that end there.

        Only those whose last transition was recorded before `before`.
        """
        ...

    async def streams(self, keys: Sequence[StreamKey]) -> Sequence[StoredStream]:
        """Return these streams, in this order; one that is not there is left out."""
        ...

    async def delete_streams(self, ends: Sequence[StreamEnd]) -> Sequence[bool]:
        """Delete streams that still end there and have finished; one verdict each.

        False: it is not there, has gone on, is open, or has the newest transition of the log.
        """
        ...

    async def restore_streams(self, streams: Sequence[StoredStream]) -> Sequence[bool]:
        """Put streams back; one verdict each. False: there is a stream of that key, which is left as it is.

        Raises:
            ValueError: their places are not of this log, because others stand there or it ends before; nothing is
                restored.
        """
        ...


@runtime_checkable
class OpensAlone(Protocol):
    """What a store that several processes may have open has besides."""

    async def open_alone(self) -> None:
        """Open it as `open` does; until it is closed nobody else may.

        Raises:
            StoreHeld: somebody has it open.
        """
        ...
