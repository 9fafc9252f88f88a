"""What an engine on a shared store has besides: leases, a sender, a receiver; and what becomes of its instances when
shards come and go.

Rules
- Shards that are acquired are recovered by the same code as at an opening.
- Shards that are given away are let go when nothing of theirs is at the store any more.
- Who is fenced drops everything at once: nothing that was decided and is not stored will be.
It does not: decide.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from amends.application.handover import Handover
from amends.application.inbox_row import Canonical
from amends.application.instance import Ask
from amends.application.leases import Leases
from amends.application.live import Live
from amends.application.loader import Loader
from amends.application.receiver import Receiver
from amends.application.recovery import Recovery
from amends.application.registry import Registry
from amends.application.sender import Sender
from amends.application.shards import Shards
from amends.application.timers import Timers
from amends.application.writer import Writer
from amends.core.state import State
from amends.ports import News, SharedStore, StoreFenced, StreamKey


class Parts(NamedTuple):
    """The roles of an engine that shards concern."""

    live: Live
    shards: Shards
    handover: Handover
    recovery: Recovery
    timers: Timers
    writer: Writer


class Sharing:
    """One per engine on a shared store."""

    def __init__(
        self,
        store: SharedStore,
        parts: Parts,
        *,
        take: Callable[[StreamKey, Ask], Awaitable[State]],
        registry: Registry,
        loader: Loader,
        canonical: Canonical,
        most_waiting: int,
    ) -> None:
        """Join the roles; nothing runs before `open`."""
        self._store = store
        self._parts = parts
        self.sender = Sender(store, loader, most_waiting=most_waiting)
        self.receiver = Receiver(
            store,
            parts.shards,
            registry,
            canonical,
            loader.patience,
            take=take,
            availability=loader.availability,
        )
        self.leases = Leases(
            store,
            parts.shards,
            acquired=self._acquired,
            release=self._release,
            fenced=self._fenced,
            availability=loader.availability,
        )
        parts.handover.elsewhere = self.sender
        parts.writer.on_fenced = parts.timers.on_fenced = self._found_fenced

    async def open(self) -> None:
        """Take a share of the shards.

        Raises:
            StoreError: the store does not answer.
        """
        self._store.listen(self._heard)
        self.sender.start()
        await self.leases.run_once()
        self.receiver.start()
        self.leases.start()

    async def stop(self) -> None:
        """Take and send nothing more. The shards stay leased until the store is closed."""
        await self.leases.stop()
        await self.receiver.stop()
        await self.sender.stop()

    def _acquired(self, shards: frozenset[int]) -> None:
        self._parts.shards.take(shards)
        self._parts.recovery.begin(shards)
        self._parts.timers.look_again()
        self.receiver.rows_came()

    async def _release(self, shards: frozenset[int]) -> None:
        own = self._parts.shards
        own.drop(shards)
        self._parts.handover.part(each for each in self._parts.live if not own.holds(each.key))
        await self._parts.handover.parted()

    def _found_fenced(self, error: StoreFenced) -> None:
        self._fenced(error)
        self.leases.wake()

    def _fenced(self, error: StoreFenced) -> None:
        self._parts.shards.drop(self._parts.shards.held)
        self._parts.handover.part(self._parts.live)
        self._parts.writer.fence(error)
        self._parts.timers.abandon()

    def _heard(self, news: News, shards: frozenset[int] | None) -> None:
        match news:
            case "leases":
                self.leases.wake()
            case "inbox":
                self.receiver.rows_came(shards)
            case "answers":
                self.sender.answers_came()
