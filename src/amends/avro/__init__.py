"""Avro as Confluent's registry has it: JSON documents in, framed bytes out, and back.

    registry = SchemaRegistry("http://registry:8081")
    codec = AvroCodec(registry)
    value = await codec.encode("saga.request_stock", b'{"bookingId":"b-1","productId":"p-7"}')
    document = await codec.decode(value)

Rules
- To Amends a value is a JSON document. What a schema adds is how it stands on the wire: a magic byte 0, the schema's id
  in four bytes, Avro's binary form (`codec`). docs/kafka.md says what each type becomes.
- Schemas stand in the registry, by `TOPIC-value`; nothing is registered unless a program says so (`registry`).
  `schema_of` derives one from a type, `replies_schema` one for the replies of participants.
- Bytes from strangers are read with limits: nesting, lengths, counts (`nodes`, `reading`).
It does not: know Kafka, sagas or participants.
"""

from amends.avro.codec import MAGIC, AvroCodec
from amends.avro.derive import NotDerivable, replies_schema, schema_of
from amends.avro.errors import (
    BadAvro,
    BadSchema,
    Misfit,
    NoSubject,
    RegistryAway,
    RegistryRefused,
    UnknownSchema,
)
from amends.avro.registry import SchemaRegistry
from amends.avro.schema import Schema, parse_schema

__all__ = [
    "MAGIC",
    "AvroCodec",
    "BadAvro",
    "BadSchema",
    "Misfit",
    "NoSubject",
    "NotDerivable",
    "RegistryAway",
    "RegistryRefused",
    "Schema",
    "SchemaRegistry",
    "UnknownSchema",
    "parse_schema",
    "replies_schema",
    "schema_of",
]
