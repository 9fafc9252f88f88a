"""The follower and the feed: everything once and in order, woken by commits, nobody held up."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from amends import Orchestrator, Service, memory
from amends.application.feed import FeedItem, Following
from amends.application.follower import BeginAnew, Followed, Follower, Listener
from amends.ports import Append, EventStore, KeepIndex, Logged, StoreUnavailable, StreamKey
from amends.testing.event_store_suite import an_append
from tests.application.conftest import Stores
from tests.application.engine_world import events_of, orchestrator, turns, until
from tests.application.shop import APPROVED, FULFIL, Order, Shop, Word
from tests.application.stores import Failing, Wrapped


class Recorder:
    """A listener that notes what it took, and fails when told to."""

    def __init__(self, name: str = "recorder") -> None:
        self.name = name
        self.taken: list[int] = []
        self.pieces: list[int] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def begin(self, end: int) -> int:
        return 0

    async def take(self, piece: Sequence[Followed]) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError("told to")
        self.taken += [followed.sequence for followed in piece]
        self.pieces.append(len(piece))


class LateComer(Recorder):
    async def begin(self, end: int) -> int:
        return end


@asynccontextmanager
async def following(store: EventStore, *listeners: Listener) -> AsyncGenerator[Follower]:
    await store.open()
    follower = Follower(store, rest=0)
    await follower.start(*listeners)
    try:
        yield follower
    finally:
        await follower.stop()
        await store.close()


async def append(store: EventStore, number: int, first: int = 0) -> None:
    for each in range(first, first + number):
        await store.append([an_append(StreamKey("default", f"s-{each}"))])


async def test_a_listener_is_told_everything_once_and_in_order(store: EventStore) -> None:
    recorder = Recorder()
    async with following(store, recorder) as follower:
        await append(store, 1_300)
        follower.committed(1_300)
        await until(lambda: len(recorder.taken) >= 1_300)
        assert recorder.taken == list(range(1, 1_301))
        assert max(recorder.pieces) <= 500
        await append(store, 3, first=1_300)
        follower.committed(3)
        await until(lambda: len(recorder.taken) >= 1_303)
        assert recorder.taken == list(range(1, 1_304))
        await until(lambda: (follower.place(recorder), follower.lag(recorder)) == (1_303, 0))
        assert follower.end == 1_303


async def test_nothing_is_asked_while_nothing_is_committed(store: EventStore) -> None:
    counting = Wrapped(store)
    recorder = Recorder()
    async with following(counting, recorder) as follower:
        await append(counting, 2)
        follower.committed(2)
        await until(lambda: len(recorder.taken) == 2)
        await turns(200)
        asked = counting.calls["log"]
        await append(counting, 1, first=2)
        await turns(2_000)
        assert counting.calls["log"] == asked, "it is woken by commits alone"
        follower.committed(1)
        await until(lambda: len(recorder.taken) == 3)


async def test_with_nobody_listening_nothing_is_read(stores: Stores) -> None:
    counting = Wrapped(stores())
    await counting.open()
    follower = Follower(counting)
    await append(counting, 2)
    follower.committed(2)
    await turns()
    assert counting.calls["log"] == 0
    await follower.stop()
    await counting.close()


async def test_listeners_at_one_place_share_what_was_read(store: EventStore) -> None:
    counting = Wrapped(store)
    recorders = [Recorder(f"r-{number}") for number in range(5)]
    async with following(counting, *recorders) as follower:
        await turns()
        asked = counting.calls["log"]
        await append(counting, 4)
        follower.committed(4)
        await until(lambda: all(len(recorder.taken) == 4 for recorder in recorders))
        await turns(100)
        assert counting.calls["log"] - asked <= 1 + len(recorders), "one that finds, and the ends"


async def test_one_that_raises_is_told_again_and_harms_nobody(
    store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    failing, other = Recorder("failing"), Recorder("other")
    failing.failures = 2
    async with following(store, failing, other) as follower:
        await append(store, 3)
        follower.committed(3)
        await until(lambda: len(other.taken) == 3)
        await until(lambda: len(failing.taken) == 3)
        assert failing.taken == other.taken == [1, 2, 3]
        await until(lambda: "goes on behind sequence 3" in caplog.text)
    said = [record for record in caplog.records if record.name == "amends.follower"]
    assert [record.levelno for record in said] == [logging.ERROR, logging.WARNING]
    assert "failing waits behind sequence 0: told to" in said[0].getMessage()


class Loser(Recorder):
    """It loses its place with the first piece; to begin again it asks in vain `vainly` times."""

    def __init__(self, vainly: int) -> None:
        super().__init__("loser")
        self.vainly = vainly
        self.has_lost = False

    async def begin(self, end: int) -> int:
        if self.has_lost and self.vainly:
            self.vainly -= 1
            raise StoreUnavailable("away")
        return 0

    async def take(self, piece: Sequence[Followed]) -> None:
        if not self.has_lost:
            self.has_lost = True
            raise BeginAnew("its place is another's")
        await super().take(piece)


@pytest.mark.parametrize(
    ("vainly", "said"),
    [
        (0, ["loser begins anew behind sequence 0: its place is another's"]),
        (2, ["loser waits behind sequence 0: away", "loser goes on behind sequence 0"]),
    ],
)
async def test_a_place_that_is_lost_in_an_outage_is_one_trouble_and_not_two(
    vainly: int, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    loser = Loser(vainly)
    store = memory()
    async with following(store, loser) as follower:
        await append(store, 1)
        follower.committed(1)
        await until(lambda: loser.taken, "the piece")
    assert [each.getMessage() for each in caplog.records if each.name == "amends.follower"] == said


async def test_one_that_is_slow_holds_up_nobody(store: EventStore) -> None:
    slow, other = Recorder("slow"), Recorder("other")
    slow.gate.clear()
    async with following(store, slow, other) as follower:
        await append(store, 3)
        follower.committed(3)
        await until(lambda: len(other.taken) == 3)
        assert (slow.taken, follower.lag(slow) > 0) == ([], True)
        slow.gate.set()
        await until(lambda: len(slow.taken) == 3)


async def test_a_late_comer_is_told_what_comes(store: EventStore) -> None:
    await store.open()
    await append(store, 3)
    await store.close()
    late = LateComer()
    async with following(store, late) as follower:
        await until(lambda: follower.place(late) == 3)
        await append(store, 2, first=3)
        follower.committed(2)
        await until(lambda: len(late.taken) == 2)
        assert late.taken == [4, 5]


async def test_a_store_that_is_away_is_waited_for(store: EventStore) -> None:
    failing = Failing(store, "log")
    recorder = Recorder()
    async with following(failing, recorder) as follower:
        await turns()
        failing.error = StoreUnavailable("away")
        await append(failing, 2)
        follower.committed(2)
        await until(lambda: failing.calls["failed log"] >= 2)
        failing.error = None
        await until(lambda: len(recorder.taken) == 2)


async def test_who_waits_is_told_at_the_place_and_when_it_ends(store: EventStore) -> None:
    recorder = Recorder()
    async with following(store, recorder) as follower:
        waits = [asyncio.create_task(follower.taken(recorder, sequence)) for sequence in (1, 2, 99)]
        await append(store, 1)
        follower.committed(1)
        await waits[0]
        assert not waits[1].done()
        await append(store, 1, first=1)
        follower.committed(1)
        await waits[1]
        waits[2].cancel()
        await asyncio.gather(waits[2], return_exceptions=True)
        left = asyncio.create_task(follower.taken(recorder, 99))
        await turns()
    await asyncio.gather(left, return_exceptions=True)
    assert left.cancelled()


# --- the feed ---


@asynccontextmanager
async def serving(
    store: EventStore, shop: Shop | None = None
) -> AsyncGenerator[tuple[Service, Orchestrator]]:
    amends = orchestrator(store, shop)
    async with Service(amends) as service:
        yield service, amends


async def take(items: Following, number: int) -> list[FeedItem]:
    return [await asyncio.wait_for(anext(items), 10) for _ in range(number)]


async def log_of(store: EventStore) -> list[tuple[int, str, int]]:
    return [
        (each.sequence, each.transition.key.saga_id, each.transition.position + each.transition.events - 1)
        for each in await store.log(limit=100_000)
    ]


def places(items: Sequence[FeedItem]) -> list[tuple[int, str, int]]:
    return [(item.sequence, item.saga_id, item.position) for item in items]


async def test_the_feed_tells_everything_once_and_in_order(store: EventStore) -> None:
    async with serving(store) as (service, amends):
        first = await service.feed.follow()
        await asyncio.gather(*(amends.run(FULFIL, Order(), saga_id=f"o-{number}") for number in range(30)))
        log = await log_of(store)
        items = await take(first, len(log))
        assert places(items) == log
        types = [event["type"] for item in items if item.saga_id == "o-7" for event in item.events]
        assert types == await events_of(store, "o-7")
        positions = [event["position"] for item in items if item.saga_id == "o-7" for event in item.events]
        assert positions == list(range(1, len(positions) + 1))
        for seen in (0, 1, len(log) // 2, len(log) - 1):
            back = await service.feed.follow(after=log[seen - 1][0] if seen else 0)
            assert places(await take(back, len(log) - seen)) == log[seen:]


async def test_who_comes_back_goes_on_exactly_behind_what_it_saw(store: EventStore) -> None:
    async with serving(store) as (service, amends):
        seen: list[FeedItem] = []
        reader = await service.feed.follow()
        for number in range(10):
            await amends.run(FULFIL, Order(), saga_id=f"o-{number}")
            seen += await take(reader, 2)
            reader = await service.feed.follow(after=seen[-1].sequence)
        seen += await take(reader, len(await log_of(store)) - len(seen))
        assert places(seen) == await log_of(store)


async def test_the_feed_of_one_instance_has_nothing_else(store: EventStore) -> None:
    async with serving(store) as (service, amends):
        one = await service.feed.follow(saga_id="o-3")
        for number in range(6):
            await amends.run(FULFIL, Order(), saga_id=f"o-{number}")
        own = [each for each in await log_of(store) if each[1] == "o-3"]
        assert places(await take(one, len(own))) == own
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(one), 0.05)
        assert one.place == (await log_of(store))[-1][0], "it looked further than its own"


async def test_a_wait_that_was_cancelled_loses_nothing(store: EventStore, shop: Shop) -> None:
    async with serving(store, shop) as (service, amends):
        reader = await service.feed.follow()
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(reader), 0.005)
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await amends.signal("o-1", "approve", Word())
        await amends.wait("o-1")
        log = await log_of(store)
        assert places(await take(reader, len(log))) == log


async def test_a_slow_reader_keeps_no_more_than_a_piece(store: EventStore) -> None:
    async with serving(store) as (service, amends):
        slow = await service.feed.follow()
        await take_one_of(amends, slow)
        for number in range(300):
            await amends.run(FULFIL, Order(), saga_id=f"o-{number}")
        log = await log_of(store)
        items = await take(slow, len(log) - 1)
        assert places(items) == log[1:]
        assert slow.held <= 500


async def take_one_of(amends: Orchestrator, reader: Following) -> None:
    await amends.run(FULFIL, Order(), saga_id="first")
    await take(reader, 1)


async def test_a_place_of_another_store_begins_at_the_end(store: EventStore) -> None:
    async with serving(store) as (service, amends):
        await amends.run(FULFIL, Order(), saga_id="o-1")
        reader = await service.feed.follow(after=10**9)
        await amends.run(FULFIL, Order(), saga_id="o-2")
        assert (await take(reader, 1))[0].saga_id == "o-2"


async def test_events_of_a_newer_contract_do_not_end_the_feed(store: EventStore) -> None:
    async with serving(store) as (service, amends):
        reader = await service.feed.follow()
        newer = an_append(StreamKey("default", "new"))
        await store.append([Append(newer.transition, KeepIndex())])
        await amends.run(FULFIL, Order(), saga_id="o-1")
        items = await take(reader, 2)
        assert items[0].events == ({"position": 1, "type": "Noted", "note": ""},)
        assert items[1].saga_id == "o-1"


async def test_followers_are_let_go_when_the_service_ends(store: EventStore) -> None:
    async with serving(store) as (service, _amends):
        waiting = asyncio.create_task(take(await service.feed.follow(), 1))
        await turns()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()


class SlowLog(Wrapped):
    """Holds what the log said, so that it is old when it arrives."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store)
        self.gate = asyncio.Event()
        self.gate.set()

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        found = await super().log(after=after, limit=limit)
        await self.gate.wait()
        return found


async def test_a_commit_while_the_log_is_read_is_not_missed(store: EventStore) -> None:
    slow, recorder = SlowLog(store), Recorder()
    slow.gate.clear()
    async with following(slow, recorder) as follower:
        await until(lambda: slow.calls["log"] == 1)
        await append(slow, 1)
        follower.committed(1)
        slow.gate.set()
        await until(lambda: recorder.taken == [1])


async def test_a_reader_that_leaves_takes_nobody_along(store: EventStore) -> None:
    async with serving(store) as (service, amends):
        leaving, staying = await service.feed.follow(), await service.feed.follow()
        waits = [asyncio.create_task(take(reader, 1)) for reader in (leaving, staying)]
        await turns(200)
        waits[0].cancel()
        await asyncio.gather(waits[0], return_exceptions=True)
        await amends.run(FULFIL, Order(), saga_id="o-1")
        assert (await waits[1])[0].saga_id == "o-1"


async def test_who_reads_the_log_while_the_follower_stops_is_let_go_as_well(store: EventStore) -> None:
    slow = SlowLog(store)
    slow.gate.clear()
    async with following(slow) as follower:
        reading = asyncio.create_task(follower.next_piece(0))
        await until(lambda: slow.calls["log"] == 1)
        await follower.stop()
        slow.gate.set()
        await asyncio.wait({reading}, timeout=5)
        assert reading.cancelled()
