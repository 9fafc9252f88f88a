"""Participants that are down, hang, are slow or limited: commands wait, time stands still, others go on."""

import asyncio
import gc
import time
from collections import Counter
from datetime import timedelta
from statistics import quantiles
from typing import Any

from amends import Orchestrator, Overloaded, Saga, SagaView, Step, memory, parallel
from amends.application.backlog import Backlog
from amends.application.breakers import BreakerPolicy
from amends.application.gate import Budget, Protection
from amends.application.instance import Instance
from amends.application.lane import Lane
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed, Succeeded
from amends.ports import EventStore, Transport
from tests.application.conftest import Stores
from tests.application.engine_world import ManualClock, events_of, fire, orchestrator, turns, until
from tests.application.shop import BANK, FULFIL, QUICK, STOCK, Order, Shop, pay, refund, release, reserve

SECOND = timedelta(seconds=1)
QUICKLY = Protection(
    breaker=BreakerPolicy(failures=3, open_for=5 * SECOND, longest=5 * SECOND, ramp=10 * SECOND, ramp_first=5)
)
PLAIN = Protection(breaker=BreakerPolicy(failures=3, open_for=5 * SECOND, ramp=timedelta(0)))
MINUTE = timedelta(minutes=1)
STOCK_ONLY = Saga(
    "stock-only",
    version=1,
    data=Order,
    body=Step("reserve", STOCK, do=reserve, undo=release, retry=QUICK, undo_retry=QUICK),
)
BANK_ONLY = Saga("bank-only", version=1, data=Order, body=Step("pay", BANK, do=pay, undo=refund))
DEADLINE = Saga(
    "deadline",
    version=1,
    data=Order,
    deadline=timedelta(minutes=10),
    body=parallel(
        Step("pay", BANK, do=pay, undo=refund, timeout=MINUTE),
        Step("reserve", STOCK, do=reserve, undo=release, timeout=MINUTE),
    ),
)


class Bank:
    """A participant that can be away, hang or accept; it notes when what was sent to it."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock
        self.mode = "up"
        self.seen: list[SendCommand] = []
        self.done: Counter[str] = Counter()
        self.times: list[float] = []

    async def send(self, command: SendCommand) -> Answer | Accepted:
        self.seen.append(command)
        if self.clock is not None:
            self.times.append(self.clock.now().timestamp())
        match self.mode:
            case "down":
                return Failed("connection refused")
            case "hangs":
                await asyncio.Event().wait()
            case "accepts":
                return Accepted()
            case _:
                pass
        self.done[command.command_id] += 1
        return Succeeded(b'{"payment":"p-1"}')

    async def close(self) -> None:
        """Nothing to release."""


def lane(amends: Orchestrator, name: str) -> Lane:
    return amends.engine.dispatcher.lanes[name]


def stage(amends: Orchestrator, name: str = "bank") -> str:
    return lane(amends, name).gate.stage


async def go_on(amends: Orchestrator, clock: ManualClock, *, by: timedelta) -> None:
    """Move the clock, look at gates and timers, and let what follows happen."""
    clock.move(by)
    await amends.engine.dispatcher.releases.run_once()
    await fire(amends, clock, by=timedelta(0))


async def ends_of(
    amends: Orchestrator, clock: ManualClock, ids: list[str], *, by: timedelta
) -> list[SagaView[Any]]:
    """Move the clock on until the named instances have ended."""
    ends = asyncio.gather(*(amends.wait(saga_id) for saga_id in ids))
    while not ends.done():
        await go_on(amends, clock, by=by)
    return await ends


async def open_breaker(amends: Orchestrator, bank: Bank, first: int = 900_000) -> None:
    """Have three sagas meet the bank, which is down."""
    bank.mode = "down"
    for number in range(first, first + 3):
        await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
    await until(lambda: stage(amends) == "open", "the breaker to open")


def with_bank(
    store: EventStore,
    bank: Transport,
    clock: ManualClock | None,
    protection: Protection,
    shop: Shop,
    *,
    most_live: int = 10_000,
    most_waiting: int = 10_000,
    lane_width: int = 100,
) -> Orchestrator:
    return orchestrator(
        store,
        sagas=[FULFIL, BANK_ONLY, STOCK_ONLY, DEADLINE],
        participants=shop.bindings() | {"bank": bank},
        clock=clock,
        protection=protection,
        most_live=most_live,
        most_waiting=most_waiting,
        lane_width=lane_width,
    )


async def test_while_it_is_open_commands_wait_time_stands_still_and_others_go_on(
    store: EventStore, shop: Shop
) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(store, bank, clock, QUICKLY, shop) as amends:
        await open_breaker(amends, bank)
        asked = len(bank.seen)
        for number in range(50):
            await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
        await until(lambda: len(shop.named("reserve")) == 53 and amends.engine.live == 0)
        for _ in range(6):
            # The breaker is held by probes that fail: an hour passes, which is 120 times the step's timeout.
            await go_on(amends, clock, by=timedelta(minutes=10))
        assert (await amends.run(STOCK_ONLY, Order())).status == "completed", "who needs the bank not goes on"
        assert len(bank.seen) - asked <= 7, "nothing but a probe, each time that one was due"
        waiting = await amends.get("o-49")
        assert (waiting.status, waiting.steps[1].attempts) == ("running", 1)
        assert (await events_of(store, "o-49")).count("AttemptStarted") == 0, "to wait writes nothing"
        bank.mode = "up"
        ends = await ends_of(amends, clock, [f"o-{number}" for number in range(50)], by=SECOND / 2)
        assert {end.status for end in ends} == {"completed"}
        assert sum(end.steps[1].attempts for end in ends) <= 50 + 7, "who was not asked used up nothing"
        assert set(bank.done.values()) == {1}
        await go_on(amends, clock, by=10 * SECOND)
        assert stage(amends) == "closed"


async def test_what_comes_back_comes_at_the_pace_of_the_ramp(shop: Shop) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(memory(), bank, clock, QUICKLY, shop) as amends:
        await open_breaker(amends, bank)
        for number in range(200):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        await until(lambda: amends.engine.live == 0)
        bank.mode = "up"
        bank.times.clear()
        begin = clock.now().timestamp() + 5
        for _ in range(150):
            await go_on(amends, clock, by=SECOND / 10)
        assert sum(bank.done.values()) == 203
        assert bank.times[0] >= begin - 0.01, "not before its time"
        seconds = Counter(int(at - begin) for at in bank.times[1:])
        assert 4 <= seconds[0] <= 9, seconds
        assert 8 <= seconds[1] <= 18, seconds
        assert seconds[2] >= 12, seconds


async def test_a_restart_while_it_is_open_loses_nothing_and_uses_up_no_attempt(
    stores: Stores, shop: Shop
) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(stores(), bank, clock, PLAIN, shop) as amends:
        await open_breaker(amends, bank)
        for number in range(20):
            await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
        await until(lambda: len(shop.named("reserve")) == 23 and amends.engine.live == 0)
        await fire(amends, clock, by=timedelta(minutes=5))
    async with with_bank(stores(), bank, clock, PLAIN, shop) as amends:
        await until(lambda: not amends.engine.recovering)
        await until(lambda: stage(amends) == "open", "the breaker to open again")
        await until(lambda: amends.engine.live == 0)
        await fire(amends, clock, by=timedelta(minutes=5))
        in_vain = len(bank.seen) - 3
        bank.mode = "up"
        ends = await ends_of(amends, clock, [f"o-{number}" for number in range(20)], by=5 * SECOND)
    assert {end.status for end in ends} == {"completed"}
    assert in_vain <= 3 + 2, "three open it after the restart; a probe is due each time that minutes pass"
    used_up = sum(end.steps[1].attempts - 1 for end in ends)
    assert used_up <= in_vain, "only those that were asked used up an attempt"
    assert set(bank.done.values()) == {1}


async def test_a_probe_that_hangs_is_given_up_and_it_is_open_again(store: EventStore, shop: Shop) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(store, bank, clock, PLAIN, shop) as amends:
        await open_breaker(amends, bank)
        await amends.start(BANK_ONLY, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        bank.mode = "hangs"
        asked = len(bank.seen)
        await go_on(amends, clock, by=5 * SECOND)
        await until(lambda: len(bank.seen) == asked + 1, "the probe")
        for _ in range(3):
            await go_on(amends, clock, by=5 * SECOND)
        assert (stage(amends), len(bank.seen)) == ("half-open", asked + 1), "one probe at a time"
        await go_on(amends, clock, by=30 * SECOND)
        await until(lambda: stage(amends) == "open", "the probe to be given up")
        bank.mode = "up"
        (end,) = await ends_of(amends, clock, ["o-1"], by=10 * SECOND)
        assert end.status == "completed"


async def test_a_deadline_passes_for_everybody(store: EventStore, shop: Shop) -> None:
    """An attempt that was not sent stands still; the saga's deadline does not, nor a branch elsewhere."""
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(store, bank, clock, PLAIN, shop) as amends:
        await open_breaker(amends, bank)
        shop.on("reserve", lambda _command: asyncio.Event().wait())
        await amends.start(DEADLINE, Order(), saga_id="o-1")
        await until(lambda: len(shop.named("reserve")) == 4)
        await fire(amends, clock, by=MINUTE)
        view = await amends.get("o-1")
        assert [(step.path, step.phase) for step in view.steps] == [("pay", "doing"), ("reserve", "retrying")]
        await fire(amends, clock, by=timedelta(minutes=10))
        assert (await amends.get("o-1")).status == "compensating"
        shop.handlers.clear()
        bank.mode = "up"
        (end,) = await ends_of(amends, clock, ["o-1"], by=10 * SECOND)
        assert (end.status, end.cause and end.cause.code) == ("compensated", "deadline")
        assert end.steps[0].attempts == 1


async def test_what_was_accepted_stands_still_too_while_its_participant_is_away(
    store: EventStore, shop: Shop
) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(store, bank, clock, PLAIN, shop) as amends:
        bank.mode = "accepts"
        await until(lambda: not amends.engine.recovering)
        await amends.start(BANK_ONLY, Order(), saga_id="o-1")
        await until(lambda: bank.seen and amends.engine.live == 0)
        await open_breaker(amends, bank)
        # No probe may take it back, for it would be one.
        lane(amends, "bank").open_by_hand()
        await fire(amends, clock, by=MINUTE)
        assert (await amends.get("o-1")).steps[0].phase == "doing"
        bank.mode = "up"
        lane(amends, "bank").close_by_hand()
        (end,) = await ends_of(amends, clock, ["o-1"], by=10 * SECOND)
        assert (end.status, end.steps[0].attempts) == ("completed", 1)


async def start_many(amends: Orchestrator, numbers: range) -> None:
    """Start sagas that need the bank, a thousand at a time, and let them leave memory."""
    for first in numbers[::1000]:
        starts = [amends.start(BANK_ONLY, Order(), saga_id=f"o-{first + n}") for n in range(1000)]
        await asyncio.gather(*starts)
    await until(lambda: amends.engine.live == 0, "all to leave memory")
    gc.collect()


async def all_come_back(amends: Orchestrator, bank: Bank, clock: ManualClock, number: int) -> None:
    bank.mode = "up"
    while sum(bank.done.values()) < number:
        if stage(amends) != "closed":
            clock.move(SECOND)
            amends.engine.dispatcher.releases.note()
        await turns(20)
    await until(lambda: amends.engine.live == 0 and lane(amends, "bank").waiting <= 3)
    assert set(bank.done.values()) == {1}
    for key in (0, number // 2, number - 1):
        assert (await amends.wait(f"o-{key}")).status == "completed"


async def test_twenty_thousand_that_wait_leave_memory_and_come_back(shop: Shop) -> None:
    """More than a lane remembers: the others are found in the store's index."""
    clock = ManualClock()
    bank = Bank()
    async with with_bank(memory(), bank, clock, PLAIN, shop) as amends:
        await open_breaker(amends, bank)
        await start_many(amends, range(20_000))
        assert lane(amends, "bank").waiting >= 20_000
        in_memory = sum(isinstance(each, Instance) for each in gc.get_objects())
        assert in_memory <= 1_000, "of a thousand that just left something may still be referred to"
        await all_come_back(amends, bank, clock, 20_000)


async def test_who_is_not_remembered_is_found_in_the_index(store: EventStore, shop: Shop) -> None:
    clock = ManualClock()
    bank = Bank()
    async with with_bank(store, bank, clock, PLAIN, shop) as amends:
        lane(amends, "bank").backlog = Backlog(most=50)
        await open_breaker(amends, bank)
        for number in range(200):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        await until(lambda: amends.engine.live == 0)
        await fire(amends, clock, by=MINUTE)
        await all_come_back(amends, bank, clock, 200)


async def test_a_rate_limit_holds_and_uses_up_no_attempt(shop: Shop) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    limited = Protection(rate=2)
    async with orchestrator(
        memory(),
        sagas=[BANK_ONLY],
        participants=shop.bindings() | {"bank": bank},
        clock=clock,
        protections={"bank": limited},
    ) as amends:
        for number in range(100):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        begin = clock.now().timestamp()
        for _ in range(140):
            await go_on(amends, clock, by=SECOND / 2)
        assert len(bank.seen) == 100
        assert bank.times[-1] - begin >= 49
        assert {(await amends.wait(f"o-{n}")).steps[0].attempts for n in range(100)} == {1}
        assert amends.participants[0].held["limit"] >= 99


async def test_retries_keep_to_their_budget_and_undos_go_on(store: EventStore, shop: Shop) -> None:
    """Every do fails at first, and no breaker helps: the retries of dos wait, the undos do not."""
    clock = ManualClock()
    bank = Bank(clock)
    protection = Protection(breaker=BreakerPolicy(enabled=False), do_budget=Budget(share=0.2, least=0.1))
    async with with_bank(store, bank, clock, protection, shop) as amends:
        bank.mode = "down"
        for number in range(100):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        await until(lambda: len(bank.seen) >= 100)
        for _ in range(10):
            await go_on(amends, clock, by=SECOND)
        retries = sum(command.attempt > 1 for command in bank.seen)
        assert retries <= 22, "a fifth of the first attempts, and a tenth a second"
        assert {(await amends.get(f"o-{n}")).status for n in range(100)} == {"running"}
        bank.mode = "up"
        await amends.start(BANK_ONLY, Order(), saga_id="new")
        await until(lambda: any(command.saga_id == "new" for command in bank.seen), "a first attempt")
        assert amends.participants[0].held["budget"] >= 50


async def test_sagas_on_one_hanging_participant_leave_room_for_others(store: EventStore, shop: Shop) -> None:
    bank = Bank()
    bank.mode = "hangs"
    async with with_bank(
        store, bank, None, QUICKLY, shop, most_live=100, most_waiting=1000, lane_width=10
    ) as amends:
        for number in range(300):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        callers = [asyncio.create_task(amends.run(BANK_ONLY, Order(), saga_id=f"c-{n}")) for n in range(300)]
        await turns()
        for _ in range(100):
            assert (await amends.run(STOCK_ONLY, Order())).status == "completed"
        assert len(bank.seen) == 10, "the lane is as wide as it was made"
        bank.mode = "up"
        assert amends.engine.live <= 100 + 300
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def test_callers_who_wait_for_what_hangs_are_bounded(store: EventStore, shop: Shop) -> None:
    bank = Bank()
    bank.mode = "hangs"
    async with with_bank(
        store, bank, None, QUICKLY, shop, most_live=20, most_waiting=50, lane_width=5
    ) as amends:
        callers: list[asyncio.Task[SagaView[Any]]] = []
        for number in range(200):
            callers.append(asyncio.create_task(amends.run(BANK_ONLY, Order(), saga_id=f"c-{number}")))
            await turns(10)
        await until(lambda: sum(task.done() for task in callers) >= 100, "most callers to be refused")
        refused = [task.exception() for task in callers if task.done()]
        assert all(isinstance(error, Overloaded) for error in refused)
        assert amends.engine.live + amends.engine.waiting <= 20 + 50 + 5
        for task in callers:
            task.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def timed(amends: Orchestrator, number: int) -> list[float]:
    times: list[float] = []
    for n in range(number):
        begin = time.perf_counter()
        assert (await amends.run(STOCK_ONLY, Order())).status == "completed", n
        times.append(time.perf_counter() - begin)
    return times


async def test_the_slowest_of_others_is_no_slower_beside_a_participant_that_hangs(shop: Shop) -> None:
    """Relative, in one run, and turn about, so that a busy machine is busy for both."""
    bank = Bank()
    quiet: list[float] = []
    beside: list[float] = []
    async with (
        with_bank(memory(), Bank(), None, QUICKLY, shop, most_live=500) as alone,
        with_bank(memory(), bank, None, QUICKLY, shop, most_live=500) as shared,
    ):
        bank.mode = "hangs"
        for number in range(2000):
            await shared.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        for _ in range(20):
            quiet += await timed(alone, 50)
            beside += await timed(shared, 50)
    p99_quiet, p99_beside = quantiles(quiet, n=100)[98], quantiles(beside, n=100)[98]
    assert p99_beside < 3 * p99_quiet + 0.005, (p99_quiet, p99_beside)


async def test_callers_of_a_narrow_lane_all_come_back(store: EventStore, shop: Shop) -> None:
    """Who waits for the end stays in memory and is brought back without a pause: it must not be sent away again."""
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(store, bank, clock, PLAIN, shop, lane_width=2) as amends:
        await open_breaker(amends, bank)
        callers = [asyncio.create_task(amends.run(BANK_ONLY, Order(), saga_id=f"c-{n}")) for n in range(50)]
        await until(lambda: lane(amends, "bank").waiting >= 50)
        bank.mode = "up"
        ends = asyncio.gather(*callers)
        while not ends.done():
            await go_on(amends, clock, by=5 * SECOND)
        assert {end.status for end in await ends} == {"completed"}
        assert set(bank.done.values()) == {1}


async def test_a_person_opens_and_closes_it(store: EventStore, shop: Shop) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(store, bank, clock, PLAIN, shop) as amends:
        lane(amends, "bank").open_by_hand()
        await amends.start(BANK_ONLY, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        await go_on(amends, clock, by=timedelta(days=1))
        assert await amends.engine.timers.run_once() == 0, "no timer asks in vain"
        assert bank.seen == []
        shown = {each.name: each for each in amends.participants}["bank"]
        assert (shown.breaker, shown.by_hand, shown.waiting, shown.trips) == ("open", True, 1, 0)
        lane(amends, "bank").close_by_hand()
        (end,) = await ends_of(amends, clock, ["o-1"], by=SECOND)
        assert end.status == "completed"


async def test_an_attempt_that_was_queued_when_its_time_came_gets_its_full_time_when_it_goes(
    store: EventStore, shop: Shop
) -> None:
    clock = ManualClock()
    bank = Bank(clock)
    async with with_bank(store, bank, clock, PLAIN, shop, lane_width=1) as amends:
        bank.mode = "hangs"
        for number in range(3):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        await until(lambda: len(bank.seen) == 1)
        bank.mode = "up"
        ends = await ends_of(amends, clock, [f"o-{number}" for number in range(3)], by=30 * SECOND)
        assert [end.steps[0].attempts for end in ends] == [2, 1, 1]
