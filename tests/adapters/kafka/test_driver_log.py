"""What the driver logs while a broker is away: each thing once, as the outage itself is told once."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from amends.adapters.kafka import Address, KafkaIntake, KafkaSender, make_topics
from amends.driver.driver_log import QUIET, Once, told_once
from amends.ports.intake import Outcome, Record
from servers import kafka
from tests.adapters.kafka.told import said
from tests.crash.cluster.services import pause

WATCHED = 60
"""Looks at an outage, a tenth of a second apart: the driver tries hundreds of times in that."""
PATIENCE = 60.0


async def take(_record: Record) -> Outcome:
    return "recorded"


@asynccontextmanager
async def clients(address: Address) -> AsyncGenerator[tuple[KafkaSender, KafkaIntake]]:
    """One that writes and one that reads, both at work."""
    await make_topics(address, ["told"], partitions=2, replicas=1)
    sender = KafkaSender(address, within=1.0)
    intake = KafkaIntake(address, ["told"], group="told", session=6.0)
    try:
        await sender.publish("told", key=b"k", value=b"first", headers=())
        await intake.start(take)
        yield sender, intake
    finally:
        await intake.stop()
        await sender.close()


async def test_an_outage_of_the_broker_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "broker"
    server = await asyncio.to_thread(kafka.start, folder)
    try:
        async with clients(Address((server.address,))) as (sender, intake):
            async with asyncio.timeout(PATIENCE):
                while intake.trouble:
                    await pause(0.05)
            await asyncio.to_thread(server.kill)
            writing = asyncio.create_task(sender.publish("told", key=b"k", value=b"given up", headers=()))
            while not sender.trouble:
                await pause(0.05)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            for _ in range(WATCHED):
                await pause(0.1)
            await asyncio.to_thread(kafka.start, folder)
            async with asyncio.timeout(PATIENCE):
                while sender.trouble or intake.trouble:
                    await pause(0.05)
        assert said(caplog), "what happened is told"
        assert said(caplog, more_than=1) == {}
    finally:
        await asyncio.to_thread(kafka.remove, folder)


class Loggers:
    """A logger as the driver's, behind a filter whose time is moved by hand."""

    def __init__(self, level: int) -> None:
        self.now = 0.0
        self._once = Once(lambda: self.now)
        self._level = level

    def shows(self, node: int, error: Exception, *, name: str = "aiokafka") -> str:
        """What becomes of a record: the level that it is shown with, or nothing."""
        logger = logging.getLogger(name)
        before = logger.level
        logger.setLevel(self._level)
        try:
            text = "Unable connect to node with id %s: %s"
            record = logger.makeRecord(name, logging.ERROR, "client.py", 1, text, (node, error), None)
            return record.levelname if self._once.filter(record) else ""
        finally:
            logger.setLevel(before)


REFUSED, RESET = ConnectionRefusedError("refused"), ConnectionResetError("reset")


@pytest.mark.parametrize(("level", "again"), [(logging.WARNING, ""), (logging.DEBUG, "DEBUG")])
def test_what_was_said_already_is_a_detail(level: int, again: str) -> None:
    loggers = Loggers(level)
    with told_once():
        assert [loggers.shows(1, REFUSED) for _ in range(3)] == ["ERROR", again, again]
        assert [loggers.shows(1, ConnectionRefusedError("once more"))] == [again]


def test_what_is_news_passes() -> None:
    loggers = Loggers(logging.WARNING)
    with told_once():
        assert loggers.shows(1, REFUSED) == "ERROR"
        assert loggers.shows(2, REFUSED) == "ERROR", "another broker"
        assert loggers.shows(1, RESET) == "ERROR", "another reason"
        assert loggers.shows(1, REFUSED, name="aiokafka.conn") == "ERROR", "another part of the driver"


def test_what_was_not_said_for_a_while_is_news() -> None:
    loggers = Loggers(logging.WARNING)
    with told_once():
        assert loggers.shows(1, REFUSED) == "ERROR"
        for _ in range(3):
            loggers.now += QUIET
            assert loggers.shows(1, REFUSED) == "", "it is the same outage for as long as it is said"
        loggers.now += QUIET + 1
        assert loggers.shows(1, REFUSED) == "ERROR"


def test_what_another_client_of_the_program_says_is_left_alone() -> None:
    loggers = Loggers(logging.WARNING)
    with told_once():
        assert loggers.shows(1, REFUSED) == "ERROR"
    assert [loggers.shows(1, REFUSED) for _ in range(3)] == ["ERROR"] * 3
