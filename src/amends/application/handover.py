"""The hand-over: instances leave memory because another process goes on with their shard.

Rules
- An instance that has nothing at the store leaves at once, any other when the store has answered; it decides nothing
  more meanwhile. What it had sent is outstanding: its next holder sends it again, and answers that still come here are
  passed on.
- Who waits is not told no: triggers go on to the holder, and so does waiting for an end. Those that came out of the
  inbox are still there.
It does not: decide who holds what.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from amends.application.errors import AmendsError
from amends.application.instance import Ask, Awaits, Instance, Until, Waiter, refuse
from amends.application.live import Live
from amends.core.trigger import Recover, Tick
from amends.ports import StreamKey


class Moved(AmendsError):
    """Another process goes on with the instance; what came out of the inbox is still there."""


class Elsewhere(Protocol):
    """The way to the process that holds an instance."""

    def send(self, key: StreamKey, ask: Ask) -> None:
        """Have a trigger decided there; its waiter is told as if it had been decided here."""
        ...

    def watch(self, key: StreamKey, until: Until, waiter: Awaits) -> None:
        """Tell `waiter` when the instance has come to what `until` names."""
        ...


class Handover:
    """One per engine; without `elsewhere` nothing is ever handed over."""

    def __init__(self, live: Live) -> None:
        """Take instances out of `live`."""
        self._live = live
        self._parting: set[Instance] = set()
        self._parted = asyncio.Event()
        self.elsewhere: Elsewhere | None = None

    def part(self, instances: Iterable[Instance]) -> None:
        """Let them decide nothing more, and leave as soon as they can."""
        for instance in [*instances]:
            instance.leaving = True
            self._parting.add(instance)
            if not instance.busy:
                self.finish(instance)

    def finish(self, instance: Instance) -> None:
        """Let an instance go that has nothing at the store any more."""
        self._live.remove(instance)
        self._parting.discard(instance)
        asks, waiters = [*instance.queue], [*instance.ended.items()]
        instance.queue.clear()
        instance.ended.clear()
        instance.in_flight.clear()
        for ask in asks:
            ask.before = ask.before or instance.state
            self.pass_on(instance.key, ask)
        for waiter, until in waiters:
            if self.elsewhere is not None:
                self.elsewhere.watch(instance.key, until, waiter)
        if not self._parting:
            self._parted.set()

    def pass_on(self, key: StreamKey, ask: Ask) -> None:
        """Bring a trigger to the instance's holder; what is only for whoever holds it is forgotten."""
        if ask.number is not None or type(ask.trigger) in {Tick, Recover}:
            refuse(ask.waiter, Moved(f"saga {key.saga_id!r} goes on in another process"))
        elif self.elsewhere is not None:
            self.elsewhere.send(key, ask)

    async def parted(self) -> None:
        """Wait until all have left."""
        while self._parting:
            self._parted.clear()
            await self._parted.wait()


def told(waiter: Waiter, error: Exception | None, state: object) -> None:
    """Tell `waiter`, if it still waits, what came of it elsewhere."""
    if error is not None:
        refuse(waiter, error)
    elif waiter is not None and not waiter.done():
        waiter.set_result(state)
