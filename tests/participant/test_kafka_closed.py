"""The participant where the broker does not let it read, or does not take what it says: it waits, or says so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiokafka.errors  # type: ignore[import-untyped]
import pytest

from amends.adapters.kafka import Address
from amends.participant import Answer, Command, Database
from amends.participant.barrier import Remembered
from amends.participant.database import SqliteHandler
from amends.participant.kafka import KafkaParticipant
from tests.adapters.kafka import administration
from tests.adapters.kafka.administration import Rule
from tests.adapters.kafka.shared_broker import broker
from tests.adapters.kafka.told import said
from tests.crash.cluster.services import pause
from tests.participant.counter import HANDLERS, command, effects, prepare
from tests.participant.kafka_line import line

ROOM = 20_000
"""Bytes that the topic takes in one record."""


WATCHED = 50
"""Looks at what is not allowed, a tenth of a second apart."""


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
        await told(caplog, f"reading {wire.commands} waits", task)
        # It is tried again and again meanwhile.
        for _ in range(WATCHED):
            await pause(0.1)
        assert not task.done(), "it goes on"
        await administration.allow(address, rule)
        record = await wire.ask(replace(command("do"), command_id="another", step="another"))
        assert dict(record.headers)["ce_amendsoutcome"] == b"succeeded"
        await told(caplog, f"reading {wire.commands} goes on", task)
        assert await database.run(lambda connection: effects(connection, "do")) == 2
    assert said(caplog, by="amends", more_than=1) == {}
    database.close()


async def test_that_replies_may_not_be_written_is_told_once_for_all_that_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    address = Address((broker().address,))
    async with line() as wire, running(wire.name, database) as task:
        await wire.ask(command("do"))
        rule = Rule("topic", wire.replies, "write")
        await administration.forbid(address, rule)
        asked = [
            replace(command("do"), command_id=f"c-{number}", saga_id=f"s-{number}") for number in range(3)
        ]
        answers = asyncio.gather(*map(wire.ask, asked))
        await told(caplog, f"writing to {wire.replies} waits", task)
        for _ in range(WATCHED):
            await pause(0.1)
        await administration.allow(address, rule)
        await answers
        await told(caplog, f"writing to {wire.replies} goes on", task)
    assert said(caplog, by="amends", more_than=1) == {}
    database.close()


async def told(caplog: pytest.LogCaptureFixture, text: str, task: "asyncio.Task[None]") -> None:
    """Wait until the participant's log says it."""
    async with asyncio.timeout(60):
        while text not in caplog.text and not task.done():
            await pause(0.05)


class Flapping:
    """A consumer that finds nothing, and then fails."""

    made = 0

    def __init__(self) -> None:
        Flapping.made += 1
        self._is_first = True

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def getmany(self, **_: object) -> dict[object, object]:
        if self._is_first:
            self._is_first = False
            return {}
        raise aiokafka.errors.KafkaError("the group moves")


async def test_a_reading_that_fails_again_and_again_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KafkaParticipant, "_consumer", lambda _self: Flapping())
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    async with running("flapping", database):
        async with asyncio.timeout(60):
            while Flapping.made < 5:
                await pause(0.05)
    assert list(said(caplog, by="amends").values()) == [1]
    database.close()
