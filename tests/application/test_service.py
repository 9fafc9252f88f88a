"""The service: what looks on is joined, counted and let go; without a read model everything else works."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from amends import (
    NotRunning,
    Refuse,
    Saga,
    SagaQuery,
    Service,
    Step,
    StoreHeld,
    each,
    sequence,
    service,
    sqlite,
    sqlite_read_model,
)
from amends.adapters.memory import MemoryReadModel
from amends.application.metrics import AttemptKey, Histogram, StepKey
from amends.core.effect import SendCommand
from amends.ports import EventStore, StoreUnavailable
from tests.application.conftest import Stores
from tests.application.engine_world import ManualClock, fire, orchestrator, until
from tests.application.shop import (
    APPROVED,
    BANK,
    FOR_EVER,
    FULFIL,
    LATER,
    QUICK,
    SAGAS,
    STOCK,
    Order,
    Shop,
    Word,
    pay,
    refund,
    release,
    reserve,
)
from tests.application.stores import Failing, Wrapped

TWICE = Saga(
    "twice",
    version=1,
    data=Order,
    body=sequence(
        each(
            lambda order: [order, Order("sku-2")],
            Step("hold", STOCK, do=reserve, undo=release, retry=QUICK, undo_retry=QUICK),
            key=lambda order: order.sku,
            item=Order,
        ),
        Step("pay", BANK, do=pay, undo=refund, retry=QUICK, undo_retry=QUICK),
    ),
)


async def test_it_opens_and_closes_everything_in_order(store: EventStore, tmp_path: Path) -> None:
    amends = orchestrator(store)
    model = MemoryReadModel()
    made = service(amends, read_model=model)
    assert not made.is_ready
    async with made as opened:
        assert opened.is_ready
        assert opened.queries is not None
        await amends.run(FULFIL, Order(), saga_id="o-1")
        await opened.queries.caught_up()
        assert [row.id for row in (await opened.queries.find(SagaQuery())).sagas] == ["o-1"]
        with pytest.raises(NotRunning, match="open already"):
            await opened.__aenter__()
    assert not made.is_ready
    with pytest.raises(StoreUnavailable):
        await model.checkpoint()
    with pytest.raises(NotRunning):
        await amends.get("o-1")


async def test_without_a_read_model_there_are_no_lists_and_all_else_works(stores: Stores) -> None:
    counting = Wrapped(stores())
    async with Service(orchestrator(counting)) as bare:
        feed = await bare.feed.follow()
        await bare.orchestrator.run(FULFIL, Order(), saga_id="o-1")
        assert bare.queries is None
        assert (await asyncio.wait_for(anext(feed), 10)).saga_id == "o-1"
        assert bare.meter.sagas["fulfil"].completed == 1
        assert not bare.gauges().lag, "nobody follows the log"


async def test_what_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    database, views = tmp_path / "amends.db", tmp_path / "amends.db.views"
    views.mkdir()
    with pytest.raises(Exception, match="it is a folder"):
        await Service(orchestrator(sqlite(database)), read_model=sqlite_read_model(views)).__aenter__()
    views.rmdir()
    async with Service(orchestrator(sqlite(database)), read_model=sqlite_read_model(views)) as opened:
        second = Service(orchestrator(sqlite(database)), read_model=sqlite_read_model(views))
        with pytest.raises(StoreHeld):
            await second.__aenter__()
        assert opened.is_ready
        assert not second.is_ready
        assert opened.queries is not None
        await opened.orchestrator.run(FULFIL, Order(), saga_id="o-1")
        await opened.queries.caught_up()
        assert await opened.queries.counts() == {"fulfil": {"completed": 1}}


async def test_it_is_not_ready_once_the_store_is_broken(store: EventStore) -> None:
    failing = Failing(store, "append")
    async with Service(orchestrator(failing)) as broken:
        failing.error = RuntimeError("broken")
        with pytest.raises(RuntimeError):
            await broken.orchestrator.start(FULFIL, Order())
        assert not broken.is_ready


# --- what is counted ---


async def test_ends_are_counted_by_saga(shop: Shop, store: EventStore) -> None:
    def refusing(command: SendCommand) -> object:
        if b"13" in command.payload:
            raise Refuse("no", "unlucky")
        return {"payment": "p"}

    shop.on("pay", refusing)
    async with Service(orchestrator(store, shop)) as counted:
        amends = counted.orchestrator
        for amount in (1, 2, 13):
            await amends.run(FULFIL, Order(amount=amount))
        await amends.start(FOR_EVER, Order(), saga_id="given-up")
        await amends.abandon("given-up", by="ada", reason="test")
        shop.refuse("ship")
        await amends.run(FULFIL, Order(), saga_id="stuck", until="stuck")
        fulfil, for_ever = counted.meter.sagas["fulfil"], counted.meter.sagas["for-ever"]
    assert (fulfil.started, fulfil.completed, fulfil.compensated) == (4, 2, 1)
    assert (fulfil.stuck, fulfil.failed, fulfil.abandoned) == (1, 2, 0)
    assert (for_ever.started, for_ever.abandoned, for_ever.failed) == (1, 1, 0)


async def test_steps_are_timed_by_outcome_and_without_their_keys(shop: Shop, store: EventStore) -> None:
    clock = ManualClock()

    def slow(_command: SendCommand) -> object:
        clock.move(timedelta(milliseconds=40))
        return None

    shop.on("reserve", slow)
    shop.refuse("pay")
    async with Service(orchestrator(store, shop, sagas=[TWICE], clock=clock)) as timed:
        await timed.orchestrator.run(TWICE, Order())
        durations, attempts = timed.meter.durations, timed.meter.attempts
    assert set(durations) == {
        StepKey("twice", "hold", "do", "succeeded"),
        StepKey("twice", "pay", "do", "refused"),
        StepKey("twice", "hold", "undo", "succeeded"),
    }
    held = durations[StepKey("twice", "hold", "do", "succeeded")]
    assert (held.count, round(held.total, 3)) in {(2, 0.12), (2, 0.08)}, "one after the other, or together"
    assert attempts[AttemptKey("twice", "hold", "do")] == 2
    assert attempts[AttemptKey("twice", "pay", "do")] == 1


async def test_attempts_and_faults_are_counted(shop: Shop, store: EventStore) -> None:
    clock = ManualClock()
    calls: list[int] = []

    def failing(_command: SendCommand) -> object:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("away")
        return {"payment": "p"}

    shop.on("pay", failing)
    async with Service(orchestrator(store, shop, clock=clock)) as counted:
        await counted.orchestrator.start(FULFIL, Order(), saga_id="o-1")
        while (await counted.orchestrator.get("o-1")).status == "running":
            await fire(counted.orchestrator, clock, by=timedelta(seconds=1))
        assert counted.meter.attempts[AttemptKey("fulfil", "pay", "do")] == 3
        assert counted.meter.faults == {("fulfil", "pay", "transient"): 2}
        assert counted.meter.lateness.count >= 2


async def test_timers_tell_how_late_they_were(store: EventStore) -> None:
    clock = ManualClock()
    async with Service(orchestrator(store, clock=clock)) as late:
        await late.orchestrator.start(LATER, Order(), saga_id="o-1")
        await until(lambda: late.orchestrator.engine.live == 0)
        await fire(late.orchestrator, clock, by=timedelta(days=7, seconds=3))
        await late.orchestrator.wait("o-1")
        lateness = late.meter.lateness
        assert (lateness.count, lateness.total) == (1, 3.0)


async def test_an_instance_that_began_before_is_counted_by_its_saga(stores: Stores, shop: Shop) -> None:
    async with orchestrator(stores(), shop) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
    async with Service(orchestrator(stores(), shop)) as counted:
        assert not counted.meter.sagas, "what was before is not counted"
        await counted.orchestrator.signal("o-1", "approve", Word())
        await counted.orchestrator.wait("o-1")
        approved = counted.meter.sagas["approved"]
        assert (approved.started, approved.completed) == (0, 1)


async def test_batches_and_gauges_show_how_things_stand(shop: Shop, store: EventStore) -> None:
    gate = asyncio.Event()
    shop.on("reserve", lambda _command: gate.wait())
    async with Service(orchestrator(store, shop, most_live=4)) as busy:
        amends = busy.orchestrator
        runs = [asyncio.create_task(amends.run(FULFIL, Order(), saga_id=f"o-{n}")) for n in range(6)]
        await until(lambda: busy.gauges().waiting == 2)
        gauges = busy.gauges()
        assert (gauges.live, gauges.is_ready) == (4, True)
        await until(lambda: busy.gauges().participants[1].in_flight == 4)
        gate.set()
        await asyncio.gather(*runs)
        gauges = busy.gauges()
        assert (gauges.live, gauges.waiting) == (0, 0)
        assert busy.meter.batches.count == gauges.commits
        assert busy.meter.batches.total == gauges.appended == await store.log_end()


async def test_what_a_meter_remembers_has_a_limit(store: EventStore) -> None:
    async with Service(orchestrator(store, sagas=SAGAS)) as counted:
        counted.meter.most_remembered = 5
        for number in range(40):
            await counted.orchestrator.start(APPROVED, Order(), saga_id=f"o-{number}")
        assert counted.meter.remembered <= 10
        assert counted.meter.sagas["approved"].started == 40
        for number in range(40):
            await counted.orchestrator.signal(f"o-{number}", "approve", Word())
            await counted.orchestrator.wait(f"o-{number}")
        assert counted.meter.sagas["approved"].completed == 40


def test_a_histogram_counts_by_size() -> None:
    sizes = Histogram((1.0, 10.0))
    for value in (0, 1, 1.5, 10, 11, 1_000):
        sizes.add(value)
    assert (sizes.counts, sizes.count, sizes.total) == ([2, 2, 2], 6, 1_023.5)
