"""What engine tests stand on: a clock that is moved by hand, waiting without sleeping, a shop with its orchestrator.

Rules: waiting is for a condition and lets the other tasks run; it gives up with what it waited for.
It does not: choose a store (`conftest`), or misbehave (`stores`, `shop`).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.json import decode

from amends import Orchestrator, Saga
from amends.application.gate import STANDARD, Protection
from amends.ports import Clock, EventStore, StoreReader, StreamKey, Transport
from tests.application.shop import SAGAS, Shop
from tests.application.stores import Remote

PATIENCE = 20.0
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class ManualClock:
    """A `Clock` that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        self._now += by


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Let the other tasks run until `condition` holds."""
    latest = time.monotonic() + PATIENCE
    while not condition():
        await asyncio.sleep(0)
        assert time.monotonic() < latest, f"waited in vain{f' for {what}' if what else ''}"


async def turns(number: int = 50) -> None:
    """Let the other tasks run for a while: long enough for what should not happen."""
    for _ in range(number):
        await asyncio.sleep(0)
        while Remote.asked:  # noqa: ASYNC110  as `until` does, which has no event to wait for
            # Only turns in which nobody waits for a server count: otherwise they would be over before it answered.
            await asyncio.sleep(0)


def orchestrator(
    store: EventStore,
    shop: Shop | None = None,
    *,
    sagas: Sequence[Saga[Any]] = SAGAS,
    participants: dict[str, Transport] | None = None,
    clock: Clock | None = None,
    most_live: int = 10_000,
    most_waiting: int = 10_000,
    lane_width: int = 100,
    protection: Protection = STANDARD,
    protections: Mapping[str, Protection] | None = None,
) -> Orchestrator:
    """Return an orchestrator over `store`, by default with the shop's sagas and participants."""
    return Orchestrator(
        sagas=sagas,
        store=store,
        participants=participants if participants is not None else (shop or Shop()).bindings(),
        clock=clock,
        most_live=most_live,
        most_waiting=most_waiting,
        lane_width=lane_width,
        protection=protection,
        protections=protections,
    )


async def fire(amends: Orchestrator, clock: ManualClock, *, by: timedelta) -> None:
    """Move the clock and let what is due happen, with its corrections of the index."""
    clock.move(by)
    await amends.engine.timers.run_once()
    await turns()
    await amends.engine.timers.run_once()
    await turns()


async def events_of(store: EventStore | StoreReader, saga_id: str) -> list[str]:
    """Return the types of an instance's stored events, after checking that its positions have no gap."""
    types: list[str] = []
    for transition in await store.read(StreamKey("default", saga_id)):
        assert transition.position == len(types) + 1, "positions have no gap"
        types += [event["type"] for event in decode(transition.body)]
        assert len(types) == transition.position + transition.events - 1
    return types
