"""Arrivals: what becomes of records, whatever they carry; over every kind of store."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from amends import Orchestrator
from amends.adapters.memory.parked import MemoryParkedStore
from amends.application.arrivals import Arrivals, NotParked
from amends.application.service import Incoming, Service
from amends.core.effect import SendCommand, command_id
from amends.core.outcome import Accepted, Refused, Succeeded
from amends.ports import CallbackReply, EventStore
from amends.ports.intake import (
    Content,
    EventCame,
    Foreign,
    Outcome,
    OwnMessage,
    Record,
    ReplyCame,
    StartCame,
    Take,
    Unreadable,
)
from amends.ports.parked import Kept, Parked
from amends.testing import ManualClock
from tests.application.engine_world import turns, until
from tests.application.shop import FULFIL, SAGAS, Order, Shop


class Feeding:
    """An intake that hands over what a test gives it, and contents in place of bytes."""

    trouble = ""

    def __init__(self) -> None:
        self.contents: dict[int, Content] = {}
        self._take: Take | None = None
        self._offset = 0

    async def start(self, take: Take) -> None:
        self._take = take

    async def stop(self) -> None:
        self._take = None

    def read(self, record: Record) -> Content:
        return self.contents[record.offset]

    def record(self, content: Content) -> Record:
        self._offset += 1
        self.contents[self._offset] = content
        return Record(
            topic="t", partition=0, offset=self._offset, timestamp_ms=0, key=b"o-1", value=b"{}", headers=()
        )

    async def give(self, record: Record) -> str:
        assert self._take is not None
        return await self._take(record)

    async def say(self, content: Content) -> str:
        return await self.give(self.record(content))


class Silent:
    """A participant that takes commands, and answers another way."""

    def __init__(self) -> None:
        self.sent: list[SendCommand] = []

    async def send(self, command: SendCommand) -> Accepted:
        self.sent.append(command)
        return Accepted()

    async def close(self) -> None:
        """Nothing is open."""


class World:
    def __init__(self, store: EventStore, shop: Shop) -> None:
        self.clock = ManualClock()
        self.stock, self.bank = Silent(), Silent()
        self.feed = Feeding()
        participants = {**shop.bindings(), "stock": self.stock, "bank": self.bank}
        amends = Orchestrator(sagas=SAGAS, store=store, participants=participants, clock=self.clock)
        self.arrivals = Arrivals(
            amends, read=self.feed.read, parked=MemoryParkedStore(), clock=self.clock, most_waiting=2
        )
        self.amends = amends
        self.service = Service(amends, incoming=Incoming(self.feed, self.arrivals))

    async def parked(self) -> list[tuple[str, str]]:
        return [(each.state, each.code) for each in await self.arrivals.parked.find()]


@pytest.fixture
async def world(store: EventStore, shop: Shop) -> AsyncIterator[World]:
    made = World(store, shop)
    async with made.service:
        yield made


def reply(
    step: str = "reserve", answer: Succeeded | Refused | None = None, *, saga_id: str = "o-1"
) -> ReplyCame:
    given = answer or Succeeded(b"null")
    called = command_id("default", saga_id, step, "do", 1)
    return ReplyCame(
        CallbackReply(
            command_id=called,
            saga_id=saga_id,
            namespace="default",
            step=step,
            direction="do",
            round=1,
            answer=given,
        )
    )


def event(step: str, answer: Succeeded | Refused | None = None, *, participant: str = "stock") -> EventCame:
    return EventCame(
        saga_id="o-1",
        participant=participant,
        step=step,
        keys="",
        direction="do",
        answer=answer or Succeeded(b"null"),
    )


def start(saga: str = "fulfil", data: bytes = b"{}", saga_id: str = "o-1") -> StartCame:
    return StartCame(saga=saga, saga_id=saga_id, data=data)


async def test_replies_drive_a_saga_to_its_end(world: World) -> None:
    assert await world.feed.say(start()) == "recorded"
    assert await world.feed.say(reply("reserve")) == "recorded"
    assert await world.feed.say(reply("pay", Succeeded(b'{"payment":"p-1"}'))) == "recorded"
    assert await world.feed.say(event("ship")) == "recorded"
    assert (await world.amends.get("o-1")).status == "completed"
    assert await world.parked() == []


async def test_what_comes_again_changes_nothing(world: World) -> None:
    given = [
        world.feed.record(content)
        for content in (start(), reply("reserve"), reply("pay", Refused("declined")), reply("pay"))
    ]
    first = [await world.feed.give(record) for record in given]
    assert first == ["recorded", "recorded", "recorded", "contradicted"]
    position = (await world.amends.get("o-1")).position
    for _ in range(3):
        again = [await world.feed.give(record) for record in given]
        assert again == ["duplicate", "duplicate", "duplicate", "contradicted"]
    assert (await world.amends.get("o-1")).position == position


class Heard:
    """Hears what became of a record that is taken without a task."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome | None] = []

    def __call__(self, outcome: Outcome | None) -> None:
        self.outcomes.append(outcome)


async def test_who_heard_of_a_reply_leaves_memory_unsearched(world: World) -> None:
    await world.feed.say(start())
    await until(lambda: world.stock.sent)
    for expected in ("recorded", "duplicate"):
        heard = Heard()
        remembered, outcomes = weakref.ref(heard), heard.outcomes
        gc.disable()
        try:
            assert world.arrivals.take_soon(world.feed.record(reply("reserve")), heard)
            await until(partial(len, outcomes))
            await turns()
            del heard
            assert (outcomes, remembered()) == ([expected], None)
        finally:
            gc.enable()


async def test_own_and_foreign_records_are_let_go(world: World) -> None:
    assert await world.feed.say(OwnMessage()) == "own"
    assert await world.feed.say(Foreign()) == "foreign"
    assert await world.parked() == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (Unreadable("not-json", "it begins with 00 01"), "not-json"),
        (reply("no-such-step"), "unknown-command"),
        (reply("pay"), "unknown-command"),
        (event("pay", participant="bank"), "unknown-command"),
        (event("reserve", participant="bank"), "unknown-command"),
        (start(data=b'{"amount":"many"}'), "bad-start"),
        (start(data=b'{"sku":"other"}'), "conflict"),
        (start("no-such-saga", saga_id="o-2"), "bad-start"),
        (start(saga_id="not an id"), "bad-start"),
    ],
)
async def test_what_is_for_nobody_is_parked_with_its_reason(
    world: World, content: Content, code: str
) -> None:
    await world.amends.start(FULFIL, Order(), saga_id="o-1")
    record = world.feed.record(content)
    assert await world.feed.give(record) == "parked"
    (parked,) = await world.arrivals.parked.find()
    assert (parked.state, parked.code, parked.record) == ("parked", code, record)
    assert parked.reason
    assert await world.feed.give(record) == "duplicate", "it is parked once"


async def test_another_namespace_is_not_served(world: World) -> None:
    told = reply()
    other = ReplyCame(msgspec.structs.replace(told.reply, namespace="other"))
    assert await world.feed.say(other) == "parked"
    assert await world.parked() == [("parked", "namespace")]


async def test_a_reader_that_raises_blocks_nothing(world: World) -> None:
    record = world.feed.record(OwnMessage())
    del world.feed.contents[record.offset]
    assert await world.feed.give(record) == "parked"
    assert await world.parked() == [("parked", "defect")]


async def test_what_is_read_and_cannot_be_kept_blocks_nothing(world: World) -> None:
    """No text column takes it; the record's own bytes it does."""
    record = world.feed.record(Unreadable("bad-header", "it says \ud800", saga_id="\ud800"))
    assert await world.feed.give(record) == "parked"
    (parked,) = await world.arrivals.parked.find()
    assert (parked.code, parked.saga_id, parked.record) == ("bad-header", "", record)
    assert "kept without what it says" in parked.reason


async def test_records_that_come_together_are_parked_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    put = world.arrivals.parked.put

    async def counted(batch: Sequence[Parked]) -> Sequence[Kept]:
        sizes.append(len(batch))
        return await put(batch)

    monkeypatch.setattr(world.arrivals.parked, "put", counted)
    came = [world.feed.say(Unreadable("not-json", "noise")) for _ in range(100)]
    assert await asyncio.gather(*came) == ["parked"] * 100
    assert sizes == [100]


async def test_an_answer_before_its_saga_waits_and_is_brought(world: World) -> None:
    assert await world.feed.say(reply("reserve")) == "waiting"
    assert await world.parked() == [("waiting", "no-saga")]
    await world.amends.start(FULFIL, Order(), saga_id="o-1")
    await world.service.follower.taken(world.arrivals.beginnings, await world.amends.store.log_end())
    assert await world.parked() == [("replayed", "no-saga")]
    assert world.bank.sent[0].name == "pay"


async def test_what_waits_is_found_again_after_a_restart(store: EventStore, shop: Shop) -> None:
    world = World(store, shop)
    async with world.service:
        await world.feed.say(reply("reserve"))
        assert world.arrivals.parked is not None
    # The stores outlive the process; the instance began while nobody followed.
    again = Arrivals(
        world.amends, read=world.feed.read, parked=world.arrivals.parked, clock=world.clock, most_waiting=2
    )
    await again.open()
    assert await again.refresh() == 0
    world.clock.advance(timedelta(hours=1))
    assert await again.refresh() == 1
    (parked,) = await again.parked.find()
    assert (parked.state, parked.by, parked.code) == ("parked", "amends", "no-saga")
    await again.close()


async def test_what_another_process_put_there_is_brought_once_it_is_known(world: World) -> None:
    other = Arrivals(world.amends, read=world.feed.read, parked=world.arrivals.parked, clock=world.clock)
    early, late = world.feed.record(reply("reserve")), world.feed.record(reply(saga_id="o-2"))
    assert [await other.take(record) for record in (early, late)] == ["waiting", "waiting"]
    # The other one is gone; this one follows the log, and does not know that something waits.
    await world.amends.start(FULFIL, Order(), saga_id="o-1")
    await world.service.follower.taken(world.arrivals.beginnings, await world.amends.store.log_end())
    assert await world.parked() == [("waiting", "no-saga")] * 2
    assert await world.arrivals.refresh() == 0
    assert await world.parked() == [("replayed", "no-saga"), ("waiting", "no-saga")]
    assert world.bank.sent[0].name == "pay"
    # What is known by now is brought as soon as its instance begins.
    await world.amends.start(FULFIL, Order(), saga_id="o-2")
    await world.service.follower.taken(world.arrivals.beginnings, await world.amends.store.log_end())
    assert await world.parked() == [("replayed", "no-saga")] * 2


async def test_what_somebody_else_settled_takes_no_place(world: World) -> None:
    came = [await world.feed.say(reply(saga_id=f"later-{number}")) for number in range(2)]
    assert came == ["waiting", "waiting"]
    for each in await world.arrivals.parked.find():
        await world.arrivals.parked.settle(each.id, "discarded", by="kim", note="", at=world.clock.now())
    assert await world.feed.say(reply(saga_id="later-3")) == "parked", "it is not known here yet"
    await world.arrivals.refresh()
    assert await world.feed.say(reply(saga_id="later-4")) == "waiting"


async def test_a_record_that_can_no_longer_be_read_stands_in_nobodys_way(world: World) -> None:
    record = world.feed.record(reply("reserve"))
    assert await world.feed.give(record) == "waiting"
    del world.feed.contents[record.offset]
    await world.amends.start(FULFIL, Order(), saga_id="o-1")
    await world.service.follower.taken(world.arrivals.beginnings, await world.amends.store.log_end())
    assert await world.parked() == [("parked", "defect")]


async def test_how_many_wait_is_bounded(world: World) -> None:
    came = [await world.feed.say(reply(saga_id=f"later-{number}")) for number in range(3)]
    assert came == ["waiting", "waiting", "parked"]


async def test_a_person_replays_what_can_be_read_by_now(world: World) -> None:
    record = world.feed.record(Unreadable("unknown", "newer than this service"))
    await world.amends.start(FULFIL, Order(), saga_id="o-1")
    await world.feed.give(record)
    (parked,) = await world.arrivals.parked.find()
    assert await world.arrivals.replay(parked.id, by="kim", reason="try") == "parked"
    world.feed.contents[record.offset] = reply("reserve")
    assert await world.arrivals.replay(parked.id, by="kim", reason="upgraded") == "recorded"
    (parked,) = await world.arrivals.parked.find()
    assert (parked.state, parked.by, parked.note) == ("replayed", "kim", "upgraded")
    with pytest.raises(NotParked, match="replayed by kim"):
        await world.arrivals.discard(parked.id, by="lee", reason="late")


async def test_a_person_discards(world: World) -> None:
    await world.feed.say(Unreadable("not-json", "noise"))
    (parked,) = await world.arrivals.parked.find()
    await world.arrivals.discard(parked.id, by="kim", reason="noise")
    assert await world.parked() == [("discarded", "not-json")]
    with pytest.raises(NotParked):
        await world.arrivals.replay("0" * 32, by="kim", reason="")
