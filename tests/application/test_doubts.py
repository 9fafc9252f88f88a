"""Before an outcome is called unknown the participant is asked: what it knows is a reply like any other."""

import asyncio
from datetime import timedelta

import pytest

from amends import RetryPolicy, Saga, Step, sequence
from amends.application import doubts
from amends.core.effect import SendCommand
from amends.core.outcome import Answer, Failed, Refused, Succeeded
from amends.ports import EventStore, SetIndex, StreamKey
from tests.application.conftest import Stores
from tests.application.engine_world import ManualClock, events_of, fire, orchestrator, until
from tests.application.shop import BANK, STOCK, Order, Shop, paid, pay, refund, release, reserve, ship

ONCE = RetryPolicy(attempts=1, jitter=0)
BODY = sequence(
    Step("reserve", STOCK, do=reserve, undo=release, retry=ONCE),
    Step("pay", BANK, do=pay, undo=refund, merge=paid, retry=ONCE, undo_retry=ONCE),
)
DOUBTFUL = Saga("doubtful", version=1, data=Order, body=BODY)
BEHIND = Saga(
    "behind",
    version=1,
    data=Order,
    body=sequence(BODY, Step("ship", BANK, do=ship, kind="retriable", retry=ONCE)),
)
TURNING = Saga(
    "turning",
    version=1,
    data=Order,
    body=sequence(
        Step("pay", BANK, do=pay, undo=refund, undo_retry=ONCE),
        Step("reserve", STOCK, do=reserve, undo=release),
    ),
)
LATE = timedelta(seconds=30)


class Bank:
    """Loses its answers to commands of the names `lost`, or hangs with those of `hanging`; says what it is told to."""

    def __init__(self, says: Answer | None = None, *, lost: str = "", hanging: str = "") -> None:
        self.says = says
        self.lost = lost
        self.hanging = hanging
        self.asked: list[SendCommand] = []
        self.names: list[str] = []
        self.knows = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.raises: Exception | None = None

    async def send(self, command: SendCommand) -> Answer:
        self.names.append(command.name)
        if command.name == self.hanging:
            await asyncio.Event().wait()
        if command.name == self.lost:
            return Failed("the answer was lost")
        return Succeeded(b'{"payment":"p-1"}')

    async def status(self, command: SendCommand) -> Answer | None:
        self.asked.append(command)
        await self.gate.wait()
        if self.raises is not None:
            raise self.raises
        return self.says

    async def close(self) -> None:
        """Nothing to release."""


async def run(
    store: EventStore, shop: Shop, bank: Bank, saga: Saga[Order] = DOUBTFUL
) -> tuple[str, list[str]]:
    clock = ManualClock()
    async with orchestrator(
        store, sagas=[saga], participants=shop.bindings() | {"bank": bank}, clock=clock
    ) as amends:
        task = asyncio.create_task(amends.run(saga, Order(), saga_id="o-1", until="stuck"))
        if bank.hanging:
            await until(lambda: bank.hanging in bank.names)
            await fire(amends, clock, by=LATE)
        end = await task
        return end.status, await events_of(store, "o-1")


@pytest.mark.parametrize("how", ["lost", "hanging"])
async def test_what_had_succeeded_goes_on_and_is_not_undone(store: EventStore, shop: Shop, how: str) -> None:
    bank = Bank(Succeeded(b'{"payment":"p-7"}'), **{how: "pay"})
    status, events = await run(store, shop, bank)
    assert (status, bank.names) == ("completed", ["pay"])
    assert "AttemptFailed" not in events
    assert [(command.command_id, command.attempt) for command in bank.asked] == [("o-1/pay/do/1", 1)]


@pytest.mark.parametrize("how", ["lost", "hanging"])
async def test_what_was_refused_turns_the_saga_and_is_not_undone(
    store: EventStore, shop: Shop, how: str
) -> None:
    bank = Bank(Refused("declined"), **{how: "pay"})
    assert (await run(store, shop, bank))[0] == "compensated"
    assert (bank.names, shop.names) == (["pay"], ["reserve", "release"])


@pytest.mark.parametrize("how", ["lost", "hanging"])
async def test_what_nobody_knows_is_unknown_as_without_asking(
    store: EventStore, shop: Shop, how: str
) -> None:
    bank = Bank(None, **{how: "pay"})
    status, events = await run(store, shop, bank)
    assert (status, bank.names, len(bank.asked)) == ("compensated", ["pay", "refund"], 1)
    assert events.count("AttemptFailed") == events.count("OutcomeUnknown") == 1


async def test_who_raises_or_is_silent_has_said_nothing(
    store: EventStore, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising = Bank(Succeeded(), lost="pay")
    raising.raises = RuntimeError("broken")
    assert (await run(store, shop, raising))[0] == "compensated"
    monkeypatch.setattr(doubts, "ASKED_WITHIN", 0.01)
    silent = Bank(Succeeded(), lost="pay")
    silent.gate.clear()
    async with orchestrator(
        store, sagas=[DOUBTFUL], participants=shop.bindings() | {"bank": silent}
    ) as amends:
        assert (await amends.run(DOUBTFUL, Order(), saga_id="o-2")).status == "compensated"


async def test_behind_the_point_of_no_return_knowledge_spares_a_person(store: EventStore, shop: Shop) -> None:
    known = Bank(Succeeded(b"null"), lost="ship")
    assert (await run(store, shop, known, BEHIND))[0] == "completed"


async def test_without_knowledge_the_step_is_stuck(store: EventStore, shop: Shop) -> None:
    assert (await run(store, shop, Bank(None, lost="ship"), BEHIND))[0] == "stuck"


async def test_an_undo_that_was_confirmed_is_not_stuck(store: EventStore, shop: Shop) -> None:
    shop.refuse("reserve")
    bank = Bank(Succeeded(), lost="refund")
    assert (await run(store, shop, bank, TURNING))[0] == "compensated"
    assert bank.asked[0].command_id == "o-1/pay/undo/1"


async def test_a_binding_that_cannot_be_asked_is_not(store: EventStore, shop: Shop) -> None:
    bank = Bank(Succeeded(), lost="pay")
    bank.knows = False
    assert (await run(store, shop, bank))[0] == "compensated"
    assert bank.asked == []


async def test_a_crash_while_it_is_asked_leaves_the_attempt_outstanding(stores: Stores, shop: Shop) -> None:
    bank = Bank(Succeeded(), lost="pay")
    bank.gate.clear()
    async with orchestrator(
        stores(), sagas=[DOUBTFUL], participants=shop.bindings() | {"bank": bank}
    ) as amends:
        await amends.start(DOUBTFUL, Order(), saga_id="o-1")
        await until(lambda: bank.asked)
    async with orchestrator(stores(), shop, sagas=[DOUBTFUL]) as amends:
        end = await amends.wait("o-1")
        assert (end.status, end.steps[1].attempts) == ("completed", 1)
    assert len(shop.named("pay")) == 1


async def test_while_it_is_asked_time_stands_still_and_it_is_asked_once(
    store: EventStore, shop: Shop
) -> None:
    clock = ManualClock()
    bank = Bank(Succeeded(b'{"payment":"p-7"}'), hanging="pay")
    bank.gate.clear()
    async with orchestrator(
        store, sagas=[DOUBTFUL], participants=shop.bindings() | {"bank": bank}, clock=clock
    ) as amends:
        await amends.start(DOUBTFUL, Order(), saga_id="o-1")
        await until(lambda: bank.names)
        for _ in range(4):
            # As if another timer of the instance were due.
            await store.reindex(StreamKey("default", "o-1"), SetIndex(clock.now(), outstanding=True))
            await fire(amends, clock, by=timedelta(hours=1))
        assert (len(bank.asked), (await amends.get("o-1")).status) == (1, "running")
        # The correction of the row may be on its way still, by the timers' own task.
        asked = [await amends.engine.timers.run_once() for _ in range(3)]
        assert asked[-1] == 0, "no timer asks in vain"
        bank.gate.set()
        assert (await amends.wait("o-1")).status == "completed"
