"""JSON documents in Confluent's wire format, and back: a byte 0, four bytes of schema id, Avro's binary form.

Rules
- A value is read by the schema whose id it carries, and what the reader's own type makes of the document is evolution:
  unknown fields are passed over, missing ones have their defaults.
- A value is written by the newest schema of `TOPIC-value`. That is looked up again after `FRESH` seconds, and at once
  when a document does not fit. While the registry is away the one that is known does.
- Schemas by id are kept, `MOST` of them, for they never change. That an id is unknown is believed for `UNKNOWN`
  seconds.
- One question at a time: a thousand records of one schema ask once, and share a failure for `AGAIN` seconds.
It does not: wait for the registry (whoever calls does), or retry.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from amends.avro.errors import BadAvro, BadSchema, Misfit, NoSubject, RegistryAway, UnknownSchema
from amends.avro.registry import Registered, SchemaRegistry
from amends.avro.schema import Schema, parse_schema
from amends.wire.strict_json import BadJson, read_value

K = TypeVar("K")
V = TypeVar("V")

MAGIC: Final = b"\0"
HEAD: Final = 5
MOST: Final = 1_000
"""Schemas, and subjects, that are kept."""
FRESH: Final = 30.0
UNKNOWN: Final = 2.0
AGAIN: Final = 0.5
LATER: Final = 5.0
"""Seconds for which a subject that could not be looked up again is not asked for."""
CONTENT_TYPE: Final = b"application/avro"


class _Newest(NamedTuple):
    """What is written by, and since when that is known."""

    id: int
    schema: Schema
    at: float


class AvroCodec:
    """Values of any topics, over one registry. `now` is in seconds."""

    content_type = CONTENT_TYPE

    def __init__(self, registry: SchemaRegistry, *, now: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._now = now
        self._schemas: OrderedDict[int, Schema | BadSchema] = OrderedDict()
        self._unknown: OrderedDict[int, float] = OrderedDict()
        self._newest: OrderedDict[str, _Newest] = OrderedDict()
        self._failed: tuple[float, str] | None = None
        self._asking = asyncio.Lock()

    @property
    def trouble(self) -> str:
        """What keeps the registry from answering just now; empty when it does, or when nobody asks."""
        return self._registry.trouble

    async def decode(self, value: bytes) -> bytes:
        """Return the JSON document that a value stands for.

        Raises:
            BadAvro, BadSchema, UnknownSchema: it cannot be read. RegistryAway: not now.
        """
        if value[:1] != MAGIC or len(value) < HEAD:
            raise BadAvro("no byte 0 with the id of a schema stands before the value")
        schema = await self._by_id(int.from_bytes(value[1:HEAD], "big"))
        return msgspec.json.encode(schema.read(value, HEAD))

    async def encode(self, topic: str, document: bytes) -> bytes:
        """Return the value on `topic` that stands for a JSON document.

        Raises:
            Misfit, BadSchema: it cannot be written. RegistryAway, NoSubject: not now.
        """
        try:
            given = read_value(document)
        except BadJson as error:
            raise Misfit(str(error)) from error
        subject = f"{topic}-value"
        asked = self._now()
        newest = await self._by_subject(subject)
        try:
            return _framed(newest, given)
        except Misfit:
            # Perhaps somebody has registered a newer one since; if nobody can tell, that is to be waited for.
            again = await self._looked_up(subject, newer_than=asked)
            if again.id == newest.id:
                raise
        return _framed(again, given)

    async def close(self) -> None:
        """Close the way to the registry. Closing twice is harmless."""
        await self._registry.close()

    # --- by id ---

    async def _by_id(self, schema_id: int) -> Schema:
        found = self._schemas.get(schema_id)
        if found is None:
            found = await self._fetched(schema_id)
        self._schemas.move_to_end(schema_id)
        if isinstance(found, BadSchema):
            raise found
        return found

    async def _fetched(self, schema_id: int) -> Schema | BadSchema:
        async with self._asking:
            found = self._schemas.get(schema_id)
            if found is not None:
                return found
            if self._now() - self._unknown.get(schema_id, -UNKNOWN) < UNKNOWN:
                raise UnknownSchema(f"the registry has no schema {schema_id}")
            try:
                made: Schema | BadSchema = _schema(await self._asked(self._registry.by_id(schema_id)))
            except UnknownSchema:
                _keep(self._unknown, schema_id, self._now())
                raise
            except BadSchema as bad:
                made = bad
            return _keep(self._schemas, schema_id, made)

    # --- by subject ---

    async def _by_subject(self, subject: str) -> _Newest:
        known = self._newest.get(subject)
        if known is not None and self._now() - known.at < FRESH:
            return known
        try:
            return await self._looked_up(subject, newer_than=self._now() - FRESH)
        except NoSubject:
            raise
        except RegistryAway:
            if known is None:
                raise
            # It does for now, and for a while nobody asks again.
            return _keep(self._newest, subject, known._replace(at=self._now() - FRESH + LATER))

    async def _looked_up(self, subject: str, *, newer_than: float) -> _Newest:
        async with self._asking:
            known = self._newest.get(subject)
            if known is not None and known.at > newer_than:
                return known
            found = await self._asked(self._registry.latest(subject))
            schema = known.schema if known is not None and known.id == found.id else _schema(found)
            return _keep(self._newest, subject, _Newest(found.id, schema, self._now()))

    async def _asked(self, question: Coroutine[Any, Any, Registered]) -> Registered:
        """Return the registry's answer; while others have just been told that there is none, so is this."""
        if self._failed is not None and self._now() - self._failed[0] < AGAIN:
            question.close()
            raise RegistryAway(self._failed[1])
        try:
            found = await question
        except NoSubject:
            raise
        except RegistryAway as error:
            self._failed = (self._now(), str(error))
            raise
        self._failed = None
        return found


def _schema(found: Registered) -> Schema:
    return parse_schema(found.text, found.references)


def _framed(newest: _Newest, document: object) -> bytes:
    return MAGIC + newest.id.to_bytes(4, "big") + newest.schema.write(document)


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> V:
    """Keep a value, and let go of the one that was wanted longest ago when there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > MOST:
        kept.popitem(last=False)
    return value
