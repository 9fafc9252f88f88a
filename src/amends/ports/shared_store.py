"""What an event store offers that several processes share: membership with leases of shards, and an inbox.

Rules
- An instance belongs to a *shard*, by a hash of its identity. A shard is leased to at most one *member*, a process that
  has the store open; while that member lives, only it gives the shard away.
- A member has a *fencing token*, greater than all before it, and a lease that it renews. Once another has fenced it,
  because its lease was over, it stores nothing any more: `append` and `reindex` raise `StoreFenced`. To go on it joins
  anew.
- What arrives at a process that does not hold the shard is put into the *inbox*. A row leaves it in the transaction
  that stores what followed from it (`Append.handled`), or by `settle` when nothing did.
- News only wake somebody up earlier: they may be lost, so everybody also looks from time to time.
It does not: know triggers, or decide who leases what.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from amends.ports.event_store import Handled, OpenInstance, StreamKey

SHARDS: Final = 64
"""How many there are, numbered from 0."""

News: TypeAlias = Literal["leases", "inbox", "answers"]
"""Who leases what has changed; the inbox has something; somebody was answered."""


def shard_of(key: StreamKey) -> int:
    """Return the shard that an instance belongs to."""
    return hashlib.sha256(f"{key.namespace}/{key.saga_id}".encode()).digest()[0] % SHARDS


class Standing(NamedTuple):
    """How a member stands."""

    members: int
    """How many live, with this one."""
    held: frozenset[int]
    """The shards that it leases."""
    free: int
    """How many shards nobody leases."""
    look_again: timedelta | None
    """In how long the first lease of another is over, unless it is renewed; None: there is no other."""


class InboxRow(NamedTuple):
    """What arrived for an instance."""

    number: int
    key: StreamKey
    kind: str
    body: bytes
    """JSON."""
    is_awaited: bool
    """Somebody waits for an answer."""


class Membership(Protocol):
    """The part of a process in a shared store. Each method may raise `StoreUnavailable`."""

    @property
    def lease(self) -> timedelta:
        """How long a lease lasts unless it is renewed."""
        ...

    async def join(self) -> None:
        """Become a member anew, with a greater token and no shard; opening the store did so the first time."""
        ...

    async def renew(self) -> Standing:
        """Renew the lease, fence members whose lease is over, and return how this one stands.

        Raises:
            StoreFenced: another has fenced this one.
        """
        ...

    async def claim(self, most: int) -> frozenset[int]:
        """Lease up to `most` shards that nobody leases; return which."""
        ...

    async def release(self, shards: Collection[int]) -> None:
        """Lease these no more, and tell the others."""
        ...

    async def outstanding(
        self, shards: Collection[int], *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        """Return a page of those index rows of `shards` that are `outstanding`, in key order behind `after`."""
        ...

    async def due(
        self, shards: Collection[int], now: datetime, *, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        """Return index rows of `shards` with ``wake_at <= now``, the earliest first."""
        ...

    async def next_wake(self, shards: Collection[int]) -> datetime | None:
        """Return the earliest `wake_at` of the index rows of `shards`."""
        ...


class Inbox(Protocol):
    """What arrived at one process for another. Each method may raise `StoreUnavailable`."""

    async def numbers(self, count: int) -> Sequence[int]:
        """Return so many numbers that no row has had, in growing order."""
        ...

    async def put(self, rows: Sequence[InboxRow]) -> None:
        """Put rows, durably, and tell those who listen. A number that is there, or was answered, is not put again."""
        ...

    async def waiting(
        self, shards: Collection[int], *, in_hand: Collection[int], limit: int
    ) -> Sequence[InboxRow]:
        """Return rows for `shards`, the oldest first, without those that are in hand or parked."""
        ...

    async def settle(self, handled: Sequence[Handled]) -> None:
        """Take rows away of which nothing followed, and answer those who wait."""
        ...

    async def park(self, rows: Sequence[tuple[int, str]]) -> None:
        """Leave rows to a person: each with the reason why it cannot be taken."""
        ...

    async def start_of(self, key: StreamKey) -> int | None:
        """Return the number of a start of this instance that waits; None when there is none."""
        ...

    async def why_parked(self, number: int) -> str | None:
        """Return why a row was left to a person; None when it was not, or is gone."""
        ...

    async def answers(self, numbers: Collection[int]) -> Sequence[Handled]:
        """Return what became of these rows, as far as that is known."""
        ...

    async def forget(self, numbers: Collection[int]) -> None:
        """Take answers away that have been read."""
        ...


@runtime_checkable
class SharedStore(Protocol):
    """An `EventStore` that several processes may have open at a time has this as well."""

    def membership(self) -> Membership:
        """Return the part of this process in it, once it is open."""
        ...

    def inbox(self) -> Inbox:
        """Return what arrives at one process for another, once it is open."""
        ...

    def listen(self, heard: Callable[[News, frozenset[int] | None], None]) -> None:
        """Have `heard` told of news from now on; those of the inbox with the shards that they are for, if known."""
        ...
