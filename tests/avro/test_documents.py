"""What each type is in a document, both ways, held against fastavro."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest

from amends.avro import Misfit, parse_schema
from tests.avro.oracle import theirs, written_by_them

MONEY: Final = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
FIXED_MONEY: Final = {
    "type": "fixed",
    "name": "M",
    "size": 5,
    "logicalType": "decimal",
    "precision": 9,
    "scale": 2,
}
ID: Final = "0b6f6c1e-7a52-4d6c-9a3c-3f8f1f0e5a11"


def logical(base: str, kind: str) -> dict[str, str]:
    return {"type": base, "logicalType": kind}


@pytest.mark.parametrize(
    ("schema", "document", "datum"),
    [
        ("null", None, None),
        ("boolean", True, True),
        ("int", -(1 << 31), -(1 << 31)),
        ("long", (1 << 63) - 1, (1 << 63) - 1),
        ("float", 0.5, 0.5),
        ("double", 1e300, 1e300),
        ("string", "Grüße", "Grüße"),
        ("bytes", "AAH/", b"\x00\x01\xff"),
        ({"type": "fixed", "name": "F", "size": 2}, "AAE=", b"\x00\x01"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
        ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
        ({"type": "array", "items": "int"}, [], []),
        ({"type": "map", "values": "int"}, {"a": 1}, {"a": 1}),
        (["null", "int"], None, None),
        (["null", "int"], 5, 5),
        (MONEY, "12.50", Decimal("12.50")),
        (MONEY, "-0.01", Decimal("-0.01")),
        (MONEY, "9999999.99", Decimal("9999999.99")),
        (FIXED_MONEY, "-12.50", Decimal("-12.50")),
        (logical("string", "uuid"), ID, UUID(ID)),
        (logical("int", "date"), "1969-12-31", date(1969, 12, 31)),
        (logical("int", "time-millis"), "23:59:59.999000", time(23, 59, 59, 999_000)),
        (logical("long", "time-micros"), "00:00:00.000001", time(0, 0, 0, 1)),
        (
            logical("long", "timestamp-millis"),
            "2026-11-27T07:30:00Z",
            datetime(2026, 11, 27, 7, 30, tzinfo=UTC),
        ),
        (
            logical("long", "timestamp-micros"),
            "1969-12-31T23:59:59.999999Z",
            datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1),
        ),
        (
            logical("long", "local-timestamp-micros"),
            "2026-11-27T07:30:00.000005",
            datetime(2026, 11, 27, 7, 30, 0, 5),  # noqa: DTZ001  a local time
        ),
        # What is not known is what it is without.
        (logical("long", "timestamp-nanos"), 5, 5),
        (logical("string", "timestamp-millis"), "x", "x"),
    ],
)
def test_each_type_is_one_thing_in_a_document(schema: Any, document: object, datum: object) -> None:
    made = parse_schema(json.dumps(schema))
    value = made.write(document)
    assert made.read(value) == document
    assert theirs(schema, value) == datum
    assert made.read(written_by_them(schema, datum)) == document


@pytest.mark.parametrize(
    ("schema", "document", "read_back"),
    [
        (MONEY, 12, "12.00"),
        (MONEY, 12.5, "12.50"),
        (MONEY, "1e2", "100.00"),
        (logical("int", "date"), 1, "1970-01-02"),
        (logical("long", "timestamp-millis"), 1500, "1970-01-01T00:00:01.500000Z"),
        (logical("long", "timestamp-millis"), "1970-01-01T02:00:00+02:00", "1970-01-01T00:00:00Z"),
        # An instant is cut to its unit, into the past.
        (logical("long", "timestamp-millis"), "1970-01-01T00:00:00.001999Z", "1970-01-01T00:00:00.001000Z"),
        (logical("long", "timestamp-millis"), "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999000Z"),
        (["double", "long"], 5, 5.0),
        (["long", "double"], 5, 5),
    ],
)
def test_what_is_written_otherwise_is_read_in_one_way(
    schema: Any, document: object, read_back: object
) -> None:
    made = parse_schema(json.dumps(schema))
    assert made.read(made.write(document)) == read_back


LINE: Final = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "sku", "type": "string"},
        {"name": "count", "type": "int", "default": 1},
        {"name": "note", "type": ["null", "string"]},
        {"name": "seal", "type": "bytes", "default": "ÿ"},
        {"name": "price", "type": MONEY, "default": "\u0004Ò"},
    ],
}


def test_a_field_that_is_missing_has_its_default_or_is_null() -> None:
    made = parse_schema(json.dumps(LINE))
    found = made.read(made.write({"sku": "a"}))
    assert found == {"sku": "a", "count": 1, "note": None, "seal": "/w==", "price": "12.34"}


@pytest.mark.parametrize(
    ("schema", "document", "told"),
    [
        (LINE, {"sku": "a", "colour": "red"}, '"colour" is not a field of Line, at the top'),
        (LINE, {"count": 2}, "Line needs a 'sku', at the top"),
        (LINE, {"sku": 7}, "7 is not a string, at /sku"),
        (LINE, [1], "is not an object"),
        (
            {"type": "array", "items": LINE},
            [{"sku": "a", "count": True}],
            "true is not a whole number, at /0/count",
        ),
        ("int", 1 << 31, "is not a number of 32 bits"),
        ("long", 1 << 63, "is not a number of 64 bits"),
        ("long", 1.0, "1.0 is not a whole number"),
        ("double", (1 << 53) + 1, "that its type can hold"),
        ("double", 10**400, "that its type can hold"),
        ("float", 1e300, "that its type can hold"),
        ("bytes", "not base64!", "is not base64"),
        ({"type": "fixed", "name": "F", "size": 2}, "AA==", "1 is not 2 bytes"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "C", '"C" is not one of A, B'),
        (MONEY, "12.505", "of at most 2 places"),
        (MONEY, "10000000", "of at most 9 digits"),
        (MONEY, "NaN", "is not a decimal"),
        (MONEY, True, "is not a decimal"),
        (MONEY, "1e999", "of at most 9 digits"),
        (logical("string", "uuid"), "x", "is not a uuid"),
        (logical("int", "date"), "2026-02-30", "is not a date"),
        (logical("int", "time-millis"), "12:00:00Z", "without a zone"),
        (logical("long", "timestamp-millis"), "2026-11-27T07:30:00", "an instant with its zone"),
        (logical("long", "timestamp-millis"), "2026-11-27", "an instant with its zone"),
        (logical("long", "local-timestamp-millis"), "2026-11-27T07:30:00Z", "is not a local time"),
        (["null", "int"], "x", '"x" is not null, at the top; "x" is not a whole number'),
    ],
)
def test_a_document_that_does_not_fit_is_told_where(schema: Any, document: object, told: str) -> None:
    with pytest.raises(Misfit, match=told.replace("(", r"\(")):
        parse_schema(json.dumps(schema)).write(document)


def test_of_several_branches_the_one_that_fills_in_least_is_taken() -> None:
    failed = {
        "type": "record",
        "name": "Failed",
        "fields": [{"name": "reason", "type": "string", "default": ""}],
    }
    nothing = {"type": "record", "name": "Nothing", "fields": []}
    made = parse_schema(json.dumps([failed, nothing, "null"]))
    assert made.read(made.write({})) == {}
    assert made.read(made.write({"reason": "x"})) == {"reason": "x"}
    assert made.read(made.write(None)) is None


def test_a_default_that_needs_itself_is_no_endless_loop() -> None:
    endless = {"type": "record", "name": "N", "fields": [{"name": "next", "type": "N", "default": {}}]}
    with pytest.raises(Misfit):
        parse_schema(json.dumps(endless)).write({})
