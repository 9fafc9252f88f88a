"""The intake port: records that come in over a log of messages, and what they say.

Rules
- A *record* is kept as it came, bytes and all; what it says is read from it by a pure function of the adapter, so it
  can be read again later, by a newer version or another configuration.
- An intake hands each record to `Take` and lets go of it (commits its offset) when that returns: then what it carried
  is durable. `Take` raises only what passes by itself; the record is then handed over again.
- Records of one key are handed over one after the other, in their order.
- What only has to reach an instance of this process can be taken without a task of its own: `TakeSoon`.
It does not: decide, or know whether anybody waits for what a record says.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from amends.core.effect import Direction
from amends.core.outcome import Failed, Refused, Succeeded
from amends.ports.callback import CallbackReply


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message as it came."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """As its sender or the broker said; shown, and never decided by."""
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class OwnMessage(msgspec.Struct, frozen=True, gc=False):
    """This service wrote it; there is nothing to do."""


class Foreign(msgspec.Struct, frozen=True, gc=False):
    """On a topic that others use for more: none of what this service reads there."""


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """It cannot be read for certain, and is kept for a person."""

    code: str
    reason: str
    saga_id: str = ""
    """Whom it seems to be about; empty when that cannot be read."""


class ReplyCame(msgspec.Struct, frozen=True, gc=False):
    """A participant that speaks Amends' own contract answered."""

    reply: CallbackReply


class EventCame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that means the answer to a step: the binding says to which, the event's fields for which item."""

    saga_id: str
    participant: str
    """Name of the binding: `PARTICIPANT` or `SAGA/PARTICIPANT`."""
    step: str
    keys: str
    """The items' keys as they stand in the step's path (``[sku-1]``); empty outside of an `each`."""
    direction: Direction
    answer: Succeeded | Refused | Failed


class StartCame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that starts a saga."""

    saga: str
    saga_id: str
    data: bytes


class CannotReadYet(Exception):
    """What it takes to read a record is not to be had just now; it passes, and the record is to come again."""


Content: TypeAlias = OwnMessage | Foreign | Unreadable | ReplyCame | EventCame | StartCame
"""What a record says."""

Outcome: TypeAlias = Literal["recorded", "duplicate", "contradicted", "own", "foreign", "parked", "waiting"]
"""What became of a record. `parked`: a person decides. `waiting`: for an instance that is not there yet."""

Read: TypeAlias = Callable[[Record], Content]
Unpack: TypeAlias = Callable[[Record], Awaitable[Record | Unreadable]]
"""Returns a record whose value is JSON for one whose value is not; raises CannotReadYet."""
Take: TypeAlias = Callable[[Record], Awaitable[Outcome]]

TakeSoon: TypeAlias = Callable[[Record, Callable[[Outcome | None], None]], bool]
"""Takes a record and calls back when what it carried is durable, perhaps at once, with what became of it; with None
when it is to be handed to `Take` after all. Returns False, and never calls, when that is clear from the beginning."""


class Intake(Protocol):
    """Where records come in."""

    @property
    def trouble(self) -> str:
        """What keeps records from coming in just now; empty when nothing does."""
        ...

    async def start(self, take: Take) -> None:
        """Begin to hand over records; a broker that is away is waited for, beside."""
        ...

    async def stop(self) -> None:
        """Hand over none any more, after those that are being taken. Stopping twice is harmless."""
        ...


@runtime_checkable
class Quick(Protocol):
    """What an intake has besides when it can hand over records without a task for each."""

    def offer(self, soon: TakeSoon) -> None:
        """Offer each record to `soon` first; to be said before `start`."""
        ...


@runtime_checkable
class Behind(Protocol):
    """What an intake has besides when it knows how much is still to come."""

    @property
    def behind(self) -> Mapping[tuple[str, int], int]:
        """How many records are still to be taken, by topic and partition, of what this process reads; a moment old."""
        ...
