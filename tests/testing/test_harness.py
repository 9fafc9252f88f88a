"""The real orchestrator on a manual clock: days pass, nobody waits."""

import asyncio
from datetime import timedelta

import pytest

from amends import Saga, local, pause_for
from amends.testing import EffectSpy, FakeParticipant, ManualClock, harness
from tests.testing.sagas import APPROVAL, FULFIL, Charge, Decision, Order, Paid, Reserved

PLACED = Order()


class Town:
    """Three participants that share a spy."""

    def __init__(self) -> None:
        self.spy = EffectSpy()
        self.inventory = FakeParticipant("inventory", spy=self.spy).succeeds("reserve", Reserved("R-1"))
        self.payments = FakeParticipant("payments", spy=self.spy).succeeds("charge", Paid("P-1"))
        self.shipping = FakeParticipant("shipping", spy=self.spy).succeeds("ship").undo_only("close")

    @property
    def all(self) -> list[FakeParticipant]:
        return [self.inventory, self.payments, self.shipping]


@pytest.fixture
def town() -> Town:
    return Town()


async def test_a_saga_runs_to_its_end_while_time_stands(town: Town) -> None:
    async with harness(sagas=[FULFIL], participants=town.all) as h:
        began = h.clock.now()
        view = await h.start(FULFIL, PLACED)
        assert (view.status, view.data.payment, h.clock.now()) == ("completed", "P-1", began)
    town.spy.exactly_once("reserve-stock", "pay", "ship")


async def test_an_approval_is_waited_for_for_days(town: Town) -> None:
    async with harness(sagas=[APPROVAL], participants=town.all) as h:
        await h.start(APPROVAL, PLACED)
        await h.advance(days=13)
        assert (await h.view()).status == "running"
        await h.orchestrator.signal("test-1", "approve", Decision("ann"))
        await h.restart()
        await h.advance(hours=23)
        assert (await h.view()).status == "running"
        await h.advance(hours=1)
        assert (await h.view()).status == "completed"
    town.spy.in_order("reserve-stock", "ship")


async def test_an_approval_that_never_comes_is_undone(town: Town) -> None:
    async with harness(sagas=[APPROVAL], participants=town.all) as h:
        await h.start(APPROVAL, PLACED)
        await h.advance(days=30)
        assert (await h.view()).status == "compensated"
    town.spy.in_order("reserve-stock", "undo reserve-stock", "undo close-order")


async def test_retries_happen_at_their_time(town: Town) -> None:
    town.inventory.fails("reserve", times=1)
    async with harness(sagas=[FULFIL], participants=town.all) as h:
        await h.start(FULFIL, PLACED)
        await h.advance(timedelta(milliseconds=999))
        assert len(town.inventory.commands) == 1
        await h.advance(timedelta(milliseconds=1))
        assert (await h.view()).status == "completed"
    assert [command.attempt for command in town.inventory.commands] == [1, 2]


async def test_what_hangs_times_out_and_is_undone(town: Town) -> None:
    town.payments.hangs("charge")
    async with harness(sagas=[FULFIL], participants=town.all) as h:
        assert (await h.start(FULFIL, PLACED)).status == "running"
        assert town.payments.hanging == 1
        await h.advance(seconds=61)
        assert (await h.view()).status == "compensated"
        assert town.payments.hanging == 0
    town.spy.in_order("reserve-stock", "undo reserve-stock")
    town.spy.nothing_left()


async def test_a_lost_reply_charges_once(town: Town) -> None:
    town.payments.loses_reply("charge", times=1)
    async with harness(sagas=[FULFIL], participants=town.all) as h:
        await h.start(FULFIL, PLACED)
        await h.advance(seconds=1)
        assert (await h.view()).status == "completed"
    assert len(town.payments.named("charge")) == 2
    town.spy.exactly_once("reserve-stock", "pay", "ship")


async def test_without_the_barrier_the_spy_sees_two_charges(town: Town) -> None:
    careless = FakeParticipant("payments", spy=town.spy, barrier=False)
    careless.succeeds("charge", Paid("P-1")).loses_reply("charge", times=1)
    async with harness(sagas=[FULFIL], participants=[town.inventory, careless, town.shipping]) as h:
        await h.start(FULFIL, PLACED)
        await h.advance(seconds=1)
    with pytest.raises(AssertionError, match="acted more than once: pay of test-1: 2 times"):
        town.spy.exactly_once()


async def test_a_do_that_nobody_spoke_of_fails_the_test(town: Town) -> None:
    nobody = FakeParticipant("payments").succeeds("chrage")
    town_without = [town.inventory, nobody, town.shipping]
    with pytest.raises(AssertionError, match=r"payments, charge \(pay\): it was not told"):
        async with harness(sagas=[FULFIL], participants=town_without) as h:
            await h.start(FULFIL, PLACED)


async def test_a_function_of_the_test_that_raises_fails_the_test(town: Town) -> None:
    town.payments.refuses("charge", "declined", when=lambda payload: payload["cent"] > 5)
    with pytest.raises(AssertionError, match=r"payments, charge \(pay\): KeyError: 'cent'"):
        async with harness(sagas=[FULFIL], participants=town.all) as h:
            await h.start(FULFIL, PLACED)


async def test_handlers_of_your_own_are_waited_for(town: Town) -> None:
    async def slow(_payload: Charge) -> Paid:
        for _ in range(500):
            await asyncio.sleep(0)
        return Paid("P-2")

    bound = {"inventory": town.inventory, "payments": local({"charge": slow}), "shipping": town.shipping}
    async with harness(sagas=[FULFIL], participants=bound) as h:
        assert (await h.start(FULFIL, PLACED)).data.payment == "P-2"


async def test_one_that_never_answers_is_named(town: Town) -> None:
    async def never(_payload: Charge) -> Paid:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    bound = {"inventory": town.inventory, "payments": local({"charge": never}), "shipping": town.shipping}
    with pytest.raises(AssertionError, match=r"not quiet after 0.05 s; under way: payments.charge \(pay\)"):
        async with harness(sagas=[FULFIL], participants=bound, patience=0.05) as h:
            await h.start(FULFIL, PLACED)


async def test_years_pass_at_once() -> None:
    later = Saga("later", version=1, data=Order, body=pause_for(timedelta(days=3000)))
    clock = ManualClock()
    began = clock.now()
    async with harness(sagas=[later], participants=[], clock=clock) as h:
        await h.start(later, PLACED)
        await h.advance(days=4000)
        assert (await h.view()).status == "completed"
    assert clock.now() == began + timedelta(days=4000)


async def test_many_instances_go_on_beside_one_another(town: Town) -> None:
    async with harness(sagas=[APPROVAL], participants=town.all) as h:
        for number in range(50):
            await h.orchestrator.start(APPROVAL, PLACED, saga_id=f"order-{number}")
        await h.advance(days=15)
        views = [await h.view(f"order-{number}") for number in range(50)]
        assert {view.status for view in views} == {"compensated"}
    town.spy.exactly_once()
    town.spy.nothing_left()
