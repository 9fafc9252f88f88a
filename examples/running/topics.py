"""A service of an example over Kafka: its commands come on topics, its answers go out on topics, as its bindings say.

Rules:
- The barrier is the same as over HTTP: a command acts once, a duplicate gets the first answer again.
- An answer carries the fields that correlate it, from the command, beside what the service has to say. It is written
  before the offset of its command is committed.
- A service that cannot act now does not answer: the process asks again. Where nobody waits for an answer nobody asks
  again either, so there the service tries until it has acted.
- It goes wrong on order, as over HTTP (`misbehaviour.py`).

Does not do: speak for services in general. Those use `amends.participant`.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec

from amends.adapters.kafka import Address, KafkaIntake, KafkaSender, make_topics
from amends.participant import Command, Database, Direction
from amends.participant.barrier import Answer
from amends.participant.database import SqliteHandler
from amends.participant.sqlite_ledger import receive
from amends.ports.intake import Outcome, Record
from amends.settings import Settings
from amends.settings.topics import load_topics, named_topics
from amends.wire.topics import StartTopic, StepTopics, TopicBindings, WayTopics
from examples.running.misbehaviour import How, ordered

PAUSE = 0.1
"""Seconds before a service tries again by itself."""
SESSION = 6.0


@dataclass(frozen=True, kw_only=True)
class Way:
    """What a topic of commands means to a service."""

    step: StepTopics
    topics: WayTopics

    @property
    def is_answered(self) -> bool:
        """Whether somebody waits for the answer, and asks again."""
        return bool(self.topics.succeeded)


def bindings_of(file: Path) -> TopicBindings:
    """The bindings in this file, with the topics that the settings name by default."""
    return load_topics(str(file), named_topics(Settings().kafka.topics))


def group_of(participant: str) -> str:
    """The consumer group of a service."""
    return f"{participant}-service"


def topics_of(bindings: TopicBindings, participant: str) -> Mapping[str, Way]:
    """The topics that a participant reads."""
    return {
        way.topic: Way(step=step, topics=way) for step in bindings.events[participant] for way in step.ways
    }


@dataclass(kw_only=True)
class TopicService:
    """Takes a service's commands from topics."""

    name: str
    key: str
    broker: str
    bindings: TopicBindings
    handlers: Mapping[str, SqliteHandler]
    database: Database
    late: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    def __post_init__(self) -> None:
        self.ways = topics_of(self.bindings, self.name)
        self.address = Address((self.broker,), client_id=f"{self.name}-service")
        self.sender = KafkaSender(self.address)
        group = group_of(self.name)
        self.intake = KafkaIntake(self.address, self.ways, group=group, session=SESSION, member=group)

    async def start(self) -> None:
        """Begin to take commands."""
        wanted = self.bindings.incoming() | self.bindings.outgoing()
        await make_topics(self.address, wanted, partitions=3, replicas=1)
        await self.intake.start(self.take)

    async def stop(self) -> None:
        """Take none any more."""
        await self.intake.stop()
        for task in self.late:
            task.cancel()
        await asyncio.gather(*self.late, return_exceptions=True)
        await self.sender.close()

    async def publish(self, start: StartTopic, saga_id: str, event: Mapping[str, object]) -> None:
        """Say that something came to be; a saga starts with it."""
        headers = [("content-type", b"application/json"), ("ce_source", f"/services/{self.name}".encode())]
        body = msgspec.json.encode(event)
        await self.sender.publish(start.topic, key=saga_id.encode(), value=body, headers=headers)

    async def take(self, record: Record) -> Outcome:
        """Execute one command, or leave it to be asked for again."""
        command, way = _command(record), self.ways[record.topic]
        how, seconds = await ordered(self.database, command, key=self.key) or (None, 0.0)
        if how == "slow":
            await self._later(self._executed(record, command, way, None), seconds, is_safe=way.is_answered)
            return "recorded"
        while not await self._executed(record, command, way, how) and not way.is_answered:
            await asyncio.sleep(PAUSE)
            how, _ = await ordered(self.database, command, key=self.key) or (None, 0.0)
        return "recorded"

    async def _later(self, work: Coroutine[object, object, bool], seconds: float, *, is_safe: bool) -> None:
        """Do it after a while: beside, if it is asked for again should this process die meanwhile."""

        async def later() -> None:
            await asyncio.sleep(seconds)
            await work

        if not is_safe:
            await later()
            return
        task = asyncio.create_task(later())
        self.late.add(task)
        task.add_done_callback(self.late.discard)

    async def _executed(self, record: Record, command: Command, way: Way, how: How | None) -> bool:
        """Act, and answer; whether that was done."""
        if how == "unavailable":
            return False
        handler = self.handlers[command.name]
        act = handler.act_on(command)
        answer = await self.database.run(
            lambda connection: receive(connection, command, act, needs_do=handler.needs_do)
        )
        if how == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if how != "hang":
            await self._answer(record, command, way, answer)
        return answer.outcome == "succeeded" or bool(way.topics.refused)

    async def _answer(self, record: Record, command: Command, way: Way, answer: Answer) -> None:
        topics = way.topics.succeeded if answer.outcome == "succeeded" else way.topics.refused
        if not topics:
            return
        said = msgspec.json.decode(answer.body)
        asked = cast("dict[str, object]", command.payload)
        correlating = {name: asked[name] for name in (way.step.saga_id, *way.step.keys)}
        body = msgspec.json.encode({**(said or {}), **correlating})
        headers = [
            ("content-type", b"application/json"),
            ("ce_source", f"/services/{self.name}".encode()),
            ("ce_id", command.command_id.encode()),
        ]
        await self.sender.publish(topics[0], key=record.key, value=body, headers=headers)


def _command(record: Record) -> Command:
    told = {name: value.decode() for name, value in record.headers}
    return Command(
        command_id=told["ce_id"],
        namespace=told["ce_amendsnamespace"],
        saga_id=told["ce_subject"],
        step=told["ce_amendsstep"],
        direction=cast("Direction", told["ce_amendsdirection"]),
        round=int(told["ce_amendsround"]),
        attempt=int(told["ce_amendsattempt"]),
        name=told["ce_amendscommand"],
        payload=msgspec.json.decode(record.value or b"null"),
    )
