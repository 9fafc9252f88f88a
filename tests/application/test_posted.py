"""Lanes without workers: a transport that takes commands and calls back, as one over a log of messages does."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from amends import Failed, Succeeded
from amends.application.breakers import BreakerPolicy
from amends.application.gate import Budget, Protection
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports import EventStore
from amends.ports.transport import Told
from tests.application.engine_world import ManualClock, fire, orchestrator, turns, until
from tests.application.shop import Order, Shop
from tests.application.test_lanes import BANK_ONLY, HURRIED

PAID = Succeeded(b'{"payment":"p-1"}')
ACCEPTED = Accepted()


class Post:
    """Keeps what it was handed until a test says what became of it."""

    posts = True

    def __init__(self) -> None:
        self.on_their_way: list[tuple[SendCommand, Told]] = []
        self.seen: list[SendCommand] = []
        self.given_up: list[SendCommand] = []
        self.raises: Exception | None = None

    def post(self, command: SendCommand, told: Told) -> Callable[[], None]:
        if self.raises is not None:
            raise self.raises
        self.seen.append(command)
        self.on_their_way.append((command, told))
        return lambda: self.given_up.append(command)

    def answer(self, answer: Answer | Accepted) -> None:
        """Say the same to all."""
        on_their_way, self.on_their_way = self.on_their_way, []
        for _command, told in on_their_way:
            told(answer)

    async def send(self, command: SendCommand) -> Answer:
        raise AssertionError(f"{command.command_id} is posted")

    async def close(self) -> None:
        """Nothing to release."""


async def test_no_more_are_on_their_way_than_the_binding_says_and_they_go_together(store: EventStore) -> None:
    post = Post()
    async with orchestrator(
        store, sagas=[BANK_ONLY], participants={"bank": post}, protections={"bank": Protection(width=5)}
    ) as amends:
        runs = [asyncio.create_task(amends.run(BANK_ONLY, Order())) for _ in range(12)]
        lane = amends.engine.dispatcher.lanes["bank"]
        await until(lambda: lane.queued == 7)
        assert (len(post.on_their_way), lane.in_flight) == (5, 5)
        post.answer(PAID)
        await turns(1)
        assert len(post.on_their_way) == 5, "what follows goes in the next turn, and all of it"
        post.answer(PAID)
        await until(lambda: len(post.on_their_way) == 2)
        post.answer(PAID)
        assert {view.status for view in await asyncio.gather(*runs)} == {"completed"}
        assert lane.in_flight == 0


async def test_what_nothing_keeps_is_handed_over_at_once_and_a_newcomer_goes_behind_what_is_queued(
    store: EventStore,
) -> None:
    post = Post()
    async with orchestrator(
        store, sagas=[BANK_ONLY], participants={"bank": post}, protections={"bank": Protection(width=1)}
    ) as amends:
        lane = amends.engine.dispatcher.lanes["bank"]
        for number in (1, 2):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        await until(lambda: lane.queued == 1)
        newcomer = replace(post.seen[0], saga_id="o-3", command_id="o-3")
        post.answer(PAID)
        assert lane.send(newcomer)
        for answer in (PAID, ACCEPTED):
            await turns(1)
            post.answer(answer)
        assert [command.saga_id for command in post.seen] == ["o-1", "o-2", "o-3"]
        assert lane.send(newcomer)
        assert (len(post.seen), lane.queued) == (4, 0), "at once"


async def test_an_open_breaker_keeps_what_is_posted(store: EventStore) -> None:
    post = Post()
    async with orchestrator(store, sagas=[BANK_ONLY], participants={"bank": post}) as amends:
        lane = amends.engine.dispatcher.lanes["bank"]
        lane.open_by_hand()
        await amends.start(BANK_ONLY, Order(), saga_id="o-1")
        await until(lambda: lane.backlog.size == 1)
        assert post.seen == []


async def test_a_rate_limit_keeps_what_is_posted(store: EventStore) -> None:
    post = Post()
    limited = {"bank": Protection(rate=1)}
    async with orchestrator(
        store, sagas=[BANK_ONLY], participants={"bank": post}, clock=ManualClock(), protections=limited
    ) as amends:
        for number in range(3):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        await until(lambda: amends.engine.dispatcher.lanes["bank"].queued == 2)
        assert len(post.seen) == 1


async def test_the_budget_keeps_retries_that_are_posted(store: EventStore) -> None:
    post, clock = Post(), ManualClock()
    frugal = Protection(breaker=BreakerPolicy(enabled=False), do_budget=Budget(share=0, least=0.001))
    async with orchestrator(
        store, sagas=[BANK_ONLY], participants={"bank": post}, clock=clock, protections={"bank": frugal}
    ) as amends:
        for number in range(15):
            await amends.start(BANK_ONLY, Order(), saga_id=f"o-{number}")
        await until(lambda: len(post.on_their_way) == 15)
        post.answer(Failed("not now"))
        await until(lambda: amends.engine.writer.appended == 30)
        await fire(amends, clock, by=timedelta(seconds=5))
        await until(lambda: amends.engine.dispatcher.lanes["bank"].queued == 5)
        assert [command.attempt for command, _told in post.on_their_way] == [2] * 10


@pytest.mark.parametrize(("most_live", "expected"), [(10_000, 20), (30, 15), (2, 2)])
async def test_more_are_posted_than_would_be_called_as_long_as_others_have_room(
    store: EventStore, most_live: int, expected: int
) -> None:
    post = Post()
    async with orchestrator(
        store, sagas=[BANK_ONLY], participants={"bank": post}, lane_width=2, most_live=most_live
    ) as amends:
        runs = [asyncio.create_task(amends.run(BANK_ONLY, Order())) for _ in range(30)]
        await until(lambda: len(post.on_their_way) == expected)
        await turns()
        assert len(post.on_their_way) == expected
        while not all(run.done() for run in runs):
            post.answer(PAID)
            await turns(1)


async def test_what_is_posted_is_given_up_when_its_time_is_over_and_its_answer_is_passed_over(
    store: EventStore, shop: Shop
) -> None:
    clock, post = ManualClock(), Post()
    bindings = {**shop.bindings(), "stock": post}
    async with orchestrator(
        store, sagas=[HURRIED], participants=bindings, clock=clock, lane_width=1
    ) as amends:
        run = asyncio.create_task(amends.run(HURRIED, Order(), saga_id="o-1"))
        await until(lambda: len(post.seen) == 1)
        _command, late = post.on_their_way.pop()
        await fire(amends, clock, by=timedelta(seconds=5))
        assert [command.attempt for command in post.given_up] == [1]
        late(Failed("too late"))
        await fire(amends, clock, by=timedelta(seconds=1))
        await until(lambda: len(post.seen) == 2)
        post.answer(Succeeded())
        assert (await run).status == "completed"


async def test_a_post_that_raises_is_an_attempt_that_failed(store: EventStore) -> None:
    post, clock = Post(), ManualClock()
    post.raises = RuntimeError("no room")
    async with orchestrator(store, sagas=[BANK_ONLY], participants={"bank": post}, clock=clock) as amends:
        run = asyncio.create_task(amends.run(BANK_ONLY, Order(), saga_id="o-1"))
        await until(lambda: amends.engine.writer.commits >= 2)
        assert not run.done()
        post.raises = None
        await fire(amends, clock, by=timedelta(seconds=1))
        await until(lambda: post.on_their_way)
        post.answer(PAID)
        assert (await run).status == "completed"
        assert [command.attempt for command in post.seen] == [2]


async def test_closing_gives_up_what_is_posted(store: EventStore) -> None:
    post = Post()
    async with orchestrator(store, sagas=[BANK_ONLY], participants={"bank": post}) as amends:
        await amends.start(BANK_ONLY, Order(), saga_id="o-1")
        await until(lambda: post.on_their_way)
    assert len(post.given_up) == 1
    post.answer(PAID)


async def test_batches_are_whole_where_all_commands_are_posted(store: EventStore, shop: Shop) -> None:
    async with orchestrator(store, sagas=[BANK_ONLY], participants={"bank": Post()}) as amends:
        assert not amends.engine.writer.in_halves
    async with orchestrator(store, shop, sagas=[BANK_ONLY]) as amends:
        assert amends.engine.writer.in_halves == store.commits_elsewhere


class Way:
    """Gives up what is on its way, and leads to who is told, as a record does that waits to be written."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def __call__(self) -> None:
        """Nothing is to be done."""


async def test_what_was_posted_and_answered_leaves_memory_unsearched(
    store: EventStore, uncollected: None
) -> None:
    ways: list[weakref.ref[Way]] = []

    class Leading(Post):
        def post(self, command: SendCommand, told: Told) -> Callable[[], None]:
            super().post(command, told)
            way = Way(told)
            ways.append(weakref.ref(way))
            return way

    post = Leading()
    async with orchestrator(store, sagas=[BANK_ONLY], participants={"bank": post}) as amends:
        run = asyncio.create_task(amends.run(BANK_ONLY, Order()))
        await until(lambda: post.on_their_way)
        post.answer(PAID)
        await run
        await turns()
        assert [way() for way in ways] == [None]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is searched for: what leaves memory does so because nobody holds on to it."""
    gc.disable()
    yield
    gc.enable()
