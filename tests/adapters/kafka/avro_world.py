"""A world whose topics carry Avro, and the participants' side of it: framed values out, documents in.

Rules: each world has subjects of its own in the registry that it is given; what is registered a test says.
It does not: write what is no Avro (`World.write` does).
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from amends.adapters.kafka import Formats, KafkaIntake
from amends.adapters.kafka.avro_topics import avro_topics
from amends.avro import AvroCodec, SchemaRegistry, replies_schema, schema_of
from amends.ports.intake import Outcome, Record
from amends.wire.topics import Registry, TopicBindings
from tests.adapters.kafka.shared_broker import new_name
from tests.adapters.kafka.world import SESSION, Goods, Item, World, reply_headers, world

AVRO = ("content-type", b"application/avro")


class HeldEvent(msgspec.Struct, frozen=True):
    order: str
    sku: str
    place: str


class RefusedEvent(msgspec.Struct, frozen=True):
    order: str
    sku: str
    code: str = "no"


def schemas(name: str) -> Mapping[str, Any]:
    """What stands in the registry, by topic."""
    return {
        f"{name}.created": schema_of(Goods),
        f"{name}.hold": schema_of(Item),
        f"{name}.let-go": schema_of(Item),
        f"{name}.held": schema_of(HeldEvent),
        f"{name}.refused": schema_of(RefusedEvent),
        f"{name}.gone": schema_of(Item),
        f"{name}.packers": schema_of(Goods),
        f"{name}.replies": replies_schema(),
    }


class AvroSide:
    """What the participants write and read."""

    def __init__(self, at: World, registry: SchemaRegistry) -> None:
        self.at, self.registry, self.codec = at, registry, AvroCodec(registry)
        self.commands: list[tuple[Record, Any]] = []
        self._came = asyncio.Condition()
        self._intake = KafkaIntake(
            at.address,
            [f"{at.name}.hold", f"{at.name}.let-go", f"{at.name}.packers"],
            group=f"{at.name}-services",
            session=SESSION,
        )

    async def register(self, topics: Collection[str] = ()) -> None:
        """Register the schemas of these topics, or of all."""
        for topic, schema in schemas(self.at.name).items():
            if not topics or topic in topics:
                await self.registry.register(f"{topic}-value", schema)

    async def event(self, topic: str, document: Mapping[str, Any]) -> None:
        """Write an event."""
        value = await self.codec.encode(topic, msgspec.json.encode(document))
        await self.at.write(topic, value, key=str(document["order"]).encode(), headers=[AVRO])

    async def reply(
        self, saga_id: str, step: str, outcome: str = "succeeded", document: object = None
    ) -> None:
        """Write a native reply."""
        value = await self.codec.encode(self.at.replies, msgspec.json.encode(document))
        headers = [*{**reply_headers(saga_id, step, outcome), "content-type": AVRO[1]}.items()]
        await self.at.write(self.at.replies, value, key=saga_id.encode(), headers=headers)

    async def _take(self, record: Record) -> Outcome:
        document = msgspec.json.decode(await self.codec.decode(record.value or b""))
        async with self._came:
            self.commands.append((record, document))
            self._came.notify_all()
        return "recorded"

    async def until(self, number: int) -> None:
        """Wait until so many commands came."""
        async with asyncio.timeout(150), self._came:
            await self._came.wait_for(lambda: len(self.commands) >= number)

    async def start(self) -> None:
        await self._intake.start(self._take)

    async def stop(self) -> None:
        await self._intake.stop()
        await self.codec.close()


@asynccontextmanager
async def avro_world(url: str, *, others: Collection[str] = ()) -> AsyncGenerator[AvroSide]:
    """A running world in which all topics carry Avro but `others`, which are named without the world's name."""
    name = new_name()

    def formats(bindings: TopicBindings, replies: str) -> Formats:
        topics = bindings.incoming() | bindings.outgoing() | {replies}
        return avro_topics(topics - {f"{name}.{each}" for each in others}, Registry(url))

    async with world(name=name, formats=formats) as at:
        side = AvroSide(at, SchemaRegistry(url))
        try:
            yield side
        finally:
            await side.stop()
