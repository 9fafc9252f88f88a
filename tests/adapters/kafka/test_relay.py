"""Every transition leaves to a topic of a real broker: in order, without a gap, whoever dies or goes away meanwhile."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from pathlib import Path

from amends import Service, memory
from amends.adapters.kafka import Address, KafkaOutlet
from amends.adapters.postgres import Address as Database, PostgresStoreReader
from amends.adapters.sqlite import SqliteStoreReader
from amends.ports import Leaving, StreamKey
from servers import kafka
from tests.adapters.kafka.relayed import headers_of, heard, log_of
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.adapters.kafka.world import world
from tests.adapters.postgres import shared_server
from tests.application.engine_world import NOON, orchestrator, until
from tests.application.shop import FULFIL, Order
from tests.sharing.processes import Process, running

MANY = 200
SOME = 60


def relaying(topic: str, *place: str) -> AbstractAsyncContextManager[Process]:
    """A service in a process of its own."""
    return running("tests.adapters.kafka.relaying", broker().address, topic, *place)


async def relays(service: Process) -> bool:
    """Ask whether it is the one."""
    times = len(service.lines("relays")) + 1
    service.tell("relays")
    await service.heard("relays", times=times)
    return service.lines("relays")[-1] == "relays True"


def shared() -> Address:
    return Address((broker().address,))


async def run_all(service: Service, prefix: str, count: int) -> None:
    ids = [f"{prefix}-{number}" for number in range(count)]
    await asyncio.gather(*(service.orchestrator.run(FULFIL, Order(), saga_id=each) for each in ids))


async def test_every_transition_of_many_sagas_arrives_in_order() -> None:
    topic, store = new_name(), memory()
    async with (
        heard(shared(), topic) as listening,
        Service(orchestrator(store), outlet=KafkaOutlet(shared(), topic)) as service,
    ):
        await run_all(service, "o", MANY)
        log = await store.log(limit=100_000)
        assert len(log) >= 4 * MANY
        await listening.whole(log)
        assert len(listening.records) == len(log), "nothing went wrong, so nothing comes twice"
        assert service.troubles == {}


async def test_a_topic_that_is_not_there_is_made_with_its_partitions() -> None:
    topic, store = new_name(), memory()
    async with Service(orchestrator(store), outlet=KafkaOutlet(shared(), topic, partitions=5)) as service:
        await run_all(service, "o", 20)
        async with heard(shared(), topic) as listening:
            await listening.whole(await store.log(limit=100_000))
            assert {each.partition for each in listening.records} <= set(range(5))
            assert len({each.partition for each in listening.records}) > 1


async def test_a_service_that_is_killed_goes_on_without_a_gap(tmp_path: Path) -> None:
    topic, store = new_name(), str(tmp_path / "amends.db")
    async with heard(shared(), topic) as listening:
        for life in range(3):
            async with relaying(topic, store) as service:
                came = len(listening.records)
                service.tell("run", f"life-{life}", str(SOME))
                await listening.until(lambda came=came: len(listening.records) > came + SOME)  # type: ignore[misc]
                service.send(signal.SIGKILL)
                await service.gone()
        async with relaying(topic, store) as service:
            for life in range(3):
                service.tell("run", f"life-{life}", str(SOME))
                await service.heard(f"ended life-{life}")
            service.tell("close")
            await service.heard("closed")
        # What had not left when it closed leaves at the next opening.
        async with relaying(topic, store) as service:
            log = await log_of(SqliteStoreReader(store))
            assert len({each.transition.key for each in log}) == 3 * SOME
            await listening.whole(log)


async def test_another_process_takes_over_from_one_that_is_killed() -> None:
    topic, schema = new_name(), shared_server.new_schema()
    url = shared_server.server().local_address
    async with heard(shared(), topic) as listening, AsyncExitStack() as stack:
        first = await stack.enter_async_context(relaying(topic, url, schema))
        async with asyncio.timeout(60):
            while not await relays(first):
                pass
        second = await stack.enter_async_context(relaying(topic, url, schema))
        first.tell("run", "a", str(SOME))
        second.tell("run", "b", str(SOME))
        await listening.until(lambda: len(listening.records) > SOME)
        assert not await relays(second), "one does"
        first.send(signal.SIGKILL)
        second.tell("run", "a", str(SOME))
        await second.heard("ended a")
        await second.heard("ended b")
        log = await log_of(PostgresStoreReader(Database.of(url, schema=schema)))
        assert len({each.transition.key for each in log}) == 2 * SOME
        await listening.whole(log)
        assert await relays(second)


async def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    folder, topic, store = tmp_path / "broker", new_name(), memory()
    server = await asyncio.to_thread(kafka.start, folder)
    address = Address((server.address,))
    try:
        async with Service(orchestrator(store), outlet=KafkaOutlet(address, topic, partitions=3)) as service:
            await run_all(service, "before", SOME)
            async with heard(address, topic) as listening:
                await listening.whole(await store.log(limit=100_000))
            await asyncio.to_thread(server.kill)
            await run_all(service, "away", SOME)
            await until(lambda: "relay" in service.troubles)
            assert service.is_ready, "sagas go on"
            assert service.gauges().lag["relay"] > 0
            again = await asyncio.to_thread(kafka.start, folder)
            assert again.address == server.address
            async with heard(address, topic) as listening:
                await listening.whole(await store.log(limit=100_000))
            # Who reads may have a record before its acknowledgement comes.
            await until(lambda: not service.troubles, "the end of the troubles")
    finally:
        await asyncio.to_thread(kafka.remove, folder)


async def test_one_that_is_too_large_leaves_without_its_events() -> None:
    topic = new_name()
    outlet = KafkaOutlet(shared(), topic, partitions=1, longest=2_000)
    async with heard(shared(), topic) as listening:
        for number in (1, 2):
            await outlet.publish(
                Leaving(
                    key=StreamKey("default", "o-1"),
                    position=number,
                    sequence=number,
                    time=NOON + timedelta(seconds=number),
                    body=b'{"events":["%s"]}' % (b"x" * (3_000 if number == 1 else 10)),
                    without_events=b'{"events":[]}',
                )
            )
        await listening.until(lambda: len(listening.records) == 2)
        large, small = listening.records
        assert large.value == b'{"events":[]}'
        assert headers_of(large)["ce_dataref"] == "/v1/sagas/o-1/events"
        assert headers_of(large)["ce_id"] == "default/o-1/1/1"
        assert "ce_dataref" not in headers_of(small)
        assert small.value == b'{"events":["xxxxxxxxxx"]}'
    await outlet.close()


async def test_no_orchestrator_takes_a_transition_for_an_event() -> None:
    async with world() as at:
        store, written = memory(), 0
        for topic in (at.created, at.held, at.replies):
            # Somebody lets transitions leave to a topic that an orchestrator reads.
            async with Service(orchestrator(store), outlet=KafkaOutlet(shared(), topic)) as service:
                await run_all(service, topic.rpartition(".")[2], 1)
                written += len(await store.log(limit=1_000))
                await at.intake.until(written)
        assert set(at.intake.outcomes.values()) == {"own"}
        assert await at.arrivals.parked.find() == []
