"""Closing at any moment, opening again; definitions that are unknown or changed; streams that cannot be read."""

import asyncio
import logging
from datetime import timedelta

import pytest

from amends import AmendsError, NotRunning, Saga, SagaView, Step
from amends.application.errors import DefinitionUnknown
from amends.ports import Append, EventStore, SetIndex, StreamKey, Transition
from tests.application.conftest import Stores
from tests.application.engine_world import NOON, ManualClock, events_of, fire, orchestrator, turns, until
from tests.application.shop import APPROVED, BANK, FOR_EVER, FULFIL, LATER, Order, Shop, Word, pay, refund
from tests.application.stores import Wrapped

CHANGED = Saga("fulfil", version=1, data=Order, body=Step("pay", BANK, do=pay, undo=refund))
LATEST = 60


async def closed_after(moment: int, stores: Stores, shop: Shop) -> bool:
    """Close when so many turns of the loop have passed; tell whether the order had ended by then."""
    saga_id = f"o-{moment}"
    async with orchestrator(stores(), shop) as amends:
        run = asyncio.create_task(amends.run(FULFIL, Order(), saga_id=saga_id))
        await turns(moment)
    (result,) = await asyncio.gather(run, return_exceptions=True)
    assert isinstance(result, SagaView | NotRunning), result
    async with orchestrator(stores(), shop) as amends:
        assert (await amends.run(FULFIL, Order(), saga_id=saga_id)).status == "compensated"
        await until(lambda: amends.engine.live == 0)
    return isinstance(result, SagaView)


async def test_closing_at_any_moment_leaves_everything_to_go_on(stores: Stores, shop: Shop) -> None:
    shop.refuse("pay", "declined")
    ended = [await closed_after(moment, stores, shop) for moment in range(LATEST)]
    assert not ended[0]
    assert ended[-1], "the last moments are behind the end"


async def test_what_is_outstanding_is_sent_again_with_the_same_id(stores: Stores, shop: Shop) -> None:
    shop.on("pay", lambda _command: asyncio.Event().wait())
    async with orchestrator(stores(), shop) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: shop.named("pay"))
    shop.handlers.clear()
    async with orchestrator(stores(), shop):
        await until(lambda: shop.done["ship"], "recovery, which nobody helps")
    first, second = shop.named("pay")
    assert (first.command_id, first.attempt) == (second.command_id, second.attempt)
    assert len(shop.named("reserve")) == 1, "what was answered is not sent again"


async def test_what_only_waits_is_not_read_at_recovery(stores: Stores, shop: Shop) -> None:
    async with orchestrator(stores(), shop) as amends:
        for number in range(20):
            await amends.start(FOR_EVER, Order(), saga_id=f"o-{number}")
    counting = Wrapped(stores())
    async with orchestrator(counting, shop) as amends:
        await until(lambda: not amends.engine.recovering)
        assert counting.calls["read"] == 0


async def test_an_instance_without_its_definition_is_reported_and_harms_nobody(
    stores: Stores, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    shop.on("pay", lambda _command: asyncio.Event().wait())
    async with orchestrator(stores(), shop, clock=clock) as amends:
        await amends.start(FULFIL, Order(), saga_id="lost")
        await until(lambda: shop.named("pay"))
        await amends.start(APPROVED, Order(), saga_id="known")
        await until(lambda: shop.done["reserve"] == 2)
    shop.handlers.clear()
    counting = Wrapped(stores())
    async with orchestrator(counting, shop, sagas=[APPROVED, FOR_EVER], clock=clock) as amends:
        await until(lambda: not amends.engine.recovering)
        for verb in (amends.cancel("lost", by="ada", reason="try"), amends.wait("lost")):
            with pytest.raises(DefinitionUnknown, match="lost"):
                await verb
        shown = await amends.get("lost")
        assert (shown.status, shown.data) == ("running", {"sku": "sku-1", "amount": 10, "payment": ""})
        await fire(amends, clock, by=timedelta(minutes=1))
        assert await amends.engine.timers.run_once() == 0, "no timer asks in vain"
        before = counting.calls["due"], len(caplog.records)
        await turns(3000)
        assert counting.calls["due"] - before[0] <= 3, "no timer asks in vain"
        assert len(caplog.records) == before[1], "it is reported once"
        await amends.signal("known", "approve", Word())
        assert (await amends.wait("known")).status == "completed"
    assert any(record.levelno == logging.ERROR and "'lost'" in record.message for record in caplog.records)
    async with orchestrator(stores(), shop, clock=clock) as amends:
        await fire(amends, clock, by=timedelta(milliseconds=1))
        while (await amends.get("lost")).status == "running":
            await fire(amends, clock, by=timedelta(seconds=1))
        assert (await amends.get("lost")).status == "completed", "with its definition it goes on"


async def test_the_timer_of_a_parked_instance_counts_again_once_it_can_be_run(
    stores: Stores, shop: Shop
) -> None:
    clock = ManualClock()
    async with orchestrator(stores(), shop, clock=clock) as amends:
        await amends.start(LATER, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
    async with orchestrator(stores(), shop, sagas=[FOR_EVER], clock=clock) as amends:
        await fire(amends, clock, by=timedelta(days=8))
    store = stores()
    await store.open()
    (row,) = await store.open_instances()
    assert (row.wake_at, row.outstanding) == (None, True)
    await store.close()
    async with orchestrator(stores(), shop, clock=clock) as amends:
        assert (await amends.wait("o-1")).status == "completed"


BODIES = {
    "no JSON": b"[{",
    "no events": b'{"type":"SagaStarted"}',
    "an unknown event": b'[{"type":"SagaVanished"}]',
    "a newer event": b'[{"type":"SagaPaused","by":"a","reason":"b","schema":99}]',
    "an event that does not fit": b'[{"type":"StepSkipped","step":"pay","by":"a","reason":"b"}]',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_stream_that_cannot_be_read_is_told_and_harms_nobody(
    stores: Stores, shop: Shop, body: bytes
) -> None:
    store = stores()
    await store.open()
    damaged = Transition(key=StreamKey("default", "bad"), position=1, events=1, recorded_at=NOON, body=body)
    try:
        await store.append([Append(damaged, SetIndex(NOON, outstanding=True))])
    except ValueError:
        assert body == BODIES["no JSON"], "PostgreSQL keeps nothing but JSON, so it cannot be there"
        return
    finally:
        await store.close()
    counting = Wrapped(stores())
    async with orchestrator(counting, shop, clock=ManualClock()) as amends:
        await until(lambda: not amends.engine.recovering)
        for verb in (amends.get("bad"), amends.start(FULFIL, Order(), saga_id="bad"), amends.wait("bad")):
            with pytest.raises(AmendsError):
                await verb
        assert (await amends.run(FULFIL, Order())).status == "completed"
        await amends.engine.timers.run_once()
        await amends.engine.timers.run_once()
        before = counting.calls["due"]
        await turns(2000)
        assert counting.calls["due"] - before <= 3
        assert amends.engine.live == 0


async def test_an_index_row_without_a_stream_is_asked_for_once(store: EventStore, shop: Shop) -> None:
    await store.open()
    await store.append(
        [
            Append(
                Transition(key=StreamKey("other", "x"), position=1, events=1, recorded_at=NOON, body=b"[]"),
                SetIndex(NOON, outstanding=False),
            )
        ]
    )
    await store.close()
    counting = Wrapped(store)
    async with orchestrator(counting, shop) as amends:
        await until(lambda: not amends.engine.recovering)
        await amends.engine.timers.run_once()
        await turns()
        await amends.engine.timers.run_once()
        before = counting.calls["due"]
        await turns(2000)
        assert counting.calls["due"] - before <= 3
        assert amends.engine.live == 0


async def test_a_late_load_and_a_start_meet_during_recovery(stores: Stores, shop: Shop) -> None:
    shop.on("reserve", lambda _command: asyncio.Event().wait())
    async with orchestrator(stores(), shop) as amends:
        for number in range(10):
            await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
    shop.handlers.clear()
    async with orchestrator(stores(), shop) as amends:
        runs = [amends.run(FULFIL, Order(), saga_id=f"o-{number}") for number in range(10)]
        assert {view.status for view in await asyncio.gather(*runs)} == {"completed"}
    assert len(shop.named("reserve")) == 20
    store = stores()
    await store.open()
    for number in range(10):
        assert (await events_of(store, f"o-{number}")).count("SagaCompleted") == 1
    await store.close()
