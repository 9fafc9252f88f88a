"""The relay: every transition leaves in the order of its instance, behind a checkpoint that outlives the process."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from amends import Service, memory
from amends.adapters.folder import FolderArchive
from amends.application.follower import Follower
from amends.application.orchestrator import Orchestrator
from amends.application.relay import Relay
from amends.application.retention import Retention
from amends.application.service import Retained
from amends.application.upkeep import Upkeep
from amends.ports import (
    Append,
    EventStore,
    Leaving,
    Logged,
    RelayedStore,
    RetainedStore,
    SetIndex,
    SharedStore,
    StreamKey,
    Transition,
)
from tests.application.conftest import Stores
from tests.application.engine_world import NOON, ManualClock, orchestrator, turns, until
from tests.application.shop import FULFIL, Order
from tests.application.stores import Wrapped

TOPIC = "told"
DAY = timedelta(days=1)


class Topic:
    """An `Outlet` in memory, which can be away; `told` is what others would read."""

    name = TOPIC

    def __init__(self) -> None:
        self.told: list[Leaving] = []
        self.there = asyncio.Event()
        self.there.set()
        self.trouble = ""
        self._delays = random.Random(7)
        self.waiting = 0
        self.most_waiting = 0
        self.is_closed = False

    async def publish(self, leaving: Leaving) -> None:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            # As over a network: some take longer than others, and others go first.
            for _ in range(self._delays.randrange(6)):
                await asyncio.sleep(0)
            await self.there.wait()
            self.told.append(leaving)
        finally:
            self.waiting -= 1

    async def close(self) -> None:
        self.is_closed = True

    def away(self) -> None:
        self.there.clear()
        self.trouble = "nobody answers"

    def back(self) -> None:
        self.trouble = ""
        self.there.set()

    def holds(self, log: Sequence[Logged]) -> bool:
        return len({each.sequence for each in self.told}) == len(log)


async def whole_log(store: EventStore) -> Sequence[Logged]:
    return await store.log(limit=100_000)


def complete(told: Sequence[Leaving], log: Sequence[Logged]) -> None:
    """Hold the topic against the log: nothing is missing, and of each instance what comes first is in order."""
    wanted: dict[StreamKey, list[int]] = defaultdict(list)
    for sequence, transition in log:
        wanted[transition.key].append(sequence)
    firsts: dict[StreamKey, dict[int, None]] = defaultdict(dict)
    for each in told:
        firsts[each.key].setdefault(each.sequence)
    assert {key: [*sequences] for key, sequences in firsts.items()} == wanted


def served(amends: Orchestrator, topic: Topic, **options: Any) -> Service:
    return Service(amends, outlet=topic, **options)


async def test_every_transition_leaves_as_the_feed_shows_it(store: EventStore) -> None:
    topic = Topic()
    async with served(orchestrator(store), topic) as service:
        feed = await service.feed.follow(after=0)
        ids = [f"o-{number}" for number in range(20)]
        await asyncio.gather(*(service.orchestrator.run(FULFIL, Order(), saga_id=each) for each in ids))
        log = await whole_log(store)
        await until(lambda: topic.holds(log))
        complete(topic.told, log)
        assert len(topic.told) == len(log), "without a crash each leaves once"
        shown = {item.sequence: item for item in [await anext(feed) for _ in log]}
        for each in topic.told:
            item = shown[each.sequence]
            assert msgspec.json.decode(each.body) == msgspec.json.decode(msgspec.json.encode(item.as_dict()))
            assert (each.position, each.time) == (item.position, item.time)
        await until(lambda: service.gauges().lag["relay"] == 0)
    assert topic.is_closed


async def test_a_restart_goes_on_behind_the_checkpoint(stores: Stores) -> None:
    first, second = Topic(), Topic()
    store = stores()
    async with served(orchestrator(store), first) as service:
        await service.orchestrator.run(FULFIL, Order(), saga_id="o-1")
        before = await whole_log(store)
        await until(lambda: first.holds(before) and not service.gauges().lag["relay"])
    store = stores()
    async with served(orchestrator(store), second) as service:
        await service.orchestrator.run(FULFIL, Order(), saga_id="o-2")
        after = await whole_log(store)
        await until(lambda: second.holds(after[len(before) :]))
        complete(first.told, before)
        complete(second.told, after[len(before) :])
        assert len(first.told) == len(before), "what ends in order repeats nothing"


async def test_a_topic_that_was_never_told_anything_gets_the_whole_log(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        await amends.run(FULFIL, Order(), saga_id="o-1")
    topic = Topic()
    async with served(orchestrator(store), topic):
        log = await whole_log(store)
        await until(lambda: topic.holds(log))
        complete(topic.told, log)


async def test_while_the_topic_is_away_it_waits_with_a_piece(store: EventStore) -> None:
    topic = Topic()
    topic.away()
    async with served(orchestrator(store), topic) as service:
        for number in range(5):
            await service.orchestrator.run(FULFIL, Order(), saga_id=f"o-{number}")
        log = await whole_log(store)
        await until(lambda: topic.waiting)
        assert service.troubles == {"relay": "nobody answers"}
        await until(lambda: service.gauges().lag["relay"] == len(log))
        assert service.is_ready, "sagas go on"
        topic.back()
        await until(lambda: topic.holds(log))
        complete(topic.told, log)
        assert service.troubles == {}


async def test_what_waits_when_it_closes_leaves_after_the_next_opening(stores: Stores) -> None:
    topic, store = Topic(), stores()
    async with served(orchestrator(store), topic) as service:
        await service.orchestrator.run(FULFIL, Order(), saga_id="o-1")
        log = await whole_log(store)
        await until(lambda: topic.holds(log))
        topic.away()
        await service.orchestrator.run(FULFIL, Order(), saga_id="o-2")
        await until(lambda: topic.waiting)
    topic.back()
    store = stores()
    async with served(orchestrator(store), topic):
        log = await whole_log(store)
        await until(lambda: topic.holds(log))
        complete(topic.told, log)


async def test_transitions_of_one_instance_leave_one_by_one_and_few_at_a_time() -> None:
    store, topic = memory(), Topic()
    await store.open()
    keys = [StreamKey(f"n-{number % 2}", f"o-{number // 2}") for number in range(300)]
    await store.append(
        [
            Append(a_transition(key, position), SetIndex(None, outstanding=False))
            for key in keys
            for position in (1, 2, 3)
        ]
    )
    topic.away()
    async with relaying(store, topic) as (_relay, _follower):
        await until(lambda: topic.waiting)
        await turns(20)
        assert topic.most_waiting == 64
        topic.back()
        log = await whole_log(store)
        await until(lambda: topic.holds(log))
        complete(topic.told, log)
        assert topic.most_waiting == 64
        assert {each.key.namespace for each in topic.told} == {"n-0", "n-1"}, "all of the store"


async def test_what_this_version_cannot_read_leaves_as_it_is_stored(store: EventStore) -> None:
    topic = Topic()
    await store.open()
    strange = Transition(
        key=StreamKey("default", "o-1"),
        position=1,
        events=1,
        recorded_at=NOON,
        body=b'[{"type":"SagaDreamt","of":["sheep"]}]',
    )
    await store.append([Append(strange, SetIndex(None, outstanding=False))])
    async with relaying(store, topic):
        await until(lambda: topic.told)
        (told,) = topic.told
        assert msgspec.json.decode(told.body)["events"] == [
            {"position": 1, "type": "SagaDreamt", "of": ["sheep"]}
        ]
        assert msgspec.json.decode(told.without_events) == {**msgspec.json.decode(told.body), "events": []}
    await store.close()


async def test_one_of_two_relays_and_the_other_takes_over(stores: Stores) -> None:
    first, second = stores(), stores()
    if not isinstance(first, SharedStore):
        return
    ours, theirs = Topic(), Topic()
    await second.open()
    async with (
        orchestrator(first) as amends,
        relaying(first, ours) as (relay, _),
        relaying(second, theirs) as (standing_by, follower),
    ):
        await until(lambda: relay.leads)
        await amends.run(FULFIL, Order(), saga_id="o-1")
        before = await whole_log(first)
        await until(lambda: ours.holds(before))
        assert not standing_by.leads
        assert theirs.told == []
        end = before[-1].sequence
        await until(lambda: follower.place(standing_by) == end, "how far the other one is")
        assert follower.lag(standing_by) == 0
        await relay.stop()
        await until(lambda: standing_by.leads)
        await amends.run(FULFIL, Order(), saga_id="o-2")
        log = await whole_log(first)
        await until(lambda: theirs.holds(log[len(before) :]))
        complete([*ours.told, *theirs.told], log)
    await second.close()


async def test_a_checkpoint_that_cannot_be_written_is_written_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, topic = memory(), Topic()
    await store.open()
    assert isinstance(store, RelayedStore)
    checkpoint = store.relay_checkpoint(TOPIC)
    await append(store, "o-1")
    relay = Relay(store, checkpoint, topic, every=0)
    await store.close()
    with caplog.at_level(logging.DEBUG, "amends.relay"):
        relay._left = 1  # noqa: SLF001  as after a piece, without a log to read
        noting = asyncio.create_task(relay._note())  # noqa: SLF001
        await until(lambda: "the checkpoint waits" in caplog.text)
        await store.open()
        await noting
    assert await checkpoint.reached() == 1


# --- what leaves the store must have left to the topic ---------------------------------------------------------


async def test_nothing_is_given_up_that_has_not_left(store: EventStore, tmp_path: Path) -> None:
    clock, topic, archive = ManualClock(), Topic(), FolderArchive(tmp_path)
    retained = Retained(archive, DAY, timedelta(days=1000))
    async with served(orchestrator(store, clock=clock), topic, retained=retained) as service:
        assert isinstance(store, RelayedStore)
        checkpoint = store.relay_checkpoint(TOPIC)
        await service.orchestrator.run(FULFIL, Order(), saga_id="left")
        log = await whole_log(store)
        await until(lambda: topic.holds(log))
        topic.away()
        await service.orchestrator.run(FULFIL, Order(), saga_id="waits")
        clock.move(2 * DAY)
        await service.orchestrator.run(FULFIL, Order(), saga_id="newest")
        async with asyncio.timeout(20):
            while await checkpoint.reached() < log[-1].sequence:  # noqa: ASYNC110  another task writes it
                await asyncio.sleep(0)
        assert service.retention is not None
        done = await service.retention.run_once()
        # Its last transition is the checkpoint itself, which stays as the end of the log would.
        assert done.streams == 0
        topic.back()
        log = await whole_log(store)
        async with asyncio.timeout(20):
            while await checkpoint.reached() < log[-1].sequence:  # noqa: ASYNC110  another task writes it
                await asyncio.sleep(0)
        assert (await service.retention.run_once()).streams == 2
        complete(topic.told, log)


async def test_what_an_earlier_run_began_to_give_up_waits_until_it_has_left(
    store: EventStore, tmp_path: Path
) -> None:
    clock, archive = ManualClock(), FolderArchive(tmp_path)
    async with orchestrator(store, clock=clock) as amends:
        assert isinstance(store, RetainedStore)
        assert isinstance(store, RelayedStore)
        await amends.run(FULFIL, Order(), saga_id="old")
        await amends.run(FULFIL, Order(), saga_id="newest")
        clock.move(2 * DAY)
        half_way = Retention(cast("Any", Undeleted(store)), archive, clock, age=DAY, rest=0)
        with pytest.raises(KeyboardInterrupt):
            await half_way.run_once()
        checkpoint = store.relay_checkpoint(TOPIC)
        role = Retention(store, archive, clock, age=DAY, rest=0, relayed=checkpoint)
        await role.run_once()
        assert role.archived == 0
        assert await store.read(StreamKey("default", "old"))
        assert [volume.is_settled for volume in await archive.volumes()] == [False]
        await checkpoint.claim()
        await checkpoint.move(await store.log_end())
        await role.run_once()
        assert role.archived == 1
        assert [volume.is_settled for volume in await archive.volumes()] == [True]
        await checkpoint.close()


async def test_upkeep_gives_up_nothing_that_has_not_left(stores: Stores, tmp_path: Path) -> None:
    archive, clock = FolderArchive(tmp_path), ManualClock()
    async with orchestrator(stores(), clock=clock) as amends:
        await amends.run(FULFIL, Order(), saga_id="old")
        await amends.run(FULFIL, Order(), saga_id="newest")
    clock.move(2 * DAY)
    async with Upkeep(stores(), archive, topic=TOPIC, clock=clock) as upkeep:
        assert (await upkeep.archive(DAY)).streams == 0
    async with Upkeep(stores(), archive, clock=clock) as upkeep:
        assert (await upkeep.archive(DAY)).streams == 1


def test_a_store_without_checkpoints_is_refused() -> None:
    with pytest.raises(TypeError, match="no checkpoint"):
        served(orchestrator(Wrapped(memory())), Topic())


class Undeleted:
    """A store that dies when it is to delete something."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def delete_streams(self, _ends: object) -> Sequence[bool]:
        raise KeyboardInterrupt


def a_transition(key: StreamKey, position: int) -> Transition:
    return Transition(
        key=key, position=position, events=1, recorded_at=NOON, body=b'[{"type":"SagaCompleted"}]'
    )


async def append(store: EventStore, saga_id: str) -> None:
    key = StreamKey("default", saga_id)
    await store.append([Append(a_transition(key, 1), SetIndex(None, outstanding=False))])


@asynccontextmanager
async def relaying(store: EventStore, topic: Topic) -> AsyncGenerator[tuple[Relay, Follower]]:
    """A relay alone, over a store that is open."""
    assert isinstance(store, RelayedStore)
    follower = Follower(store, rest=0, poll=0.02)
    relay = Relay(store, store.relay_checkpoint(TOPIC), topic, every=0.02, stand_by=0.02)
    relay.on_look = lambda place, end: follower.note(relay, place, end)
    await follower.start(relay)
    try:
        yield relay, follower
    finally:
        await follower.stop()
        await relay.stop()
