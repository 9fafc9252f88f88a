"""The relay's ports: where committed transitions leave to, and up to where they have left.

Rules
- An *outlet* takes one transition at a time and returns when it is durable there; it may take one twice. Its `name` is
  the topic; the checkpoint is kept under it.
- The *checkpoint* is kept in the store whose log it is a place of, so that both are of one backup. It only grows.
- Of several processes that share a store one relays to a topic, who has claimed that.
They do not: know the log, or how a transition is shown.
"""

from datetime import datetime
from typing import Protocol, runtime_checkable

import msgspec

from amends.ports.event_store import StreamKey


class Leaving(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A transition on its way out."""

    key: StreamKey
    position: int
    """Of its last event."""
    sequence: int
    """Its place in the log."""
    time: datetime
    """When it was decided (UTC)."""
    body: bytes
    """JSON, as the feed shows it."""
    without_events: bytes
    """The same without what happened, for an outlet that `body` is too large for."""


class Outlet(Protocol):
    """Where transitions leave to."""

    @property
    def name(self) -> str:
        """The topic."""
        ...

    @property
    def trouble(self) -> str:
        """What keeps transitions from leaving just now; empty when nothing does."""
        ...

    async def publish(self, leaving: Leaving) -> None:
        """Return when it is durable there, however long that takes."""
        ...

    async def close(self) -> None:
        """Let go. Closing twice is harmless."""
        ...


class RelayCheckpoint(Protocol):
    """Up to where a topic has the log. Each method may raise `StoreUnavailable`."""

    async def claim(self) -> bool:
        """Take the right to relay, unless another process has it; tell whether it is ours. Ends with `close`."""
        ...

    async def reached(self) -> int:
        """Return the sequence up to which everything has left, durably noted; 0: nothing yet. It needs no claim."""
        ...

    async def move(self, sequence: int) -> None:
        """Note that everything up to `sequence` has left; durable on return, and never taken back.

        Raises:
            ClaimLost: the right is not ours any more; nothing was noted.
        """
        ...

    async def close(self) -> None:
        """Give the right up. Closing twice is harmless."""
        ...


@runtime_checkable
class RelayedStore(Protocol):
    """What an event store has besides when its transitions can be relayed."""

    def relay_checkpoint(self, topic: str) -> RelayCheckpoint:
        """Return the checkpoint of a topic, to be used while the store is open."""
        ...
