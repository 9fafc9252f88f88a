"""The relay: every transition of the log leaves to a topic, at least once, behind a durable checkpoint.

Rules
- It reads the committed log, so what was committed leaves, after a crash as well: nothing lies between a commit and
  the topic but the checkpoint, and that moves only behind what the topic has.
- The transitions of one instance leave one after the other, each when the one before is durable. So whatever comes
  twice, each first comes behind all that are before it.
- One piece of the log is in memory. While the topic is away it waits with that piece, and the checkpoint stands.
- The checkpoint is written beside, at most once in `EVERY` seconds: what it is behind by leaves again after a crash.
- Of several processes on one store one relays, who has claimed that; the others stand by, and take over from the
  checkpoint when the claim is free. A claim that was lost is claimed anew.
- Nothing is left out: all namespaces of the store, and what this version cannot read is shown as it is stored.
It does not: know a broker, or decide how a transition is shown (`feed` does).
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from amends.application.feed import feed_item
from amends.application.follower import BeginAnew, Followed
from amends.ports import ClaimLost, EventStore, Leaving, Outlet, RelayCheckpoint, StoreError, StreamKey

log = logging.getLogger("amends.relay")

WIDTH: Final = 64
"""Instances whose transitions are on their way at a time."""
EVERY: Final = 1.0
"""Seconds between two writes of the checkpoint."""
CLOSING: Final = 5.0
"""Seconds that the last write may take."""
STAND_BY: Final = 1.0
"""Seconds between two looks of one that stands by."""


class Relay:
    """A listener of the follower, for one topic."""

    name = "relay"

    def __init__(
        self,
        store: EventStore,
        checkpoint: RelayCheckpoint,
        outlet: Outlet,
        *,
        every: float = EVERY,
        stand_by: float = STAND_BY,
    ) -> None:
        """Relay the log of `store`, which is open as long as this is used, to `outlet`; both times are in seconds."""
        self._store = store
        self._checkpoint = checkpoint
        self._outlet = outlet
        self._every = every
        self._stand_by = stand_by
        self._left = 0
        """Up to where everything has left."""
        self._noted = 0
        """Up to where that is durable."""
        self._noting: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self.leads = False
        """Whether this one relays, as far as it knows."""
        self.on_look: Callable[[int, int], None] | None = None
        """Told, while this stands by, up to where the topic has the log and where that ends; nobody by default."""

    @property
    def trouble(self) -> str:
        """What keeps transitions from leaving just now; empty when nothing does."""
        return self._outlet.trouble if self.leads else ""

    async def begin(self, end: int) -> int:
        """Wait until this one may relay; return up to where everything has left."""
        while not await self._checkpoint.claim():
            self.leads = False
            await self._look()
            await asyncio.sleep(self._stand_by)
        self.leads = True
        self._left = self._noted = await self._checkpoint.reached()
        return self._left

    async def take(self, piece: Sequence[Followed]) -> None:
        """Have `piece` leave, and return when all of it is durable in the topic.

        Raises:
            BeginAnew: another process relays.
        """
        if not await self._checkpoint.claim():
            raise BeginAnew("another process relays")
        streams: dict[StreamKey, list[Followed]] = {}
        for followed in piece:
            streams.setdefault(followed.transition.key, []).append(followed)
        # The workers share it: each takes the next stream when it is done with one.
        waiting = iter(streams.values())
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(WIDTH, len(streams))):
                workers.create_task(self._publish(waiting))
        self._left = piece[-1].sequence
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note(), name="amends-relay-checkpoint")

    async def stop(self) -> None:
        """Note once more how far this came, if that can be done soon, and give the claim up."""
        try:
            async with asyncio.timeout(CLOSING):
                # Not in the middle of a move: that would cost the claim, and with it the last one.
                async with self._turn:
                    await self._end_noting()
                    await self._move()
        except (StoreError, TimeoutError) as error:
            log.info("what left behind sequence %d leaves again: %s", self._noted, error)
        await self._end_noting()
        await self._checkpoint.close()

    async def _end_noting(self) -> None:
        noting, self._noting = self._noting, None
        if noting is not None:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)

    async def _publish(self, streams: Iterator[Sequence[Followed]]) -> None:
        for stream in streams:
            for followed in stream:
                await self._outlet.publish(_leaving(followed))

    async def _note(self) -> None:
        """Write the checkpoint until it is where everything has left."""
        while self._left > self._noted:
            try:
                async with self._turn:
                    await self._move()
            except ClaimLost:
                # The next piece finds that out, and begins anew.
                return
            except StoreError as error:
                log.debug("the checkpoint waits behind sequence %d: %s", self._noted, error)
            await asyncio.sleep(self._every)

    async def _move(self) -> None:
        left = self._left
        if left > self._noted:
            await self._checkpoint.move(left)
            self._noted = left

    async def _look(self) -> None:
        if self.on_look is not None:
            self.on_look(await self._checkpoint.reached(), await self._store.log_end())


def _leaving(followed: Followed) -> Leaving:
    item = feed_item(followed)
    return Leaving(
        key=followed.transition.key,
        position=item.position,
        sequence=item.sequence,
        time=item.time,
        body=msgspec.json.encode(item.as_dict()),
        without_events=msgspec.json.encode({**item.as_dict(), "events": ()}),
    )
