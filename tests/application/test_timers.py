"""Durable timers under a clock that is moved by hand: retries, timeouts, deadlines, pauses, waits of days."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from amends import Failed, RetryPolicy, Saga, Step, Succeeded, sequence
from amends.core.effect import SendCommand
from amends.core.outcome import Answer
from amends.ports import Append, EventStore, SetIndex, StoreFull, StoreUnavailable, StreamKey
from tests.application.conftest import Stores
from tests.application.engine_world import ManualClock, events_of, fire, orchestrator, turns, until
from tests.application.shop import (
    APPROVED,
    BANK,
    FOR_EVER,
    FULFIL,
    LATER,
    STOCK,
    Order,
    Shop,
    Word,
    pay,
    refund,
    release,
    reserve,
)
from tests.application.stores import Failing, Held, Wrapped

SLOW = RetryPolicy(attempts=3, first=timedelta(hours=1), jitter=0, cap=timedelta(days=1))
MINUTE = timedelta(minutes=1)
PATIENT = Saga(
    "patient",
    version=1,
    data=Order,
    body=sequence(
        Step("reserve", STOCK, do=reserve, undo=release),
        Step("pay", BANK, do=pay, undo=refund, retry=SLOW, undo_retry=SLOW, timeout=MINUTE),
    ),
)
SHORTER = Saga(
    "shorter",
    version=1,
    data=Order,
    body=sequence(
        Step("reserve", STOCK, do=reserve, undo=release, timeout=timedelta(days=1)),
        Step("pay", BANK, do=pay, undo=refund, retry=SLOW, undo_retry=SLOW, timeout=MINUTE),
    ),
)
DEADLINE = Saga("deadline", version=1, data=Order, deadline=timedelta(days=3), body=APPROVED.body)


class Answering:
    """A participant that gives its answers one after the other, then yes."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.seen: list[SendCommand] = []

    async def send(self, command: SendCommand) -> Answer:
        self.seen.append(command)
        return self.answers.pop(0) if self.answers else Succeeded(b'{"payment":"p-1"}')

    async def close(self) -> None:
        """Nothing to release."""


async def test_retries_wait_for_their_time_and_leave_memory_meanwhile(store: EventStore, shop: Shop) -> None:
    clock, bank = ManualClock(), Answering(Failed("once"), Failed("twice"))
    async with orchestrator(
        store, sagas=[PATIENT], participants=shop.bindings() | {"bank": bank}, clock=clock
    ) as amends:
        await amends.start(PATIENT, Order(), saga_id="o-1")
        await until(lambda: len(bank.seen) == 1 and amends.engine.live == 0)
        await fire(amends, clock, by=timedelta(minutes=59, seconds=59))
        assert len(bank.seen) == 1
        await fire(amends, clock, by=timedelta(seconds=1))
        await until(lambda: len(bank.seen) == 2)
        await fire(amends, clock, by=timedelta(hours=1))
        assert len(bank.seen) == 2, "the second pause is twice as long"
        await fire(amends, clock, by=timedelta(hours=1))
        assert (await amends.wait("o-1")).status == "completed"
        assert [command.attempt for command in bank.seen] == [1, 2, 3]
        assert len({command.command_id for command in bank.seen}) == 1


async def test_a_participant_asks_for_a_longer_pause(store: EventStore, shop: Shop) -> None:
    clock, bank = ManualClock(), Answering(Failed("busy", retry_after=timedelta(hours=20)))
    async with orchestrator(
        store, sagas=[PATIENT], participants=shop.bindings() | {"bank": bank}, clock=clock
    ) as amends:
        await amends.start(PATIENT, Order(), saga_id="o-1")
        await until(lambda: bank.seen and amends.engine.live == 0)
        await fire(amends, clock, by=timedelta(hours=19))
        assert len(bank.seen) == 1
        await fire(amends, clock, by=timedelta(hours=1))
        assert (await amends.wait("o-1")).status == "completed"


async def test_attempts_that_time_out_are_used_up_and_the_step_is_undone(
    store: EventStore, shop: Shop
) -> None:
    clock = ManualClock()
    shop.on("pay", lambda _command: asyncio.Event().wait())
    async with orchestrator(store, shop, sagas=[PATIENT], clock=clock) as amends:
        run = asyncio.create_task(amends.run(PATIENT, Order(), saga_id="o-1"))
        for attempt in (1, 2, 3):
            await until(lambda: len(shop.named("pay")) == attempt)  # noqa: B023  awaited at once
            await fire(amends, clock, by=MINUTE)
            await fire(amends, clock, by=timedelta(hours=4))
        end = await run
        assert (end.status, end.cause and end.cause.code) == ("compensated", "unknown")
        assert shop.names[-2:] == ["refund", "release"]


async def test_a_pause_of_days_and_a_wait_of_weeks(stores: Stores, shop: Shop) -> None:
    clock = ManualClock()
    async with orchestrator(stores(), shop, clock=clock) as amends:
        await amends.start(LATER, Order(), saga_id="pause")
        await amends.start(APPROVED, Order(), saga_id="wait")
        await amends.start(FOR_EVER, Order(), saga_id="ever")
        await until(lambda: amends.engine.live == 0)
        await fire(amends, clock, by=timedelta(days=6, hours=23))
        assert (await amends.get("pause")).status == "running"
    async with orchestrator(stores(), shop, clock=clock) as amends:
        await fire(amends, clock, by=timedelta(hours=1))
        assert (await amends.wait("pause")).status == "completed"
        await fire(amends, clock, by=timedelta(days=23))
        end = await amends.wait("wait")
        assert (end.status, end.cause and end.cause.code) == ("compensated", "timeout")
        await fire(amends, clock, by=timedelta(days=3650))
        assert (await amends.get("ever")).status == "running"


async def test_timers_that_became_due_while_nobody_ran_fire_at_the_next_opening(
    stores: Stores, shop: Shop
) -> None:
    clock = ManualClock()
    async with orchestrator(stores(), shop, clock=clock) as amends:
        await amends.start(LATER, Order(), saga_id="o-1")
    clock.move(timedelta(days=8))
    async with orchestrator(stores(), shop, clock=clock) as amends:
        assert (await amends.wait("o-1")).status == "completed"


async def test_the_deadline_turns_the_saga_round(store: EventStore, shop: Shop) -> None:
    clock = ManualClock()
    async with orchestrator(store, shop, sagas=[DEADLINE], clock=clock) as amends:
        await amends.start(DEADLINE, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        await fire(amends, clock, by=timedelta(days=3))
        end = await amends.wait("o-1")
        assert (end.status, end.cause and end.cause.code) == ("compensated", "deadline")


async def test_an_attempt_that_was_overdue_at_recovery_gets_its_full_time_and_uses_up_no_attempt(
    stores: Stores, shop: Shop
) -> None:
    clock = ManualClock()
    shop.on("pay", lambda _command: asyncio.Event().wait())
    async with orchestrator(stores(), shop, sagas=[PATIENT], clock=clock) as amends:
        await amends.start(PATIENT, Order(), saga_id="o-1")
        await until(lambda: shop.named("pay"))
    shop.handlers.clear()
    clock.move(timedelta(days=1))
    async with orchestrator(stores(), shop, sagas=[PATIENT], clock=clock) as amends:
        end = await amends.wait("o-1")
        assert (end.status, end.steps[1].attempts) == ("completed", 1)


async def test_an_index_row_that_was_too_early_is_corrected_once(store: EventStore, shop: Shop) -> None:
    """The row keeps the first step's time while the saga goes on; when it comes, only the row moves."""
    clock, counting = ManualClock(), Wrapped(store)
    reserved = asyncio.Event()
    shop.on("reserve", lambda _command: reserved.wait())
    shop.on("pay", lambda _command: asyncio.Event().wait())
    async with orchestrator(counting, shop, clock=clock) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        clock.move(timedelta(seconds=20))
        reserved.set()
        await until(lambda: shop.named("pay"))
        await amends.engine.timers.run_once()
        before, events = counting.calls["due"], await events_of(store, "o-1")
        await fire(amends, clock, by=timedelta(seconds=10))
        await turns(2000)
        assert counting.calls["reindex"] <= 1
        assert counting.calls["due"] - before <= 4, "no busy loop over a row that was too early"
        assert await events_of(store, "o-1") == events, "no transition is written for it"
        assert await store.due(clock.now()) == []


async def test_a_shorter_timeout_behind_a_longer_one_is_not_late(store: EventStore, shop: Shop) -> None:
    """The index row says when the first step's time is over; the second step's is over long before."""
    clock = ManualClock()
    shop.on("pay", lambda _command: asyncio.Event().wait())
    async with orchestrator(store, shop, sagas=[SHORTER], clock=clock) as amends:
        await amends.start(SHORTER, Order(), saga_id="o-1")
        await until(lambda: shop.named("pay"))
        await fire(amends, clock, by=MINUTE)
        await fire(amends, clock, by=timedelta(hours=1))
        await until(lambda: len(shop.named("pay")) == 2)


async def test_a_correction_never_overwrites_a_newer_index_row(store: EventStore, shop: Shop) -> None:
    """While a row is corrected its instance holds still; a signal that comes meanwhile is decided after it."""
    clock, held = ManualClock(), HeldReindex(store)
    async with orchestrator(held, shop, clock=clock) as amends:
        await amends.start(FOR_EVER, Order(), saga_id="o-1")
        await amends.start(APPROVED, Order(), saga_id="o-2")
        await until(lambda: shop.done["reserve"] and amends.engine.live == 0)
        key = StreamKey("default", "o-2")
        await store.reindex(key, SetIndex(clock.now(), outstanding=False))
        once = asyncio.create_task(amends.engine.timers.run_once())
        await until(once.done)
        again = asyncio.create_task(amends.engine.timers.run_once())
        await held.held.wait()
        shop.on("ship", lambda _command: asyncio.Event().wait())
        signal = asyncio.create_task(amends.signal("o-2", "approve", Word()))
        await turns()
        assert not signal.done()
        held.gate.set()
        await again
        await signal
        rows = {row.key: row for row in await store.open_instances()}
        wake_at = rows[key].wake_at
        assert rows[key].outstanding
        assert wake_at is not None
        assert wake_at <= clock.now() + timedelta(seconds=30)


class HeldReindex(Held):
    """Holds corrections of the index instead of appends."""

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        return await Wrapped.append(self, batch)

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        self.held.set()
        await self.gate.wait()
        await super().reindex(key, change)


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreFull("full")], ids=["away", "full"])
async def test_a_correction_that_fails_is_made_later(store: EventStore, shop: Shop, error: Exception) -> None:
    clock, failing = ManualClock(), Failing(store, "reindex")
    async with orchestrator(failing, shop, clock=clock) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: shop.done["reserve"] and amends.engine.live == 0)
        await store.reindex(StreamKey("default", "o-1"), SetIndex(clock.now(), outstanding=False))
        failing.error = error
        await amends.engine.timers.run_once()
        await until(lambda: failing.calls["failed reindex"] >= 2)
        failing.error = None
        assert (await amends.signal("o-1", "approve", Word())).status in ("running", "completed")
        assert (await amends.wait("o-1")).status == "completed"


async def test_a_wake_up_that_is_noted_while_the_store_is_asked_is_not_forgotten(store: EventStore) -> None:
    """Otherwise a retry of milliseconds could wait for the next half minute."""
    clock = ManualClock()

    class Noting(Wrapped):
        async def next_wake(self) -> datetime | None:
            found = await super().next_wake()
            amends.engine.timers.note(clock.now() + timedelta(seconds=1))
            return found

    amends = orchestrator(Noting(store), clock=clock)
    async with amends:
        await amends.engine.timers.run_once()
        assert amends.engine.timers.next_look == clock.now() + timedelta(seconds=1)


async def test_many_ticks_of_one_row_are_one_trigger(store: EventStore, shop: Shop) -> None:
    clock, held = ManualClock(), Held(store)
    held.gate.set()
    async with orchestrator(held, shop, clock=clock) as amends:
        await amends.start(LATER, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        held.gate.clear()
        held.held.clear()
        clock.move(timedelta(days=7))
        for _ in range(10):
            await amends.engine.timers.run_once()
            await turns(5)
        await held.held.wait()
        counted = held.calls["due"]
        await turns(3000)
        assert held.calls["due"] - counted < 50, "a row that cannot move yet is asked for ever more seldom"
        held.gate.set()
        assert (await amends.wait("o-1")).status == "completed"
    assert (await reopened_events(store)).count("PauseEnded") == 1


async def reopened_events(store: EventStore) -> list[str]:
    await store.open()
    try:
        return await events_of(store, "o-1")
    finally:
        await store.close()
