"""Starting by name, looking back, and acting on what was seen: `begin`, `at`, `events`, `expected`."""

import asyncio
import functools
import operator
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from amends import (
    DataUnfit,
    NoSuchSaga,
    PositionMoved,
    PositionUnknown,
    Saga,
    SagaConflict,
    SagaIdInvalid,
    SagaUnknown,
    Step,
    http,
)
from amends.application.saga_id import SagaIds
from amends.application.shards import Shards
from amends.core.evolve import evolve
from amends.core.state import initial
from amends.core.upcast import from_body
from amends.ports import SHARDS, EventStore, StreamKey, shard_of
from tests.application.conftest import Stores
from tests.application.engine_world import NOON, ManualClock, events_of, orchestrator, until
from tests.application.shop import APPROVED, BANK, FULFIL, SAGAS, Order, Shop, Word, pay, refund
from tests.application.stores import Losing

SECOND = Saga("fulfil", version=2, data=Order, body=Step("pay", BANK, do=pay, undo=refund))


async def test_begin_takes_a_name_and_json(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        begun = await amends.begin("fulfil", b'{"amount": 3, "sku": "s"}', saga_id="o-1")
        assert (begun.is_new, begun.view.saga, begun.view.data) == (True, "fulfil", Order("s", 3))
        ended = await amends.wait("o-1")
        assert (ended.status, ended.data) == ("completed", Order("s", 3, "p-1"))


async def test_begin_tells_the_new_from_what_was_there(stores: Stores) -> None:
    async with orchestrator(stores()) as amends:
        results = await asyncio.gather(
            *(amends.begin("fulfil", b'{"sku":"s"}', saga_id="o-1") for _ in range(5))
        )
        assert [begun.is_new for begun in results].count(True) == 1
        await amends.wait("o-1")
        assert not (await amends.begin("fulfil", b'{ "sku": "s" }', saga_id="o-1")).is_new
        with pytest.raises(SagaConflict, match="o-1"):
            await amends.begin("fulfil", b'{"sku":"t"}', saga_id="o-1")
    async with orchestrator(stores()) as amends:
        again = await amends.begin("fulfil", b'{"sku":"s"}', saga_id="o-1")
        assert (again.is_new, again.view.status) == (False, "completed")


async def test_a_start_that_lost_its_lock_to_its_like_is_not_new(stores: Stores) -> None:
    async with orchestrator(stores()) as amends:
        await amends.run(FULFIL, Order(), saga_id="o-1")
    losing = Losing(stores())
    losing.to_lose.add("o-1")
    async with orchestrator(losing) as amends:
        assert not (await amends.begin("fulfil", b"{}", saga_id="o-1")).is_new
        assert not losing.to_lose


async def test_begin_takes_the_highest_version_unless_told(store: EventStore) -> None:
    async with orchestrator(store, sagas=[SECOND, *SAGAS]) as amends:
        assert (await amends.begin("fulfil", b"{}")).view.version == 2
        assert (await amends.begin("fulfil", b"{}", version=1)).view.version == 1


async def test_begin_says_what_there_is_instead(store: EventStore) -> None:
    async with orchestrator(store, sagas=[SECOND, *SAGAS]) as amends:
        with pytest.raises(NoSuchSaga, match="did you mean fulfil") as unknown:
            await amends.begin("fulfill", b"{}")
        assert (unknown.value.near, unknown.value.versions) == (("fulfil",), ())
        with pytest.raises(NoSuchSaga, match="it has 1, 2") as other:
            await amends.begin("fulfil", b"{}", version=3)
        assert (other.value.near, other.value.versions, other.value.version) == ((), (1, 2), 3)
        assert isinstance(other.value, SagaUnknown)


@pytest.mark.parametrize("data", [b'{"sku":1}', b"[]", b"null", b"", b"{", b'{"sku":"\xff"}', b"NaN"])
async def test_data_that_do_not_fit_begin_nothing(store: EventStore, data: bytes) -> None:
    async with orchestrator(store) as amends:
        with pytest.raises(DataUnfit) as unfit:
            await amends.begin("fulfil", data, saga_id="o-1")
        assert isinstance(unfit.value, ValueError)
        assert unfit.value.code == "unreadable"
        with pytest.raises(SagaIdInvalid):
            await amends.begin("fulfil", b"{}", saga_id="../o")
        with pytest.raises(SagaUnknown):
            await amends.get("o-1")


async def test_at_shows_what_was_after_each_event(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        end = await amends.run(FULFIL, Order(), saga_id="o-1")
        events = [
            event
            for transition in await store.read(StreamKey("default", "o-1"))
            for event in from_body(transition.body)
        ]
        for position in range(1, end.position + 1):
            then = await amends.get("o-1", at=position)
            wanted = evolve(initial("default", "o-1"), events[:position])
            assert (then.position, then.status) == (position, wanted.status)
            assert [step.phase for step in then.steps] == [step.phase for _path, step in wanted.steps()]
        assert await amends.get("o-1", at=end.position) == end
        assert (await amends.get("o-1", at=1)).data == Order()
        for position in (0, -1, end.position + 1):
            with pytest.raises(PositionUnknown, match=rf"1 to {end.position}"):
                await amends.get("o-1", at=position)
        with pytest.raises(SagaUnknown):
            await amends.get("o-2", at=1)


async def test_events_come_one_by_one_and_in_pages(store: EventStore) -> None:
    clock = ManualClock()
    async with orchestrator(store, clock=clock) as amends:
        end = await amends.run(FULFIL, Order(), saga_id="o-1")
        events = await amends.events("o-1")
        assert [event.position for event in events] == list(range(1, end.position + 1))
        assert [event.type for event in events] == await events_of(store, "o-1")
        assert {event.time for event in events} == {NOON}
        assert events[0].body["data"] == {"sku": "sku-1", "amount": 10, "payment": ""}
        flat = events[1].as_dict()
        assert (flat["position"], flat["type"], flat["step"]) == (2, "CommandIssued", "reserve")
        for limit in (1, 2, 3, 100):
            read = list(await amends.events("o-1", limit=limit))
            while page := await amends.events("o-1", after=read[-1].position, limit=limit):
                assert len(page) <= limit
                read += page
            assert read == list(events), limit
        assert list(await amends.events("o-1", after=end.position + 5)) == []
        for after in (0, 3):
            with pytest.raises(SagaUnknown, match="o-2"):
                await amends.events("o-2", after=after)


async def test_an_act_on_what_has_moved_is_refused_and_does_nothing(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        seen = (await amends.get("o-1")).position
        acts: tuple[Callable[[int], Awaitable[object]], ...] = (
            lambda at: amends.cancel("o-1", by="ada", reason="r", expected=at),
            lambda at: amends.pause("o-1", by="ada", reason="r", expected=at),
            lambda at: amends.resume("o-1", by="ada", reason="r", expected=at),
            lambda at: amends.abandon("o-1", by="ada", reason="r", expected=at),
            lambda at: amends.retry("o-1", "reserve", by="ada", reason="r", expected=at),
            lambda at: amends.skip("o-1", "reserve", by="ada", reason="r", expected=at),
            lambda at: amends.resolve("o-1", "reserve", by="ada", reason="r", expected=at),
            lambda at: amends.signal("o-1", "approve", Word(), expected=at),
        )
        for act in acts:
            with pytest.raises(PositionMoved, match=rf"o-1.* at position {seen}") as moved:
                await act(seen - 1)
            assert (moved.value.expected, moved.value.actual) == (seen - 1, seen)
        assert (await amends.get("o-1")).position == seen
        assert (await amends.pause("o-1", by="ada", reason="r", expected=seen)).paused


async def test_of_two_who_saw_the_same_only_the_first_acts(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        await amends.start(APPROVED, Order(), saga_id="o-1")
        await until(lambda: amends.engine.live == 0)
        seen = (await amends.get("o-1")).position
        acts = [amends.pause("o-1", by=f"person-{number}", reason="r", expected=seen) for number in range(5)]
        results = await asyncio.gather(*acts, return_exceptions=True)
        assert [type(result) for result in results[1:]] == [PositionMoved] * 4
        assert (await events_of(store, "o-1")).count("SagaPaused") == 1


async def test_definitions_and_participants_are_shown(shop: Shop, store: EventStore) -> None:
    bound = {
        **shop.bindings(),
        "bank": http("https://bank.example/api/", headers={"Authorization": "Bearer x"}),
    }
    async with orchestrator(store, shop, sagas=[SECOND, FULFIL], participants=bound) as amends:
        first, second = amends.definitions
        assert [(each.name, each.version) for each in (first, second)] == [("fulfil", 1), ("fulfil", 2)]
        assert first.participants == ("bank", "stock")
        assert (first.saga is FULFIL, first.shape["saga"]) == (True, "fulfil")
        assert first.fingerprint != second.fingerprint
        bank, stock = amends.participants
        assert (bank.name, bank.binding, bank.address) == ("bank", "http", "https://bank.example/api")
        assert (stock.binding, stock.address, stock.waiting, stock.in_flight) == ("local", "", 0, 0)


async def test_participants_show_what_waits_and_what_is_on_its_way(shop: Shop, store: EventStore) -> None:
    gate = asyncio.Event()
    shop.on("pay", lambda _command: gate.wait())
    async with orchestrator(store, shop, lane_width=2) as amends:
        for number in range(5):
            await amends.start(FULFIL, Order(), saga_id=f"o-{number}")
        await until(lambda: amends.participants[0].waiting == 3)
        assert amends.participants[0].in_flight == 2
        gate.set()
        for number in range(5):
            await amends.wait(f"o-{number}")
        assert amends.participants[0][3:5] == (0, 0)


async def test_ids_that_are_made_sort_as_they_were_made() -> None:
    clock = ManualClock()
    ids = SagaIds(clock)
    made: list[str] = []
    for move in (0, 0, 1, 5, -60_000_000, 0, 1_000, 120_000_000):
        clock.move(timedelta(microseconds=move))
        made += [ids.make() for _ in range(50)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    last = UUID(made[-1])
    assert (last.version, last.variant) == (7, "specified in RFC 4122")
    assert datetime.fromtimestamp((last.int >> 80) / 1000, UTC) - clock.now() < timedelta(milliseconds=2)


def test_ids_grow_beyond_the_block_of_time_whose_beginning_they_share() -> None:
    clock = ManualClock()
    clock.move(timedelta(milliseconds=2**16 - clock.now().timestamp() * 1000 % 2**16, microseconds=-1))
    ids = SagaIds(clock)
    made = [ids.make() for _ in range(50)]
    clock.move(timedelta(seconds=90))
    made += [ids.make() for _ in range(50)]
    assert made == sorted(made)
    assert [len(set(half)) for half in ([one[:8] for one in made], made)] == [3, 100]
    assert UUID(made[50]).int >> 80 == int(clock.now().timestamp() * 1000)


def test_every_id_that_is_made_has_all_its_bits_of_chance() -> None:
    ids = SagaIds(ManualClock())
    made = [UUID(ids.make()) for _ in range(1_100)]
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    chances = [one.int & (1 << 62) - 1 for one in made]
    assert len(set(chances)) == len(chances)
    assert functools.reduce(operator.or_, chances) == (1 << 62) - 1
    assert functools.reduce(operator.and_, chances) == 0


def test_a_forked_process_makes_other_ids_in_the_same_instant() -> None:
    ids = SagaIds(ManualClock())
    ids.make()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, ids.make().encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    ours, theirs = ids.make(), os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert ours[:18] == theirs[:18]
    assert ours[19:] != theirs[19:]


def test_a_shard_that_is_dropped_is_decided_elsewhere_though_all_were_held() -> None:
    key = StreamKey("default", "order-1")
    shards = Shards(is_shared=True)
    assert not shards.holds(key)
    shards.take(range(SHARDS - 1))
    shards.take([SHARDS - 1])
    assert shards.holds(key)
    shards.drop([shard_of(key)])
    assert not shards.holds(key)
    shards.take([shard_of(key)])
    assert shards.holds(key)


async def test_an_instance_without_an_id_gets_one_by_the_clock(store: EventStore) -> None:
    async with orchestrator(store, clock=ManualClock()) as amends:
        first, second = await amends.start(FULFIL, Order()), await amends.start(FULFIL, Order())
    assert first.id < second.id
    assert UUID(first.id).int >> 80 == int(NOON.timestamp() * 1000)
