"""Lanes: one slow participant holds up nobody else; a call whose time is over gives its place back; late replies."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from amends import Refused, Saga, SagaUnknown, Step, Succeeded
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports import EventStore
from tests.application.conftest import Stores
from tests.application.engine_world import ManualClock, fire, orchestrator, turns, until
from tests.application.shop import (
    BANK,
    FULFIL,
    QUICK,
    STOCK,
    Order,
    Shop,
    pay,
    refund,
    release,
    reserve,
)

BANK_ONLY = Saga("bank-only", version=1, data=Order, body=Step("pay", BANK, do=pay, undo=refund))
SHORT = timedelta(seconds=5)
HURRIED = Saga(
    "hurried",
    version=1,
    data=Order,
    body=Step("reserve", STOCK, do=reserve, undo=release, retry=QUICK, undo_retry=QUICK, timeout=SHORT),
)


async def test_a_slow_participant_delays_only_who_needs_it(store: EventStore, shop: Shop) -> None:
    slow = asyncio.Event()
    shop.on("reserve", lambda _command: slow.wait())
    async with orchestrator(store, shop, sagas=[FULFIL, BANK_ONLY], lane_width=5) as amends:
        held = [asyncio.create_task(amends.run(FULFIL, Order())) for _ in range(50)]
        await until(lambda: len(shop.named("reserve")) == 5)
        quick = await asyncio.gather(*(amends.run(BANK_ONLY, Order()) for _ in range(50)))
        assert {view.status for view in quick} == {"completed"}
        assert len(shop.named("reserve")) == 5, "the lane is as wide as it was made"
        slow.set()
        assert {view.status for view in await asyncio.gather(*held)} == {"completed"}


async def test_a_worker_that_ends_before_it_has_looked_is_replaced(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, shop, sagas=[BANK_ONLY]) as amends:
        run = asyncio.create_task(amends.run(BANK_ONLY, Order()))

        def workers() -> list["asyncio.Task[object]"]:
            return [task for task in asyncio.all_tasks() if task.get_name() == "amends-lane-bank"]

        await until(workers)
        assert not shop.named("pay"), "it has not begun"
        for task in workers():
            task.cancel()
        assert (await run).status == "completed"


async def test_a_hanging_call_gives_its_place_back_when_its_time_is_over(
    store: EventStore, shop: Shop
) -> None:
    clock = ManualClock()
    hangs = {"o-0", "o-1"}
    shop.on("reserve", lambda command: asyncio.Event().wait() if command.saga_id in hangs else None)
    async with orchestrator(store, shop, sagas=[HURRIED], clock=clock, lane_width=2) as amends:
        runs = [asyncio.create_task(amends.run(HURRIED, Order(), saga_id=f"o-{n}")) for n in range(4)]
        await until(lambda: len(shop.named("reserve")) == 2)
        await turns()
        assert len(shop.named("reserve")) == 2, "both places are taken"
        await fire(amends, clock, by=timedelta(seconds=5))
        hangs.clear()
        for _ in range(20):
            await fire(amends, clock, by=timedelta(milliseconds=1))
        assert {view.status for view in await asyncio.gather(*runs)} == {"completed"}


async def test_a_participant_that_never_answers_leaves_no_call_behind(store: EventStore, shop: Shop) -> None:
    clock = ManualClock()
    shop.on("reserve", lambda _command: asyncio.Event().wait())
    async with orchestrator(store, shop, sagas=[HURRIED], clock=clock, lane_width=1) as amends:
        run = asyncio.create_task(amends.run(HURRIED, Order(), saga_id="o-1"))
        for attempt in (1, 2, 3):
            await until(lambda: len(shop.named("reserve")) == attempt)  # noqa: B023  awaited at once
            await fire(amends, clock, by=timedelta(seconds=5))
            await fire(amends, clock, by=timedelta(seconds=1))
        end = await run
        assert (end.status, [step.phase for step in end.steps]) == ("compensated", ["undone"])
        shop.handlers.clear()
        assert (await amends.run(HURRIED, Order())).status == "completed", "the only place is free"
        assert amends.engine.live == 0


class Later:
    """Accepts every command and answers none."""

    def __init__(self) -> None:
        self.seen: list[SendCommand] = []

    async def send(self, command: SendCommand) -> Accepted:
        self.seen.append(command)
        return Accepted()

    async def close(self) -> None:
        """Nothing to release."""


async def test_what_was_accepted_leaves_memory_and_its_reply_comes_later(stores: Stores, shop: Shop) -> None:
    later = Later()
    async with orchestrator(stores(), participants=shop.bindings() | {"bank": later}) as amends:
        # A recovery that is still under way may find it outstanding, and ask again.
        await until(lambda: not amends.engine.recovering)
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: later.seen and amends.engine.live == 0)
        await amends.reply("o-1", "pay", Succeeded(b'{"payment":"p-9"}'))
        end = await amends.wait("o-1")
        assert (end.status, end.data.payment) == ("completed", "p-9")
        assert len(later.seen) == 1, "to bring an instance back into memory is no reason to ask again"
        again = await amends.reply("o-1", "pay", Succeeded(b'{"payment":"p-9"}'))
        assert (again.position, again.contradicted) == (end.position, ())
        with pytest.raises(SagaUnknown):
            await amends.reply("nobody", "pay", Succeeded())


async def test_what_was_accepted_is_asked_for_again_after_a_restart(stores: Stores, shop: Shop) -> None:
    later = Later()
    async with orchestrator(stores(), participants=shop.bindings() | {"bank": later}) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: later.seen)
    async with orchestrator(stores(), shop) as amends:
        assert (await amends.wait("o-1")).status == "completed"
    assert shop.named("pay")[0].command_id == later.seen[0].command_id


class Raising:
    """A transport that keeps no rule: it raises whatever it is told to."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)

    async def send(self, command: SendCommand) -> Answer:
        if self.errors:
            raise self.errors.pop(0)
        return Succeeded(b'{"payment":"p-1"}')

    async def close(self) -> None:
        raise RuntimeError("it cannot even be closed")


@pytest.mark.parametrize(
    "error",
    [RuntimeError("broken"), asyncio.CancelledError(), SystemExit(3), ValueError("\udcff"), KeyError("x")],
    ids=lambda error: type(error).__name__,
)
async def test_a_transport_that_raises_is_an_attempt_that_failed(
    stores: Stores, shop: Shop, error: BaseException
) -> None:
    async with orchestrator(stores(), participants=shop.bindings() | {"bank": Raising(error)}) as amends:
        end = await amends.run(FULFIL, Order(), saga_id="o-1")
        assert (end.status, end.steps[1].attempts) == ("completed", 2)
    async with orchestrator(stores(), shop) as amends:
        assert (await amends.get("o-1")).status == "completed"


async def test_a_handler_that_will_not_be_cancelled_does_not_hold_up_the_end(
    stores: Stores, shop: Shop
) -> None:
    async def stubborn(_command: SendCommand) -> object:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return None

    shop.on("reserve", stubborn)
    async with orchestrator(stores(), shop) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: shop.calls)
    shop.handlers.clear()
    async with orchestrator(stores(), shop) as amends:
        assert (await amends.wait("o-1")).status == "completed"


async def test_a_late_reply_after_the_end_is_taken_and_undone(store: EventStore, shop: Shop) -> None:
    """The attempts were used up, the saga was compensated; then the participant says that it had done it after all."""
    later = Later()
    clock = ManualClock()
    participants = shop.bindings() | {"bank": later}
    async with orchestrator(store, participants=participants, clock=clock) as amends:
        await amends.start(FULFIL, Order(), saga_id="o-1")
        await until(lambda: later.seen)
        undone = 0
        while (await amends.get("o-1")).status != "compensated":
            await fire(amends, clock, by=timedelta(seconds=31))
            if later.seen[-1].direction == "undo" and not undone:
                undone = 1
                await amends.reply("o-1", "pay", Succeeded(), direction="undo")
        view = await amends.reply("o-1", "pay", Succeeded(b'{"payment":"late"}'))
        assert view.status == "compensating"
        await until(lambda: later.seen[-1].round == 2)
        await amends.reply("o-1", "pay", Refused("x"), direction="undo", round=1)
        await amends.reply("o-1", "pay", Succeeded(), direction="undo", round=2)
        assert (await amends.wait("o-1")).status == "compensated"
