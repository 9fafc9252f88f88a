"""Bytes that nobody vouches for: what is read has a JSON document, and nothing else is read."""

import json
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from amends.avro import BadAvro, BadSchema, parse_schema

NODE: Final = {"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}
EVERYTHING: Final = {
    "type": "record",
    "name": "All",
    "fields": [
        {"name": "a", "type": ["null", "long", "string"]},
        {"name": "b", "type": {"type": "array", "items": {"type": "map", "values": "bytes"}}},
        {"name": "c", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y"]}},
        {"name": "d", "type": {"type": "fixed", "name": "F", "size": 3}},
        {"name": "e", "type": ["null", "All"]},
        {"name": "f", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "g", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "h", "type": "double"},
    ],
}


def read(schema: Any, value: bytes) -> object:
    return parse_schema(json.dumps(schema)).read(value)


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ("string", b"\xfe\xff\x07abc", "65535 bytes are announced where 3 are left"),
        ("string", b"\x09abc", "-5 bytes are announced"),
        ("string", b"\x04\xff\xfe", "not UTF-8"),
        ("string", b"\x02\x00", "NUL"),
        ("bytes", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "are announced where 0 are left"),
        ("int", b"\xff" * 11 + b"\x01", "longer than 64 bits"),
        ("long", b"\xff" * 9 + b"\x7f", "longer than 64 bits"),
        ("int", b"\x80\x80\x80\x80\x80\x01", "longer than 32 bits"),
        ("int", b"", "has no end"),
        ("int", b"\x02\x02", "1 bytes stand behind the value"),
        (["null", "int"], b"\x08\x01", "4 is not one of 2 choices"),
        (["null", "int"], b"\x01\x01", "-1 is not one of 2 choices"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x01", "-1 is not one of 2 choices"),
        ("boolean", b"\x07", "7 is no boolean"),
        ("float", b"\x00\x00\xc0\x7f", "not finite"),
        ("double", b"\x00\x00\x00\x00\x00\x00\xf0\x7f", "not finite"),
        (
            {"type": "array", "items": "long"},
            b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
            "items are announced",
        ),
        ({"type": "map", "values": "null"}, b"\x04\x02a\x02a\x00", "stands twice"),
        ({"type": "long", "logicalType": "timestamp-millis"}, b"\xfe" + b"\xff" * 8 + b"\x01", "1 to 9999"),
        ({"type": "int", "logicalType": "date"}, b"\xfe\xff\xff\xff\x0f", "1 to 9999"),
        ({"type": "int", "logicalType": "time-millis"}, b"\xfe\xff\xff\xff\x0f", "beyond the day"),
        ({"type": "string", "logicalType": "uuid"}, b"\x04ab", "a uuid is none"),
        (NODE, b"\x02" * 65 + b"\x00", "nested deeper than 64 levels"),
        # Ends the process, where the depth is not watched.
        (NODE, b"\x02" * 1_000_000 + b"\x00", "nested deeper than 64 levels"),
    ],
)
def test_what_is_no_value_is_said_to_be_none(schema: Any, value: bytes, told: str) -> None:
    with pytest.raises(BadAvro, match=told):
        read(schema, value)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        # A few bytes would announce any number of these.
        ({"type": "array", "items": "null"}, "take no bytes"),
        ({"type": "array", "items": {"type": "record", "name": "R", "fields": []}}, "take no bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "take no bytes"),
        (
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}],
            },
            "two fields 'a'",
        ),
        ({"type": "nothing"}, "no Avro schema"),
        (7, "no Avro schema"),
    ],
)
def test_a_schema_that_is_not_read_is_refused(schema: Any, told: str) -> None:
    with pytest.raises(BadSchema, match=told):
        parse_schema(json.dumps(schema))


def test_no_json_is_no_schema() -> None:
    with pytest.raises(BadSchema, match="no Avro schema"):
        parse_schema("{")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_refused(value: bytes) -> None:
    try:
        found = read(EVERYTHING, value)
    except BadAvro:
        return
    # What was read is JSON, and is written as it was read.
    schema = parse_schema(json.dumps(EVERYTHING))
    assert schema.read(schema.write(json.loads(json.dumps(found, allow_nan=False)))) == found


def test_a_list_of_its_own_kind_is_read() -> None:
    tree = {
        "type": "record",
        "name": "T",
        "fields": [{"name": "n", "type": "null"}, {"name": "of", "type": {"type": "array", "items": "T"}}],
    }
    document: dict[str, object] = {"n": None, "of": [{"n": None, "of": []}, {"n": None, "of": []}]}
    schema = parse_schema(json.dumps(tree))
    assert schema.read(schema.write(document)) == document


def test_names_may_stand_in_other_schemas() -> None:
    money = {
        "type": "record",
        "name": "Money",
        "namespace": "shop",
        "fields": [{"name": "cents", "type": "long"}],
    }
    price = {
        "type": "record",
        "name": "Price",
        "namespace": "shop",
        "fields": [{"name": "of", "type": "shop.Money"}],
    }
    schema = parse_schema(json.dumps(price), [json.dumps(money)])
    assert schema.read(schema.write({"of": {"cents": 7}})) == {"of": {"cents": 7}}
    with pytest.raises(BadSchema):
        parse_schema(json.dumps(price))
