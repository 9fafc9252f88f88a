"""Values in the wire format: framed, cached, refreshed; the registry is asked as seldom as can be."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

import pytest

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
from amends.avro.codec import FRESH, MOST, UNKNOWN
from tests.avro.odd_registry import Odd, odd_registry

LINE: Final[Any] = {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}]}
NEWER: Final[Any] = {**LINE, "fields": [*LINE["fields"], {"name": "count", "type": "int", "default": 1}]}
SCHEMA_7: Final = "/schemas/ids/7"
LATEST: Final = "/subjects/lines-value/versions/latest"
VALUE: Final = b"\0\0\0\0\x07\x02a"


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def odd() -> AsyncGenerator[Odd]:
    async with odd_registry() as odd:
        odd.schema(7, LINE)
        odd.subject("lines-value", 7, LINE)
        yield odd


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
async def codec(odd: Odd, clock: Time) -> AsyncGenerator[AvroCodec]:
    codec = AvroCodec(SchemaRegistry(odd.url), now=clock)
    yield codec
    await codec.close()


async def test_a_document_is_framed_with_its_schema(codec: AvroCodec) -> None:
    assert await codec.encode("lines", b'{"sku":"a"}') == VALUE
    assert await codec.decode(VALUE) == b'{"sku":"a"}'


async def test_a_thousand_values_ask_once(codec: AvroCodec, odd: Odd) -> None:
    found = await asyncio.gather(*(codec.decode(VALUE) for _ in range(1000)))
    assert set(found) == {b'{"sku":"a"}'}
    await asyncio.gather(*(codec.encode("lines", b'{"sku":"a"}') for _ in range(1000)))
    assert odd.asked == {SCHEMA_7: 1, LATEST: 1}


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0\0", b"\1\0\0\0\x07\x02a", b'{"sku":"a"}'])
async def test_what_has_no_frame_is_no_avro(codec: AvroCodec, odd: Odd, value: bytes) -> None:
    with pytest.raises(BadAvro, match="no byte 0"):
        await codec.decode(value)
    assert not odd.asked


async def test_an_unknown_schema_is_asked_for_again_after_a_while(
    codec: AvroCodec, odd: Odd, clock: Time
) -> None:
    value = b"\0\0\0\0\x08\x02a"
    for _ in range(3):
        with pytest.raises(UnknownSchema, match="no schema 8"):
            await codec.decode(value)
    assert odd.asked == {"/schemas/ids/8": 1}
    odd.schema(8, LINE)
    clock.now += UNKNOWN
    assert await codec.decode(value) == b'{"sku":"a"}'


async def test_a_schema_that_is_not_read_is_asked_for_once(codec: AvroCodec, odd: Odd) -> None:
    odd.schema(9, {"type": "array", "items": "null"})
    for _ in range(3):
        with pytest.raises(BadSchema, match="take no bytes"):
            await codec.decode(b"\0\0\0\0\x09\0")
    assert odd.asked == {"/schemas/ids/9": 1}


async def test_schemas_are_kept_up_to_a_number(codec: AvroCodec, odd: Odd) -> None:
    for number in range(100, 101 + MOST):
        odd.schema(number, "string")
        await codec.decode(b"\0" + number.to_bytes(4, "big") + b"\x02a")
    await codec.decode(b"\0" + (101).to_bytes(4, "big") + b"\x02a")
    assert odd.asked["/schemas/ids/101"] == 1
    await codec.decode(b"\0" + (100).to_bytes(4, "big") + b"\x02a")
    assert odd.asked["/schemas/ids/100"] == 2


async def test_a_newer_schema_is_found_after_a_while_and_at_once_when_a_document_needs_it(
    codec: AvroCodec, odd: Odd, clock: Time
) -> None:
    await codec.encode("lines", b'{"sku":"a"}')
    with pytest.raises(Misfit, match='"count" is not a field'):
        await codec.encode("lines", b'{"sku":"a","count":2}')
    odd.subject("lines-value", 8, NEWER)
    clock.now += 1
    assert await codec.encode("lines", b'{"sku":"a","count":2}') == b"\0\0\0\0\x08\x02a\x04"
    odd.subject("lines-value", 9, NEWER)
    clock.now += FRESH / 2
    assert (await codec.encode("lines", b'{"sku":"a"}'))[4] == 8
    clock.now += FRESH / 2
    assert (await codec.encode("lines", b'{"sku":"a"}'))[4] == 9


async def test_what_is_known_does_while_the_registry_is_away(codec: AvroCodec, odd: Odd, clock: Time) -> None:
    await codec.encode("lines", b'{"sku":"a"}')
    await codec.decode(VALUE)
    odd.says(LATEST, "not now", 503)
    clock.now += 2 * FRESH
    for _ in range(5):
        assert await codec.encode("lines", b'{"sku":"a"}') == VALUE
        assert await codec.decode(VALUE) == b'{"sku":"a"}'
    assert odd.asked[LATEST] == 2, "it is not asked for every value"
    assert "503" in codec.trouble


async def test_a_failure_is_shared_by_those_who_wait(codec: AvroCodec, odd: Odd, clock: Time) -> None:
    odd.says(SCHEMA_7, "not now", 503)
    found = await asyncio.gather(*(codec.decode(VALUE) for _ in range(100)), return_exceptions=True)
    assert {type(each) for each in found} == {RegistryAway}
    assert odd.asked[SCHEMA_7] == 1
    odd.schema(7, LINE)
    clock.now += 1
    assert await codec.decode(VALUE) == b'{"sku":"a"}'


async def test_a_subject_that_is_not_there_is_no_outage(codec: AvroCodec, odd: Odd) -> None:
    odd.has("/subjects/new-value/versions/latest", {"error_code": 40401, "message": "none"}, 404)
    with pytest.raises(NoSubject, match="new-value"):
        await codec.encode("new", b"{}")
    assert codec.trouble == ""
    assert await codec.decode(VALUE) == b'{"sku":"a"}'


async def test_what_is_no_document_fits_nothing(codec: AvroCodec) -> None:
    with pytest.raises(Misfit):
        await codec.encode("lines", b'{"sku":NaN}')
