"""Arrivals on a shared store: a record may come in at any process, and nothing became of it before that is durable."""

import asyncio

import pytest

from amends import Orchestrator
from amends.adapters.memory.parked import MemoryParkedStore
from amends.adapters.postgres import Address, PostgresEventStore
from amends.adapters.postgres.parked import PostgresParkedStore
from amends.application import arrivals
from amends.application.arrivals import Arrivals
from amends.application.orchestrator import SystemClock
from amends.application.service import Incoming, Service
from amends.core.outcome import Refused, Succeeded
from amends.ports.intake import Content, EventCame, Outcome, StartCame
from amends.ports.parked import Parked, ParkedStore
from tests.adapters.postgres import storage
from tests.application.engine_world import PATIENCE, events_of, until
from tests.application.shop import FULFIL, SAGAS, Order, Shop
from tests.application.test_arrivals import Feeding, Silent, reply
from tests.sharing.fleet import LEASE, id_at, shares, sharing
from tests.sharing.test_inbox import Hanging


@pytest.fixture
def address() -> Address:
    return storage.address()


class Taking:
    """A member that takes records."""

    def __init__(
        self,
        address: Address,
        store: PostgresEventStore | None = None,
        *,
        parked: ParkedStore | None = None,
    ) -> None:
        self.feed, self.silent = Feeding(), Silent()
        participants = {**Shop().bindings(), "stock": self.silent}
        store = store or PostgresEventStore(address, lease=LEASE)
        self.amends = Orchestrator(sagas=SAGAS, store=store, participants=participants)
        self.arrivals = Arrivals(
            self.amends, read=self.feed.read, parked=parked or MemoryParkedStore(), clock=SystemClock()
        )
        self.service = Service(self.amends, incoming=Incoming(self.feed, self.arrivals))

    async def say(self, content: Content) -> Outcome:
        return await self.arrivals.take(self.feed.record(content))


async def test_what_another_process_holds_is_recorded_there(address: Address) -> None:
    here, there = Taking(address), Taking(address)
    async with here.service, there.service:
        await shares(here.amends, there.amends)
        far = id_at(there.amends)
        begun = StartCame(saga="fulfil", saga_id=far, data=b"{}")
        shipped = EventCame(
            saga_id=far, participant="stock", step="ship", keys="", direction="do", answer=Succeeded(b"null")
        )
        assert await here.say(begun) == "recorded"
        assert await here.say(reply("reserve", saga_id=far)) == "recorded"
        assert await here.say(reply("reserve", saga_id=far)) == "duplicate"
        assert await here.say(reply("no-such-step", saga_id=far)) == "parked"
        await until(lambda: len(there.silent.sent) == 2, "`ship`")
        assert await here.say(shipped) == "recorded"
        assert (await here.amends.wait(far)).status == "completed"
        assert [await here.say(each) for each in (begun, shipped)] == ["duplicate", "duplicate"]
        assert await here.say(reply("reserve", Refused("no"), saga_id=far)) == "contradicted"
        assert [each.code for each in await here.arrivals.parked.find()] == ["unknown-command"]
        assert [each.name for each in there.silent.sent] == ["reserve", "ship"], "its holder sends for it"
        assert here.silent.sent == []


async def test_a_record_is_not_let_go_before_its_holder_has_stored_what_follows(address: Address) -> None:
    here, hanging = Taking(address), Hanging(address, is_after=False)
    there = Taking(address, hanging)
    async with here.service, there.service:
        await shares(here.amends, there.amends)
        far, next_to_it = id_at(there.amends, "a"), id_at(there.amends, "b")
        for each in (far, next_to_it):
            await there.amends.start(FULFIL, Order(), saga_id=each)
        taken = asyncio.create_task(here.say(reply("reserve", saga_id=far)))
        await until(lambda: sharing(there.amends).receiver.in_hand, "the row")
        # Another that came after it is answered, and it is not.
        assert await here.say(reply("no-such-step", saga_id=next_to_it)) == "parked"
        assert not taken.done()
        hanging.gate.set()
        assert await taken == "recorded"
        assert "ReplyRecorded" in await events_of(here.amends.store, far)


async def test_what_waits_outlives_the_process_that_took_it(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "LOOK", 0.05)
    left = Taking(address, parked=PostgresParkedStore(address))
    async with left.service:
        gone = Taking(address, parked=PostgresParkedStore(address))
        gone.feed.contents = left.feed.contents
        async with gone.service:
            record = gone.feed.record(reply("reserve", saga_id="o-1"))
            assert await gone.arrivals.take(record) == "waiting"
        # The one that is left ran all the while; now it makes the instance.
        await left.amends.start(FULFIL, Order(), saga_id="o-1")
        brought = await settled(left.arrivals)
        assert (brought.state, brought.by, brought.record) == ("replayed", "amends", record)
        assert "ReplyRecorded" in await events_of(left.amends.store, "o-1")


async def settled(at: Arrivals) -> Parked:
    """Wait until the one record does not wait any more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            (found,) = await at.parked.find()
            if found.state != "waiting":
                return found
