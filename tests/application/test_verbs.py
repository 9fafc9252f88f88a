"""The orchestrator's verbs, over every store: run, start, get, wait, signal, cancel, and a person's acts."""

import asyncio
from collections.abc import Sequence
from typing import TypedDict, cast

import pytest

from amends import (
    ActRefused,
    AmendsError,
    NotEncodable,
    NotRunning,
    Orchestrator,
    Refused,
    Saga,
    SagaConflict,
    SagaIdInvalid,
    SagaUnknown,
    SagaView,
    memory,
)
from amends.ports import EventStore, StreamKey, Transition
from tests.application.conftest import Stores
from tests.application.engine_world import events_of, orchestrator, turns, until
from tests.application.shop import APPROVED, FOR_EVER, FULFIL, Order, Shop, Word
from tests.application.stores import Wrapped


class Act(TypedDict):
    by: str
    reason: str


PERSON: Act = {"by": "ada", "reason": "because"}
TWIN = Saga("twin", version=1, data=Order, body=FULFIL.body)


async def test_a_happy_order_runs_to_its_end(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        view = await amends.run(FULFIL, Order(), saga_id="o-1")
        assert view.status == "completed"
        assert view.data == Order("sku-1", 10, "p-1")
        assert shop.names == ["reserve", "pay", "ship"]
        assert (await events_of(store, "o-1"))[0] == "SagaStarted"
        await until(lambda: amends.engine.live == 0)


async def test_a_declined_order_is_undone(store: EventStore, shop: Shop) -> None:
    shop.refuse("pay", "declined")
    async with orchestrator(store, shop) as amends:
        view = await amends.run(FULFIL, Order(), saga_id="o-1")
        assert (view.status, view.undone) == ("compensated", ("reserve",))
        assert view.cause is not None
        assert view.cause.code == "declined"
        assert shop.names == ["reserve", "pay", "release"]


async def test_a_start_again_is_the_same_instance_also_after_its_end(stores: Stores, shop: Shop) -> None:
    async with orchestrator(stores(), shop) as amends:
        first = await amends.start(APPROVED, Order(), saga_id="o-1")
        assert (await amends.start(APPROVED, Order(), saga_id="o-1")).position >= first.position
        await amends.signal("o-1", "approve", Word())
        ended = await amends.wait("o-1")
    async with orchestrator(stores(), shop) as amends:
        assert await amends.start(APPROVED, Order(), saga_id="o-1") == ended
        assert await amends.run(APPROVED, Order(), saga_id="o-1") == ended
        await until(lambda: amends.engine.live == 0)
    assert shop.names == ["reserve", "ship"]


@pytest.mark.parametrize("how", ["start", "run"])
async def test_a_start_with_other_data_is_a_conflict(store: EventStore, shop: Shop, how: str) -> None:
    async with orchestrator(store, shop) as amends:
        begin = amends.start if how == "start" else amends.run
        await amends.run(FULFIL, Order(), saga_id="ended")
        await amends.start(FOR_EVER, Order(), saga_id="waits")
        for saga, saga_id in ((FULFIL, "ended"), (FOR_EVER, "waits")):
            with pytest.raises(SagaConflict, match=saga_id):
                await begin(saga, Order(amount=11), saga_id=saga_id)
        await until(lambda: amends.engine.live == 0)


@pytest.mark.parametrize("how", ["start", "run"])
async def test_the_same_id_and_data_for_another_saga_is_a_conflict(
    store: EventStore, shop: Shop, how: str
) -> None:
    async with orchestrator(store, shop, sagas=[FULFIL, TWIN, FOR_EVER]) as amends:
        begin = amends.start if how == "start" else amends.run
        await amends.run(FULFIL, Order(), saga_id="ended")
        await amends.start(FOR_EVER, Order(), saga_id="waits")
        for saga_id in ("ended", "waits"):
            with pytest.raises(SagaConflict, match="was started"):
                await begin(TWIN, Order(), saga_id=saga_id)
        await until(lambda: amends.engine.live == 0)


async def test_concurrent_starts_make_one_instance(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        same = [amends.run(FULFIL, Order(), saga_id="o-1") for _ in range(5)]
        other = amends.run(FULFIL, Order(amount=1), saga_id="o-1")
        *ends, refused = await asyncio.gather(*same, other, return_exceptions=True)
        assert all(isinstance(end, SagaView) and end.status == "completed" for end in ends)
        assert isinstance(refused, SagaConflict)
        assert shop.names == ["reserve", "pay", "ship"]


async def test_concurrent_runs_on_an_ended_instance_are_told_apart(stores: Stores, shop: Shop) -> None:
    async with orchestrator(stores(), shop) as amends:
        await amends.run(FULFIL, Order(), saga_id="o-1")
    async with orchestrator(stores(), shop) as amends:
        same, other = (
            amends.run(FULFIL, Order(), saga_id="o-1"),
            amends.run(FULFIL, Order(amount=1), saga_id="o-1"),
        )
        end, refused = await asyncio.gather(same, other, return_exceptions=True)
        assert isinstance(end, SagaView)
        assert isinstance(refused, SagaConflict)
        await until(lambda: amends.engine.live == 0)


async def test_a_start_beside_an_act_on_the_same_unknown_id(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        act = asyncio.create_task(amends.cancel("o-1", **PERSON))
        await asyncio.sleep(0)
        assert (await amends.run(FULFIL, Order(), saga_id="o-1")).status == "completed"
        with pytest.raises(SagaUnknown):
            await act


async def test_an_unknown_instance_is_said_to_be_unknown(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        for verb in (amends.get("nobody"), amends.wait("nobody"), amends.cancel("nobody", **PERSON)):
            with pytest.raises(SagaUnknown, match="nobody"):
                await verb
        with pytest.raises(SagaUnknown, match="'twin'"):
            await amends.start(TWIN, Order())
        assert amends.engine.live == 0


async def test_bad_ids_and_data_are_refused(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        for saga_id in ("", " ", "ä", "a/b", "x" * 201, "-"):
            with pytest.raises(SagaIdInvalid, match="saga id"):
                await amends.get(saga_id)
        with pytest.raises(NotEncodable, match="JSON"):
            await amends.start(FULFIL, cast("Order", object()), saga_id="o-1")
        for begin in (amends.start, amends.run):
            with pytest.raises(ActRefused, match="do not fit"):
                await begin(FULFIL, cast("Order", {"sku": 7}), saga_id="o-1")
        assert amends.engine.live == 0
        assert (await amends.run(FULFIL, Order(), saga_id="o-1")).status == "completed"
    assert issubclass(SagaIdInvalid, ValueError)
    assert issubclass(NotEncodable, ValueError)


async def test_get_and_wait_see_what_is_durable(stores: Stores, shop: Shop) -> None:
    async with orchestrator(stores(), shop) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        assert [step.phase for step in (await amends.get("o-1")).steps] == ["succeeded"]
        waiting = asyncio.create_task(amends.wait("o-1"))
        await turns()
        await amends.signal("o-1", "approve", Word())
        assert (await waiting).status == "completed"
        assert (await amends.wait("o-1")).status == "completed"
    async with orchestrator(stores(), shop) as amends:
        assert (await amends.wait("o-1")).status == "completed"


class HeldOnce(Wrapped):
    """Holds what the first read found, so that it is old when it arrives."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store)
        self.gate = asyncio.Event()

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        found = await super().read(key, after=after, limit=limit)
        if self.calls["read"] == 1:
            await self.gate.wait()
        return found


async def test_wait_is_told_an_end_that_came_while_it_read(store: EventStore, shop: Shop) -> None:
    held = HeldOnce(store)
    async with orchestrator(held, shop) as amends:
        await amends.start(FOR_EVER, Order(), saga_id="o-1")
        assert amends.engine.live == 0
        wait = asyncio.create_task(amends.wait("o-1"))
        await until(lambda: held.calls["read"])
        assert (await amends.signal("o-1", "go", Word())).status == "completed"
        held.gate.set()
        assert (await wait).status == "completed"
        assert amends.engine.live == 0


async def test_cancel_turns_round(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: shop.done["reserve"])
        await amends.cancel("o-1", **PERSON)
        assert (await amends.wait("o-1")).status == "compensated"
        with pytest.raises(ActRefused, match="compensated") as refused:
            await amends.cancel("o-1", **PERSON)
        assert refused.value.code == "ended"


async def test_pause_keeps_and_resume_goes_on(stores: Stores, shop: Shop) -> None:
    answered = asyncio.Event()
    shop.on("reserve", lambda _command: answered.wait())
    async with orchestrator(stores(), shop) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: shop.calls)
        await amends.pause("o-1", **PERSON)
        answered.set()
        await until(lambda: amends.engine.live == 0)
        assert (await amends.get("o-1")).paused
        assert shop.names == ["reserve"]
    async with orchestrator(stores(), shop) as amends:
        await turns()
        assert shop.names == ["reserve"]
        await amends.resume("o-1", **PERSON)
        assert (await amends.wait("o-1")).status == "completed"


async def test_what_was_in_flight_at_a_pause_is_sent_again_when_resumed_after_a_restart(
    stores: Stores, shop: Shop
) -> None:
    hangs = asyncio.Event()
    shop.on("reserve", lambda _command: hangs.wait())
    async with orchestrator(stores(), shop) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: shop.calls)
        await amends.pause("o-1", **PERSON)
    shop.handlers.clear()
    async with orchestrator(stores(), shop) as amends:
        await until(lambda: not amends.engine.recovering)
        assert shop.names == ["reserve"]
        await amends.resume("o-1", **PERSON)
        assert (await amends.wait("o-1")).status == "completed"
    assert shop.names == ["reserve", "reserve", "pay", "ship"]


async def stuck_shipping(amends: Orchestrator, shop: Shop) -> None:
    shop.refuse("ship", "no-van")
    view = await amends.run(FULFIL, Order(), saga_id="o-1", until="stuck")
    assert (view.status, view.stuck) == ("stuck", ("ship",))


async def test_who_waits_until_stuck_is_told_of_the_end_as_well(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        assert (await amends.run(FULFIL, Order(), saga_id="o-1", until="stuck")).status == "completed"
        assert (await amends.wait("o-1", until="stuck")).status == "completed"


async def test_who_waits_for_the_end_waits_while_it_is_stuck(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        await stuck_shipping(amends, shop)
        assert (await amends.wait("o-1", until="stuck")).status == "stuck"
        assert (await amends.run(FULFIL, Order(), saga_id="o-1", until="stuck")).status == "stuck"
        end = asyncio.create_task(amends.wait("o-1"))
        await turns()
        assert not end.done()
        shop.handlers.clear()
        await amends.retry("o-1", "ship", **PERSON)
        assert (await end).status == "completed"


@pytest.mark.parametrize("act", ["retry", "resolve", "skip", "abandon"])
async def test_a_person_ends_what_is_stuck(stores: Stores, shop: Shop, act: str) -> None:
    async with orchestrator(stores(), shop) as amends:
        await stuck_shipping(amends, shop)
        await until(lambda: amends.engine.live == 0)
    shop.handlers.clear()
    async with orchestrator(stores(), shop) as amends:
        match act:
            case "retry":
                await amends.retry("o-1", "ship", **PERSON)
            case "resolve":
                await amends.resolve("o-1", "ship", **PERSON)
            case "skip":
                await amends.skip("o-1", "ship", **PERSON)
            case _:
                await amends.abandon("o-1", **PERSON)
        end = await amends.wait("o-1")
    assert end.status == ("abandoned" if act == "abandon" else "completed")
    assert shop.done["ship"] == (1 if act == "retry" else 0)


async def test_an_abandoned_instance_is_left_alone(stores: Stores, shop: Shop) -> None:
    hangs = asyncio.Event()
    shop.on("pay", lambda _command: hangs.wait())
    async with orchestrator(stores(), shop) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: shop.named("pay"))
        await amends.abandon("o-1", **PERSON)
    async with orchestrator(stores(), shop) as amends:
        with pytest.raises(ActRefused):
            await amends.cancel("o-1", **PERSON)
        assert (await amends.start(FULFIL, Order(), saga_id="o-1")).status == "abandoned"
        await turns()
    assert shop.names == ["reserve", "pay"]


async def test_what_the_rules_forbid_kills_nothing(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        wrong = (
            amends.signal("o-1", "other"),
            amends.signal("o-1", "approve", {"word": 7}),
            amends.retry("o-1", "reserve", **PERSON),
            amends.skip("o-1", "nothing", **PERSON),
        )
        for verb in wrong:
            with pytest.raises(ActRefused):
                await verb
        with pytest.raises(AmendsError, match="surrogate"):
            await amends.cancel("o-1", by="\ud800", reason="no such letter")
        await amends.signal("o-1", "approve", Word())
        assert (await amends.wait("o-1")).status == "completed"


async def test_an_orchestrator_is_opened_once_and_says_when_it_is_not_open() -> None:
    amends = orchestrator(memory())
    with pytest.raises(NotRunning, match="not open"):
        await amends.start(FULFIL, Order())
    async with amends:
        pass
    for verb in (amends.start(FULFIL, Order()), amends.get("o-1"), amends.cancel("o-1", **PERSON)):
        with pytest.raises(NotRunning, match="closed"):
            await verb
    with pytest.raises(NotRunning, match="once"):
        await amends.__aenter__()
    await amends.engine.close()


async def test_a_reply_that_contradicts_is_shown_and_the_first_stands(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        view = await amends.reply("o-1", "reserve", Refused("out"))
        assert (view.contradicted, view.status) == (("reserve",), "running")
