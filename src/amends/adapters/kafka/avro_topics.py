"""Topics whose values are Avro, in the wire format of Confluent's registry.

Rules
- Commands wait for a registry that is away, and for a subject that is not there, as they wait for a broker and a topic.
- A record waits for a registry that is away (its partition with it). What is no Avro, or has a schema that nobody
  knows, is for a person: `not-avro`, `unknown-schema`, `bad-schema`. JSON is told by its first byte.
- What this service wrote itself, and a record without a value, is left as it is: it is not read.
It does not: know Avro (`amends.avro` does).
"""

import asyncio
from collections.abc import Collection
from typing import Final

from amends.adapters.kafka.contract import JSON, is_own
from amends.adapters.kafka.fields import Bad, begins_with, headers_of
from amends.avro import (
    AvroCodec,
    BadAvro,
    BadSchema,
    Misfit,
    NoSubject,
    RegistryAway,
    SchemaRegistry,
    UnknownSchema,
)
from amends.driver.trouble import Trouble, longer
from amends.ports.intake import CannotReadYet, Record, Unreadable
from amends.wire.excerpt import excerpt
from amends.wire.topics import Registry

_JSON_BEGINS: Final = frozenset(b'{["tfn-0123456789 \t\r\n')
_SUBJECT: Final = frozenset({"ce_subject"})


def avro_topics(topics: Collection[str], registry: Registry | None) -> "AvroTopics":
    """Return the seam for `topics`, whose schemas stand in `registry`.

    Raises:
        ValueError: there is none.
    """
    if registry is None:
        raise ValueError(f"{min(topics)} carries Avro, which needs a schema registry")
    account = SchemaRegistry(registry.url, username=registry.username, password=registry.password)
    return AvroTopics(AvroCodec(account), topics)


class AvroTopics:
    """Fills the seam for `topics`; all others carry JSON."""

    def __init__(self, codec: AvroCodec, topics: Collection[str]) -> None:
        self._codec = codec
        self._topics = frozenset(topics)
        self._missing: dict[str, Trouble] = {}
        self._closed = False

    @property
    def trouble(self) -> str:
        """What keeps values from being turned just now."""
        return self._codec.trouble or next((each.text for each in self._missing.values() if each.text), "")

    async def outgoing(self, topic: str, document: bytes) -> tuple[bytes, bytes]:
        """Return what stands for a document on `topic`."""
        if topic not in self._topics:
            return document, JSON
        pause = 0.0
        while not self._closed:
            try:
                made = await self._codec.encode(topic, document)
            except (Misfit, BadSchema) as error:
                raise ValueError(str(error)) from error
            except RegistryAway as away:
                if isinstance(away, NoSubject):
                    self._missing.setdefault(topic, Trouble(f"writing to {topic}")).begins(str(away))
                pause = longer(pause)
                await asyncio.sleep(pause)
            else:
                if topic in self._missing:
                    self._missing.pop(topic).ends()
                return made, self._codec.content_type
        raise ConnectionError("the way to the schema registry is closed")

    async def incoming(self, record: Record) -> Record | Unreadable:
        """Return the record with what its value stands for."""
        value = record.value
        if value is None or record.topic not in self._topics or is_own(record.headers):
            return record
        try:
            document = await self._codec.decode(value)
        except RegistryAway as away:
            raise CannotReadYet(f"the schema registry: {away}") from away
        except UnknownSchema as unknown:
            return _unreadable(record, "unknown-schema", str(unknown))
        except BadSchema as bad:
            return _unreadable(record, "bad-schema", str(bad))
        except BadAvro as bad:
            seems = "not Avro but, it seems, JSON" if value[:1] and value[0] in _JSON_BEGINS else str(bad)
            return _unreadable(record, "not-avro", f"{seems}; it begins with {begins_with(value)}")
        return Record(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            key=record.key,
            value=document,
            headers=record.headers,
        )

    async def close(self) -> None:
        """Close the way to the registry."""
        self._closed = True
        await self._codec.close()


def _unreadable(record: Record, code: str, reason: str) -> Unreadable:
    try:
        about = headers_of(record, _SUBJECT).get("ce_subject", "")
    except Bad:
        about = ""
    return Unreadable(code, excerpt(reason, limit=300), about)
