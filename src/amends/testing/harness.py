"""The real orchestrator on a manual clock: days pass in a test without anybody waiting.

    async with harness(sagas=[approval], participants=[payments]) as h:
        await h.start(approval, order)
        await h.advance(days=3)
        assert (await h.view()).status == "completed"

Rules
- Everything is real but time: the engine, the store in memory, recovery. `advance` goes from wake-up to wake-up, so
  that what is due first happens first, and returns when the engine is quiet.
- Quiet: no call to a participant, no write and no load is under way, and nothing follows from the last. A call that a
  `FakeParticipant` was told never to answer does not count.
- A do that a fake was not told how to answer is a failure of the test.
It does not: sleep. A participant of your own that takes real time is waited for, at most `patience` seconds.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from amends.application.orchestrator import Orchestrator
from amends.application.view import SagaView
from amends.bootstrap import memory
from amends.core.codec import Codec
from amends.definition import Saga
from amends.ports import EventStore, Transport
from amends.testing.activity import Activity, WatchedStore, WatchedTransport
from amends.testing.clock import ManualClock
from amends.testing.fakes import FakeParticipant

__tracebackhide__ = True

D = TypeVar("D")

MOST_LOOKS = 20
"""Looks at timers at one instant; a row that stays due after so many is a defect."""
PATIENCE = 10.0


class Harness:
    """An orchestrator, its clock and its participants; `harness` makes it."""

    def __init__(
        self,
        *,
        sagas: "Iterable[Saga[Any]]",
        participants: Mapping[str, Transport],
        clock: ManualClock,
        store: EventStore,
        codec: Codec | None,
        patience: float,
    ) -> None:
        """Nothing runs before `open`."""
        self.clock = clock
        self.participants = dict(participants)
        self._sagas = [*sagas]
        self._codec = codec
        self._patience = patience
        self._fakes = [each for each in participants.values() if isinstance(each, FakeParticipant)]
        self._activity = Activity(hanging=lambda: sum(fake.hanging for fake in self._fakes))
        self._store = WatchedStore(store, self._activity)
        self.orchestrator = self._orchestrator()

    def _orchestrator(self) -> Orchestrator:
        watched = {name: WatchedTransport(each, self._activity) for name, each in self.participants.items()}
        return Orchestrator(
            sagas=self._sagas,
            store=self._store,
            participants=watched,
            clock=self.clock,
            codec=self._codec,
        )

    async def open(self) -> None:
        """Begin."""
        await self.orchestrator.__aenter__()
        await self.quiet()

    async def close(self) -> None:
        """End."""
        await self.orchestrator.__aexit__(None, None, None)

    async def restart(self) -> None:
        """Stop the orchestrator and open another one over the same store, as after a crash."""
        await self.close()
        self.orchestrator = self._orchestrator()
        await self.open()

    async def start(self, saga: Saga[D], data: D, *, saga_id: str = "test-1") -> SagaView[D]:
        """Start an instance and let it go as far as it comes without time passing."""
        await self.orchestrator.start(saga, data, saga_id=saga_id)
        await self.quiet()
        return await self.orchestrator.get(saga_id)

    async def view(self, saga_id: str = "test-1") -> SagaView[Any]:
        """Return an instance as it stands when all is quiet."""
        await self.quiet()
        return await self.orchestrator.get(saga_id)

    async def advance(
        self,
        length: timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Let time pass, from wake-up to wake-up, and what is due happen."""
        more = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        until = self.clock.now() + (length or timedelta(0)) + more
        await self.quiet()
        while (due := await self._store.next_wake()) is not None and due <= until:
            await self._let_fire(max(due, self.clock.now()))
        self.clock.set(until)
        await self.quiet()

    async def _let_fire(self, instant: datetime) -> None:
        self.clock.set(instant)
        for _ in range(MOST_LOOKS):
            await self.orchestrator.engine.timers.run_once()
            await self.quiet()
            due = await self._store.next_wake()
            if due is None or due > instant:
                return
        raise AssertionError(f"a timer stays due at {instant} after {MOST_LOOKS} looks")

    async def quiet(self) -> None:
        """Wait until nothing is under way."""
        try:
            await asyncio.wait_for(self._activity.quiet(self._busy_elsewhere), self._patience)
        except TimeoutError:
            raise AssertionError(
                f"not quiet after {self._patience:g} s; under way: {self._activity.shown()}"
            ) from None
        faults = [fault for fake in self._fakes for fault in fake.faults]
        assert not faults, "\n".join(faults)

    def _busy_elsewhere(self) -> bool:
        return self.orchestrator.engine.recovering


@asynccontextmanager
async def harness(
    *,
    sagas: "Iterable[Saga[Any]]",
    participants: Mapping[str, Transport] | Sequence[FakeParticipant],
    clock: ManualClock | None = None,
    store: EventStore | None = None,
    codec: Codec | None = None,
    patience: float = PATIENCE,
) -> AsyncGenerator[Harness]:
    """Run the real orchestrator over a store in memory, on a clock that only the test moves."""
    bound = participants if isinstance(participants, Mapping) else {each.name: each for each in participants}
    made = Harness(
        sagas=sagas,
        participants=bound,
        clock=clock or ManualClock(),
        store=store or memory(),
        codec=codec,
        patience=patience,
    )
    await made.open()
    try:
        yield made
    finally:
        await made.close()
