"""Persist, then act; group commit; a lock that was lost; a store that is full, away, or broken for good."""

import asyncio
from collections.abc import Sequence

import pytest

from amends import AmendsError, NotRunning, SagaUnknown, Succeeded
from amends.core.effect import SendCommand
from amends.core.outcome import Answer
from amends.ports import (
    Append,
    EventStore,
    KeepIndex,
    SetIndex,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StreamKey,
    Transition,
)
from tests.application.conftest import Stores
from tests.application.engine_world import events_of, orchestrator, turns, until
from tests.application.shop import APPROVED, FOR_EVER, FULFIL, Order, Shop, Word
from tests.application.stores import Failing, Held, Losing, Wrapped

PASSING = [StoreFull("the disk is full"), StoreUnavailable("the store is away")]
FATAL = [
    StoreCorrupt("the store is damaged"),
    StoreReadOnly("the store is read-only"),
    RuntimeError("a defect"),
]


def kind(error: Exception) -> str:
    return type(error).__name__


async def test_rule_01_nothing_is_sent_or_acknowledged_before_its_commit(
    store: EventStore, shop: Shop
) -> None:
    held = Held(store, one_by_one=True)
    async with orchestrator(held, shop) as amends:
        start = asyncio.create_task(amends.start(FULFIL, Order(), saga_id="o-1"))
        for command in ("reserve", "pay", "ship"):
            await held.held.wait()
            await turns()
            assert not shop.named(command), f"{command} was sent before the events that order it were durable"
            assert not (command == "reserve" and start.done()), (
                "a start was acknowledged before it was durable"
            )
            held.held.clear()
            held.gate.set()
            await until(lambda: shop.named(command))  # noqa: B023  awaited at once
        held.gate.set()
        assert (await start).status == "running"
        assert (await amends.wait("o-1")).status == "completed"


async def test_rule_01_no_act_is_acknowledged_before_its_commit(store: EventStore, shop: Shop) -> None:
    held = Held(store)
    held.gate.set()
    async with orchestrator(held, shop) as amends:
        await amends.start(FOR_EVER, Order(), saga_id="o-1")
        held.gate.clear()
        held.held.clear()
        acts = [
            asyncio.create_task(amends.signal("o-1", "go", Word())),
            asyncio.create_task(amends.wait("o-1")),
            asyncio.create_task(amends.run(FULFIL, Order(), saga_id="o-2")),
        ]
        await held.held.wait()
        await turns()
        assert not any(act.done() for act in acts)
        assert (await amends.get("o-1")).status == "running", "what is not durable is not shown"
        held.gate.set()
        assert [view.status for view in await asyncio.gather(*acts)] == ["completed"] * 3


async def test_group_commit_joins_what_arrives_while_a_commit_is_in_flight(
    store: EventStore, shop: Shop
) -> None:
    held = Held(store)
    async with orchestrator(held, shop) as amends:
        first = asyncio.create_task(amends.start(FOR_EVER, Order(), saga_id="o-0"))
        await held.held.wait()
        others = [
            asyncio.create_task(amends.start(FOR_EVER, Order(), saga_id=f"o-{n}")) for n in range(1, 41)
        ]
        await turns()
        held.gate.set()
        await asyncio.gather(first, *others)
        # In halves of the 41 that are runnable, where one can be decided while the other is being committed.
        assert held.batches == ([1, 21, 19] if store.commits_elsewhere else [1, 40])
        writer = amends.engine.writer
        assert (writer.commits, writer.appended) == (len(held.batches), 41)


async def test_a_lost_lock_reloads_and_decides_again_and_harms_no_neighbour(
    store: EventStore, shop: Shop
) -> None:
    losing = Losing(store)
    async with orchestrator(losing, shop) as amends:
        for lost in range(4):
            shop.calls.clear()
            ids = [f"{lost}-{number}" for number in range(6)]
            runs = [asyncio.create_task(amends.run(FULFIL, Order(), saga_id=saga_id)) for saga_id in ids]
            await until(lambda: len(shop.calls) >= 6 * lost)  # noqa: B023  awaited at once
            losing.to_lose = {f"{lost}-3"}
            assert [view.status for view in await asyncio.gather(*runs)] == ["completed"] * 6
            for saga_id in ids:
                assert (await events_of(store, saga_id)).count("SagaCompleted") == 1
        await until(lambda: amends.engine.live == 0)


async def test_somebody_elses_transition_is_seen_after_a_lost_lock(stores: Stores, shop: Shop) -> None:
    """What another writer stored meanwhile counts: the cancel that was decided on an old state is decided again."""
    store = stores()
    held = Held(store)
    held.gate.set()
    async with orchestrator(held, shop) as amends:
        await amends.start(FOR_EVER, Order(), saga_id="o-1")
        await amends.start(FOR_EVER, Order(), saga_id="o-2")
        held.gate.clear()
        held.held.clear()
        cancel = asyncio.create_task(amends.cancel("o-1", by="ada", reason="late"))
        await held.held.wait()
        (first,) = await store.read(StreamKey("default", "o-1"))
        body = b'[{"type":"SagaPaused","by":"bob","reason":"first"}]'
        place = first.position + first.events
        other = Transition(key=first.key, position=place, events=1, recorded_at=first.recorded_at, body=body)
        assert await store.append([Append(other, KeepIndex())]) == [True]
        held.gate.set()
        view = await cancel
        assert view.paused
        assert (await events_of(store, "o-1")).count("CancelRequested") == 1


@pytest.mark.parametrize("error", PASSING, ids=kind)
async def test_a_store_that_is_full_or_away_is_waited_for(
    store: EventStore, shop: Shop, error: StoreError, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(store, "append")
    async with orchestrator(failing, shop) as amends:
        await amends.start(APPROVED, Order(), saga_id="before")
        await until(lambda: amends.engine.live == 0)
        failing.error = error
        start = asyncio.create_task(amends.run(FULFIL, Order(), saga_id="o-1"))
        act = asyncio.create_task(amends.signal("before", "approve", Word()))
        await until(lambda: failing.calls["failed append"] >= 3)
        assert not start.done()
        assert not act.done()
        assert not shop.named("ship")
        assert not await events_of(store, "o-1")
        failing.error = None
        assert (await start).status == "completed"
        assert (await act).id == "before"
        assert (await amends.wait("before")).status == "completed"
    said = [record.message for record in caplog.records if record.name == "amends.store"]
    assert said[0] == f"the store cannot be used now, what needs it waits: {error}"
    assert said[1].startswith("the store can be used again, after ")
    assert len(said) == 2, "each is said once"


async def test_reading_waits_for_a_store_that_is_away(
    stores: Stores, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.on("reserve", lambda _command: asyncio.Event().wait())
    async with orchestrator(stores(), shop) as amends:
        for number in range(5):
            await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
        await amends.start(FOR_EVER, Order(), saga_id="waits")
    shop.handlers.clear()
    failing = Failing(stores(), "read", "open_instances", "due")
    failing.error = StoreUnavailable("the store is away")
    async with orchestrator(failing, shop) as amends:
        act = asyncio.create_task(amends.signal("waits", "go", Word()))
        for operation in ("read", "open_instances", "due"):
            await until(lambda: failing.calls[f"failed {operation}"] >= 2)  # noqa: B023  awaited at once
        assert not act.done()
        failing.error = None
        assert (await act).status == "completed"
        for number in range(5):
            assert (await amends.wait(f"o-{number}")).status == "completed"
    for words in ("cannot be used now", "can be used again"):
        assert len([record for record in caplog.records if words in record.message]) == 1, words


@pytest.mark.parametrize("error", PASSING, ids=kind)
async def test_closing_does_not_wait_for_a_store_that_stays_away(
    stores: Stores, shop: Shop, error: StoreError
) -> None:
    failing = Failing(stores(), "append")
    amends = orchestrator(failing, shop)
    async with amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        failing.error = error
        waiters = [
            asyncio.create_task(amends.start(FULFIL, Order(), saga_id="o-2")),
            asyncio.create_task(amends.run(FULFIL, Order(), saga_id="o-3")),
            asyncio.create_task(amends.wait("o-1")),
        ]
        await until(lambda: failing.calls["failed append"])
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(isinstance(result, NotRunning | StoreError) for result in results), results
    async with orchestrator(stores(), shop) as amends:
        with pytest.raises(SagaUnknown):
            await amends.get("o-2")
        await amends.signal("o-1", "approve", Word())
        assert (await amends.wait("o-1")).status == "completed"


@pytest.mark.parametrize("error", FATAL, ids=kind)
async def test_a_broken_store_is_told_to_all_who_wait_and_nothing_is_acknowledged(
    stores: Stores, shop: Shop, error: Exception
) -> None:
    failing = Failing(stores(), "append")
    async with orchestrator(failing, shop) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        before = shop.names
        failing.error = error
        waiters = [
            asyncio.create_task(amends.wait("o-1")),
            asyncio.create_task(amends.start(FULFIL, Order(), saga_id="o-2")),
            asyncio.create_task(amends.run(FULFIL, Order(), saga_id="o-3")),
            asyncio.create_task(amends.start(FULFIL, Order(), saga_id="o-2")),
            asyncio.create_task(amends.signal("o-1", "approve", Word())),
        ]
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert results == [error] * 5
        for verb in (amends.get("o-1"), amends.start(FULFIL, Order()), amends.wait("o-1")):
            with pytest.raises(type(error), match=str(error)):
                await verb
        await turns()
        assert shop.names == before
    async with orchestrator(stores(), shop) as amends:
        await amends.signal("o-1", "approve", Word())
        assert (await amends.wait("o-1")).status == "completed"


@pytest.mark.parametrize("operation", ["due", "open_instances", "reindex"])
async def test_a_store_that_cannot_be_looked_at_stops_the_engine_with_its_message(
    stores: Stores, shop: Shop, operation: str
) -> None:
    failing = Failing(stores(), operation)
    failing.error = StoreCorrupt("the store is damaged")
    async with orchestrator(failing, shop) as amends:
        if operation == "reindex":
            nothing_due = SetIndex(None, outstanding=False)
            amends.engine.timers.correct(StreamKey("default", "x"), nothing_due, lambda: None)

        async def stopped() -> str:
            while True:
                await asyncio.sleep(0)
                try:
                    await amends.get("o-1")
                except SagaUnknown:
                    continue
                except StoreCorrupt as error:
                    return str(error)

        assert await asyncio.wait_for(stopped(), 10) == "the store is damaged"


class Picky(Wrapped):
    """Cannot keep what contains `poison`, as a store that must have UTF-8."""

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        if any(b"poison" in append.transition.body for append in batch):
            raise ValueError("it cannot be kept")
        return await super().append(batch)


class Poisoned:
    """A bank whose first answers to the order "poisoned" no store can keep."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def send(self, command: SendCommand) -> Answer:
        if command.saga_id == "poisoned" and self.times:
            self.times -= 1
            return Succeeded(b'{"payment":"poison"}')
        return Succeeded(b'{"payment":"p-1"}')

    async def close(self) -> None:
        """Nothing to release."""


@pytest.mark.parametrize(("times", "status"), [(2, "completed"), (3, "compensated")])
async def test_what_no_store_can_keep_fails_alone(
    store: EventStore, shop: Shop, times: int, status: str
) -> None:
    participants = shop.bindings() | {"bank": Poisoned(times)}
    async with orchestrator(Picky(store), participants=participants) as amends:
        ids = ["poisoned", *(f"o-{number}" for number in range(5))]
        views = await asyncio.gather(*(amends.run(FULFIL, Order(), saga_id=saga_id) for saga_id in ids))
        assert [view.status for view in views] == [status, *["completed"] * 5]
        with pytest.raises(AmendsError, match="cannot be kept"):
            await amends.start(FULFIL, Order(sku="poison"), saga_id="o-9")
        with pytest.raises(SagaUnknown):
            await amends.get("o-9")
        assert (await amends.run(FULFIL, Order(), saga_id="o-9")).status == "completed"
