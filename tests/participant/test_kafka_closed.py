"""The participant where the broker does not let it read, or does not take what it says: it waits, or says so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from amends.adapters.kafka import Address
from amends.participant import Answer, Command, Database
from amends.participant.barrier import Remembered
from amends.participant.database import SqliteHandler
from amends.participant.kafka import KafkaParticipant
from tests.adapters.kafka import administration
from tests.adapters.kafka.administration import Rule
from tests.adapters.kafka.shared_broker import broker
from tests.crash.cluster.services import pause
from tests.participant.counter import HANDLERS, command, effects, prepare
from tests.participant.kafka_line import line

ROOM = 20_000
"""Bytes that the topic takes in one record."""


class Long:
    """A database whose answers are longer than the topic takes, and shorter than the kit's own limit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def execute(self, received: Command, handler: SqliteHandler) -> Answer:
        answer = await self._database.execute(received, handler)
        return replace(answer, body=b'"' + b"x" * 2 * ROOM + b'"')

    async def recall(self, command_id: str) -> Remembered | None:
        return await self._database.recall(command_id)


@asynccontextmanager
async def running(name: str, database: Database | Long) -> AsyncGenerator["asyncio.Task[None]"]:
    participant = KafkaParticipant(
        name=name, servers=[broker().address], handlers=HANDLERS, database=database
    )
    task = asyncio.create_task(participant.run())
    yield task
    participant.stop()
    await asyncio.wait_for(task, 30)


async def test_a_reply_over_the_limit_of_its_topic_is_told_and_blocks_nothing(tmp_path: Path) -> None:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    async with line() as wire, running(wire.name, Long(database)):
        wire.replies = f"{wire.name}.small"
        await administration.make_small(Address((broker().address,)), wire.replies, longest=ROOM)
        async with wire.reading(wire.replies):
            for number in range(3):
                asked = replace(command("do"), command_id=f"c-{number}", step=f"step-{number}")
                record = await wire.ask(asked)
                assert dict(record.headers)["ce_amendsoutcome"] == b"failed"
                reason = f"the reply of {2 * ROOM + 2} bytes is larger than the broker takes"
                assert record.value == b'{"reason":"' + reason.encode() + b'","fault":"unreadable"}'
    database.close()


@pytest.mark.parametrize("resource", ["topic", "group"])
async def test_what_it_may_not_read_is_waited_for(
    tmp_path: Path, resource: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    address = Address((broker().address,))
    async with line() as wire, running(wire.name, database) as task:
        await wire.ask(command("do"))
        rule = (
            Rule("topic", wire.commands, "read") if resource == "topic" else Rule("group", wire.name, "read")
        )
        await administration.forbid(address, rule)
        async with asyncio.timeout(60):
            while "is read anew" not in caplog.text and not task.done():
                await pause(0.05)
        assert not task.done(), "it goes on"
        await administration.allow(address, rule)
        record = await wire.ask(replace(command("do"), command_id="another", step="another"))
        assert dict(record.headers)["ce_amendsoutcome"] == b"succeeded"
        assert await database.run(lambda connection: effects(connection, "do")) == 2
    database.close()
