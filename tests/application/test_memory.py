"""What is in memory: idle instances leave it, and everything that waits is bounded."""

import asyncio
import gc
import tracemalloc

import pytest

from amends import NotRunning, Orchestrator, Overloaded, SagaConflict
from amends.adapters.memory import MemoryEventStore
from amends.application.room import Room
from amends.ports import EventStore
from tests.application.conftest import Stores
from tests.application.engine_world import orchestrator, turns, until
from tests.application.shop import APPROVED, FOR_EVER, FULFIL, Order, Shop, Word

MANY = 10_000


async def start_many(amends: Orchestrator, numbers: range) -> None:
    """Start instances that wait for a signal, a thousand at a time, and let them leave memory."""
    for first in numbers[::1000]:
        await asyncio.gather(
            *(amends.start(FOR_EVER, Order(), saga_id=f"o-{first + n}") for n in range(1000))
        )
    await until(lambda: amends.engine.live == 0)
    gc.collect()


async def test_ten_thousand_that_wait_leave_memory_and_each_can_be_woken(
    store: EventStore, shop: Shop
) -> None:
    async with orchestrator(store, shop) as amends:
        tracemalloc.start()
        await start_many(amends, range(1000))
        before = tracemalloc.get_traced_memory()[0]
        await start_many(amends, range(1000, MANY))
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        if not isinstance(store, MemoryEventStore):
            assert grown < 250_000, f"{grown} bytes for {MANY - 1000} instances that only wait"
        for first in range(0, MANY, 1000):
            signals = [amends.signal(f"o-{first + n}", "go", Word()) for n in range(1000)]
            assert {view.status for view in await asyncio.gather(*signals)} == {"completed"}
        assert amends.engine.live == 0


async def test_an_instance_leaves_when_its_caller_gives_up(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        run = asyncio.create_task(amends.run(FOR_EVER, Order(), saga_id="o-1"))
        wait = asyncio.create_task(amends.run(APPROVED, Order(), saga_id="o-2"))
        await until(lambda: shop.done["reserve"])
        await turns()
        assert amends.engine.live == 2, "somebody waits for their end"
        for task in (run, wait):
            task.cancel()
        await asyncio.gather(run, wait, return_exceptions=True)
        assert amends.engine.live == 0
        waits = [asyncio.create_task(amends.wait(f"o-{n}")) for n in (1, 2)]
        await turns()
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert amends.engine.live == 0
        assert (await amends.signal("o-1", "go", Word())).status == "completed"


async def test_a_start_whose_caller_gave_up_goes_on(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        run = asyncio.create_task(amends.run(FULFIL, Order(), saga_id="o-1"))
        await asyncio.sleep(0)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await turns()
        assert (await amends.wait("o-1")).status == "completed"
        await until(lambda: amends.engine.live == 0)


async def test_a_refused_run_leaves_nothing_behind(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop) as amends:
        await amends.start(FOR_EVER, Order(), saga_id="o-1")
        for _ in range(3):
            with pytest.raises(SagaConflict):
                await amends.run(FOR_EVER, Order(amount=1), saga_id="o-1")
        assert amends.engine.live == 0


async def test_most_live_bounds_and_whoever_comes_later_waits_in_turn(store: EventStore, shop: Shop) -> None:
    gates = [asyncio.Event() for _ in range(6)]
    order: list[str] = []

    async def wait_for_gate(saga_id: str) -> None:
        order.append(saga_id)
        await gates[int(saga_id[2:])].wait()

    shop.on("reserve", lambda command: wait_for_gate(command.saga_id))
    async with orchestrator(store, shop, most_live=2, most_waiting=3) as amends:
        starts = [asyncio.create_task(amends.run(FULFIL, Order(), saga_id=f"o-{n}")) for n in range(5)]
        await until(lambda: len(order) == 2)
        await turns()
        assert (amends.engine.live, amends.engine.waiting) == (2, 3)
        with pytest.raises(Overloaded, match="2 instances are in work and 3 callers wait"):
            await amends.start(FULFIL, Order(), saga_id="o-5")
        assert (await amends.start(FULFIL, Order(), saga_id="o-0")).id == "o-0", "what is live needs no room"
        for gate in gates:
            gate.set()
            await turns()
            assert amends.engine.live <= 2
        assert {view.status for view in await asyncio.gather(*starts)} == {"completed"}
        assert order == [f"o-{n}" for n in range(5)]
        assert amends.engine.waiting == 0


async def test_who_waits_for_room_and_gives_up_takes_no_place(store: EventStore, shop: Shop) -> None:
    gate = asyncio.Event()
    shop.on("reserve", lambda command: gate.wait() if command.saga_id == "o-0" else None)
    async with orchestrator(store, shop, most_live=1, most_waiting=3) as amends:
        first = asyncio.create_task(amends.run(FULFIL, Order(), saga_id="o-0"))
        await until(lambda: shop.calls)
        waiting = [asyncio.create_task(amends.run(FULFIL, Order(), saga_id=f"o-{n}")) for n in (1, 2, 3)]
        await turns()
        waiting[0].cancel()
        await turns()
        assert amends.engine.waiting == 2
        gate.set()
        results = await asyncio.gather(first, *waiting[1:])
        assert [view.status for view in results] == ["completed"] * 3


async def test_a_promised_place_is_passed_on_when_its_caller_gives_up_at_that_moment() -> None:
    live = {1: 1}
    room = Room(live, most_live=1, most_waiting=10)
    entered: list[str] = []

    async def enter(name: str) -> None:
        await room.enter()
        live[len(live) + 1] = 1
        entered.append(name)

    tasks = [asyncio.create_task(enter(name)) for name in ("a", "b", "c")]
    await turns()
    live.clear()
    room.let_in()
    tasks[0].cancel()
    await turns()
    assert entered == ["b"]
    assert room.waiting == 1
    live.clear()
    room.let_in()
    late = asyncio.create_task(enter("late"))
    await turns()
    assert entered == ["b", "c"], "nobody who comes later takes a promised place"
    live.clear()
    room.let_in()
    await asyncio.gather(*tasks, late, return_exceptions=True)
    assert entered == ["b", "c", "late"]


async def test_who_waits_for_room_is_told_when_the_orchestrator_closes(store: EventStore, shop: Shop) -> None:
    shop.on("reserve", lambda _command: asyncio.Event().wait())
    async with orchestrator(store, shop, most_live=1) as amends:
        tasks = [asyncio.create_task(amends.run(FULFIL, Order(), saga_id=f"o-{n}")) for n in range(4)]
        await until(lambda: shop.calls)
        await turns()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, NotRunning) for result in results), results


@pytest.mark.parametrize("most_live", [1, 2, 7])
async def test_recovery_of_more_than_may_be_live(stores: Stores, shop: Shop, most_live: int) -> None:
    shop.on("reserve", lambda _command: asyncio.Event().wait())
    async with orchestrator(stores(), shop) as amends:
        for number in range(40):
            await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
    shop.handlers.clear()
    async with orchestrator(stores(), shop, most_live=most_live, most_waiting=0):
        await until(lambda: shop.done["ship"] == 40)


async def test_what_makes_room_and_is_wanted_back_at_that_moment_is_sent(
    store: EventStore, shop: Shop
) -> None:
    gate = asyncio.Event()
    shop.on("pay", lambda _command: gate.wait())
    async with orchestrator(store, shop, most_live=2, lane_width=1) as amends:
        for number in range(2):
            await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
        await until(lambda: amends.engine.dispatcher.lanes["bank"].queued == 1)
        # There is no room for a third: the one that is queued is set aside, and its lane wants it back at once.
        late = asyncio.create_task(amends.start(FULFIL, Order(), saga_id="late"))
        await until(lambda: amends.engine.dispatcher.lanes["bank"].queued == 0)
        await turns()
        gate.set()
        shop.handlers.clear()
        await late
        await until(lambda: shop.done["ship"] == 3)
