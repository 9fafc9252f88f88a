"""The broker is killed under load and comes back; members of the group come and go: nothing is lost, nothing twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from amends import memory
from amends.adapters.kafka import Address, KafkaCluster, KafkaIntake, KafkaSender, make_topics
from amends.adapters.memory.parked import MemoryParkedStore
from amends.ports.intake import Outcome, Record
from servers import kafka
from tests.adapters.kafka.shared_broker import broker, new_name, written
from tests.adapters.kafka.world import JSON, SESSION, World, reply_headers
from tests.application.engine_world import until
from tests.crash.cluster.services import pause

SAGAS = 150
WATCHED = 40
"""Looks at a trouble while the broker is away, over several questions."""
SOON = 60.0
"""Seconds that a trouble may outlast the broker's start on a machine that is busy; two are usual."""
NUMBERS = 100
"""Records of a key that are written while the broker goes and comes."""


class Services:
    """Both participants: each command acts once by its id; the answers go out as the bindings say."""

    def __init__(self, at: World) -> None:
        self.at = at
        self.done: Counter[str] = Counter()
        self.seen = 0
        self.sender = KafkaSender(at.address)
        topics = [f"{at.name}.hold", f"{at.name}.packers"]
        self.intake = KafkaIntake(at.address, topics, group=f"{at.name}-services", session=SESSION)
        self.half = asyncio.Event()

    async def take(self, record: Record) -> Outcome:
        told = {name: value.decode() for name, value in record.headers}
        self.done[told["ce_id"]] |= 1
        self.seen += 1
        if self.seen >= SAGAS:
            self.half.set()
        saga_id, step = told["ce_subject"], told["ce_amendsstep"]
        if record.topic.endswith(".hold"):
            item = msgspec.json.decode(record.value or b"null")
            body = msgspec.json.encode({"order": saga_id, "sku": item["sku"], "place": "P"})
            await self.sender.publish(self.at.held, key=record.key, value=body, headers=[JSON])
        else:
            headers = [*reply_headers(saga_id, step).items()]
            await self.sender.publish(self.at.replies, key=record.key, value=b"null", headers=headers)
        return "recorded"


@asynccontextmanager
async def loaded(address: Address) -> AsyncGenerator[tuple[World, Services]]:
    """A world in which many sagas are under way."""
    at = World(new_name(), address, memory(), MemoryParkedStore())
    services = Services(at)
    await make_topics(address, at.cluster.topics, partitions=4, replicas=1)
    try:
        async with at.service:
            await services.intake.start(services.take)
            data = [msgspec.json.encode({"order": f"o-{number}"}) for number in range(SAGAS)]
            await asyncio.gather(
                *(at.amends.begin("send", each, saga_id=f"o-{number}") for number, each in enumerate(data))
            )
            yield at, services
            await services.intake.stop()
    finally:
        await services.sender.close()
        await at.other.close()


async def all_end(at: World, services: Services) -> None:
    async with asyncio.timeout(120):
        views = await asyncio.gather(*(at.amends.wait(f"o-{number}") for number in range(SAGAS)))
    assert {view.status for view in views} == {"completed"}
    assert len(services.done) == 3 * SAGAS, "every command reached its participant"
    for number in range(0, SAGAS, 10):
        events = [event.type for event in await at.amends.events(f"o-{number}")]
        assert events.count("ReplyRecorded") == 3, "each answer counts once"
    assert not [each for each in await at.arrivals.parked.find() if each.state != "replayed"]


async def test_a_broker_that_is_killed_and_comes_back_costs_time_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    server = await asyncio.to_thread(kafka.start, folder)
    try:
        async with loaded(Address((server.address,))) as (at, services):
            await services.half.wait()
            await asyncio.to_thread(server.kill)
            again = await asyncio.to_thread(kafka.start, folder)
            assert again.address == server.address
            await all_end(at, services)
            # An answer may come before the acknowledgement of its command.
            await until(lambda: not at.service.troubles, "the end of the troubles")
    finally:
        await asyncio.to_thread(kafka.remove, folder)


async def test_what_is_written_while_the_broker_is_away_keeps_its_order(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    server = await asyncio.to_thread(kafka.start, folder)
    address, keys = Address((server.address,)), [b"a", b"b", b"c"]
    sender = KafkaSender(address, within=1.0)
    await make_topics(address, ["order"], partitions=2, replicas=1)
    writing: list[asyncio.Task[None]] = []

    def write(number: int) -> None:
        for key in keys:
            value = b"%d" % number
            writing.append(asyncio.create_task(sender.publish("order", key=key, value=value, headers=())))

    try:
        write(0)
        await asyncio.gather(*writing)
        killing = asyncio.create_task(asyncio.to_thread(server.kill))
        for number in range(1, NUMBERS):
            write(number)
            # Some are acknowledged, some under way, and some gather behind what fails.
            await asyncio.wait(writing[-1:], timeout=0.02)
        await killing
        while not sender.trouble:
            await asyncio.wait(writing[-1:], timeout=0.02)
        await asyncio.to_thread(kafka.start, folder)
        async with asyncio.timeout(60):
            await asyncio.gather(*writing)
        assert not sender.trouble
        await sender.close()
        found = await written(server.address, "order", NUMBERS * len(keys))
    finally:
        await asyncio.to_thread(kafka.remove, folder)
    for key in keys:
        # One whose acknowledgement was lost stands there twice.
        values = [record.value for record in found if record.key == key]
        assert [*dict.fromkeys(values)] == [b"%d" % number for number in range(NUMBERS)]


async def test_a_trouble_ends_when_the_broker_is_back_though_nothing_is_written_any_more(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "broker"
    server = await asyncio.to_thread(kafka.start, folder)
    address = Address((server.address,))
    sender = KafkaSender(address, within=1.0)
    try:
        await make_topics(address, ["quiet"], partitions=3, replicas=1)
        await sender.publish("quiet", key=b"k", value=b"first", headers=())
        await asyncio.to_thread(server.kill)
        writing = asyncio.create_task(sender.publish("quiet", key=b"k", value=b"given up", headers=()))
        while not sender.trouble:
            await pause(0.05)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        for _ in range(WATCHED):
            assert sender.trouble, "the broker is away"
            await pause(0.1)
        await asyncio.to_thread(kafka.start, folder)
        async with asyncio.timeout(SOON):
            while sender.trouble:
                await pause(0.05)
        await sender.close()
        found = await written(server.address, "quiet", 1)
    finally:
        await asyncio.to_thread(kafka.remove, folder)
    assert [record.value for record in found] == [b"first"]


async def test_members_that_come_and_go_lose_nothing() -> None:
    async with loaded(Address((broker().address,))) as (at, services):
        for _ in range(3):
            # Another instance of the service takes part of the partitions, and hands what it takes to the same door.
            other = KafkaCluster(
                at.address,
                at.bindings,
                group=f"{at.name}-amends",
                replies=at.replies,
                session=SESSION,
                partitions=0,
            )
            at.rebalanced.clear()
            await other.start(at.arrivals.take)
            async with asyncio.timeout(60):
                await at.rebalanced.wait()
            await other.stop()
        await all_end(at, services)
        assert at.cluster.rebalances >= 3
