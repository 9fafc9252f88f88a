"""Avro for a participant over Kafka: commands and replies in the wire format of Confluent's registry.

    values = AvroValues(AvroCodec(SchemaRegistry("http://registry:8081")))
    participant = KafkaParticipant(..., values=values)

Rules:
- A command is read by the schema that it names, a reply written by the newest of `TOPIC-value`. The topic of replies
  has one schema for all that comes there: `amends.avro.replies_schema` makes it.
- A registry that is away is waited for, and so is a subject that is not there; the registry's own log says so, once.

Does not do: register schemas.
"""

import asyncio
from collections.abc import Awaitable, Callable

from amends.avro import AvroCodec, BadAvro, BadSchema, Misfit, RegistryAway, UnknownSchema
from amends.driver.trouble import longer
from amends.participant.kafka_message import Unexecutable, Unwritable


class AvroValues:
    """Values over one registry."""

    def __init__(self, codec: AvroCodec) -> None:
        self._codec = codec

    @property
    def content_type(self) -> bytes:
        """How a value is announced."""
        return self._codec.content_type

    async def read(self, value: bytes) -> bytes:
        """The JSON document that a value stands for; Unexecutable when it is none."""
        try:
            return await _answered(lambda: self._codec.decode(value))
        except (BadAvro, BadSchema, UnknownSchema) as error:
            raise Unexecutable(f"the command's value is not acceptable Avro: {error}") from error

    async def write(self, topic: str, document: bytes) -> bytes:
        """What stands for a JSON document on a topic; Unwritable when nothing does."""
        try:
            return await _answered(lambda: self._codec.encode(topic, document))
        except (Misfit, BadSchema) as error:
            raise Unwritable(str(error)) from error

    async def close(self) -> None:
        """Close the way to the registry."""
        await self._codec.close()


async def _answered(ask: Callable[[], Awaitable[bytes]]) -> bytes:
    """Ask until there is an answer; the registry says in the log that it is waited for."""
    pause = 0.0
    while True:
        try:
            return await ask()
        except RegistryAway:
            pause = longer(pause)
            await asyncio.sleep(pause)
