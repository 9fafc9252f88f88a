"""A participant whose broker is away: what was done is answered afterwards, and the outage is told once."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiokafka  # type: ignore[import-untyped]
import pytest

from amends.adapters.kafka import Address, make_topics
from amends.participant import Answer, Command, Database
from amends.participant.barrier import Remembered
from amends.participant.database import SqliteHandler
from amends.participant.kafka import KafkaParticipant
from servers import kafka
from tests.adapters.kafka.told import said
from tests.crash.cluster.services import pause
from tests.participant.counter import HANDLERS, command, prepare
from tests.participant.kafka_line import Line

WATCHED = 60
"""Looks at an outage, a tenth of a second apart: the driver tries hundreds of times in that."""
PATIENCE = 60.0


class Gate:
    """A database that notes who came, and whose answers wait until it is open."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.came: list[str] = []
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def execute(self, received: Command, handler: SqliteHandler) -> Answer:
        answer = await self._database.execute(received, handler)
        self.came.append(received.step)
        await self.is_open.wait()
        return answer

    async def recall(self, command_id: str) -> Remembered | None:
        return await self._database.recall(command_id)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await pause(0.05)


async def order(server: str, step: str) -> None:
    """Write a command; all are of one saga, so each is executed when the one before is answered."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=server)
    await producer.start()
    try:
        asked = replace(command("do"), command_id=step, step=step)
        headers = Line("counter", producer).headers(asked)
        await producer.send_and_wait("counter.commands", b'{"by":1}', key=b"s1", headers=headers)
    finally:
        await producer.stop()


@asynccontextmanager
async def serving(participant: KafkaParticipant[Any, Any]) -> AsyncGenerator[None]:
    running = asyncio.create_task(participant.run())
    try:
        yield
    finally:
        participant.stop()
        await asyncio.wait_for(running, PATIENCE)


@asynccontextmanager
async def world(folder: Path) -> AsyncGenerator[tuple[kafka.Server, Gate, KafkaParticipant[Any, Any]]]:
    """A broker of this test's own that runs, and a participant that does not yet."""
    server = await asyncio.to_thread(kafka.start, folder / "broker")
    database = Database(path=folder / "counter.db", prepare=prepare)
    gate = Gate(database)
    try:
        topics = ["counter.commands", "counter.replies"]
        await make_topics(Address((server.address,)), topics, partitions=1, replicas=1)
        yield (
            server,
            gate,
            KafkaParticipant(name="counter", servers=[server.address], handlers=HANDLERS, database=gate),
        )
    finally:
        await asyncio.to_thread(kafka.remove, folder / "broker")
        database.close()


async def watch() -> None:
    for _ in range(WATCHED):
        await pause(0.1)


async def test_an_outage_of_the_broker_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It begins while a reply is on its way, and the offsets are to be committed."""
    async with world(tmp_path) as (server, gate, participant):
        async with serving(participant):
            await order(server.address, "first")
            await until(lambda: gate.came == ["first"])
            gate.is_open.clear()
            await order(server.address, "second")
            await until(lambda: gate.came == ["first", "second"])
            await asyncio.to_thread(server.kill)
            gate.is_open.set()
            await watch()
            await asyncio.to_thread(kafka.start, tmp_path / "broker")
            await order(server.address, "third")
            await until(lambda: gate.came[-1] == "third")
        assert said(caplog), "what happened is told"
        assert said(caplog, more_than=1) == {}


async def test_one_that_begins_without_a_broker_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as (server, gate, participant):
        await asyncio.to_thread(server.kill)
        async with serving(participant):
            await watch()
            assert said(caplog, by="amends"), "what is waited for is told"
            await asyncio.to_thread(kafka.start, tmp_path / "broker")
            await order(server.address, "first")
            await until(lambda: gate.came == ["first"])
        assert said(caplog, by="aiokafka", more_than=1) == {}
        assert said(caplog, by="amends", more_than=1) == {}
