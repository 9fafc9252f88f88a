"""The other end of a participant over Kafka: writes commands to the shared broker and waits for their replies.

Rules: topics and groups are a test's own. Replies are told apart by command id and attempt.
It does not: know the orchestrator.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiokafka  # type: ignore[import-untyped]
import aiokafka.admin  # type: ignore[import-untyped]
import msgspec

from amends.participant import Answer, Command, CommandIdReused
from tests.adapters.kafka.shared_broker import broker, new_name

PARTITIONS = 3
WITHIN = 60.0
Headers = Sequence[tuple[str, bytes]]


class Told(Exception):
    """The reply said `failed`."""


class Line:
    """Commands out, replies in."""

    def __init__(self, name: str, producer: Any) -> None:
        self.name, self.commands, self.replies = name, f"{name}.commands", f"{name}.replies"
        self._producer = producer
        self._attempts = 0
        self._waiting: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self.came: list[Any] = []

    def headers(self, command: Command) -> list[tuple[str, bytes]]:
        told = {
            "ce_specversion": "1.0",
            "ce_type": "amends.command",
            "ce_source": f"/amends/{command.namespace}",
            "ce_id": command.command_id,
            "ce_subject": command.saga_id,
            "ce_amendscommand": command.name,
            "ce_amendsnamespace": command.namespace,
            "ce_amendssaga": "a-saga",
            "ce_amendsstep": command.step,
            "ce_amendsdirection": command.direction,
            "ce_amendsround": str(command.round),
            "ce_amendsattempt": str(command.attempt),
            "ce_amendsreplyto": self.replies,
            "content-type": "application/json",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
        return [(name, value.encode()) for name, value in told.items()]

    async def write(self, *, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        await self._producer.send_and_wait(self.commands, value, key=key, headers=list(headers))

    async def ask(self, command: Command) -> Any:
        """The record of the reply."""
        self._attempts += 1
        sent = replace(command, attempt=self._attempts)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[sent.command_id, sent.attempt] = waiting
        body = msgspec.json.encode(command.payload)
        await self.write(key=command.saga_id.encode(), value=body, headers=self.headers(sent))
        return await asyncio.wait_for(waiting, WITHIN)

    async def deliver(self, command: Command) -> Answer:
        """What the barrier's suite wants."""
        record = await self.ask(command)
        match outcome := dict(record.headers)["ce_amendsoutcome"].decode():
            case "succeeded" | "refused":
                return Answer(outcome=outcome, body=record.value)
            case _:
                if b"used before with other content" in record.value:
                    raise CommandIdReused(record.value.decode())
                raise Told(record.value.decode())

    @asynccontextmanager
    async def reading(self, topic: str) -> AsyncGenerator[None]:
        """Have what comes on a topic of replies taken."""
        reader: Any = aiokafka.AIOKafkaConsumer(
            topic, bootstrap_servers=broker().address, auto_offset_reset="earliest", group_id=None
        )
        await reader.start()

        async def read() -> None:
            async for record in reader:
                self.take(record)

        task = asyncio.create_task(read())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await reader.stop()

    def take(self, record: Any) -> None:
        self.came.append(record)
        told = dict(record.headers)
        name = told["ce_amendscommandid"].decode(), int(told["ce_amendsattempt"])
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(record)


async def make_topics(*names: str) -> None:
    client: Any = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=broker().address)
    await client.start()
    try:
        await client.create_topics([aiokafka.admin.NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await client.close()


async def behind(group: str, topic: str) -> int:
    """How many records of the topic the group has not committed."""
    client: Any = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=broker().address)
    reader: Any = aiokafka.AIOKafkaConsumer(bootstrap_servers=broker().address)
    await client.start()
    await reader.start()
    try:
        places = [aiokafka.TopicPartition(topic, number) for number in range(PARTITIONS)]
        committed = await client.list_consumer_group_offsets(group)
        ends = await reader.end_offsets(places)
        return sum(
            ends[place] - max(committed[place].offset if place in committed else 0, 0) for place in places
        )
    finally:
        await reader.stop()
        await client.close()


@asynccontextmanager
async def line() -> AsyncGenerator[Line]:
    """Topics that are there, and both directions open."""
    name = new_name()
    await make_topics(f"{name}.commands", f"{name}.replies")
    producer: Any = aiokafka.AIOKafkaProducer(bootstrap_servers=broker().address)
    await producer.start()
    made = Line(name, producer)
    try:
        async with made.reading(made.replies):
            yield made
    finally:
        await producer.stop()
