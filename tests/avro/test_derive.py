"""Schemas out of types: a document of any type that has one goes to Avro and comes back."""

import enum
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import fastavro
import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from amends.avro import NotDerivable, parse_schema, replies_schema, schema_of
from tests.avro.oracle import theirs

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
LONG = st.integers(-(1 << 63), (1 << 63) - 1)
CENTS = Annotated[
    Decimal,
    msgspec.Meta(extra={"avro": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}}),
]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Odd(enum.Enum):
    ONE = "1 of them"
    TWO = "2-of-them"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Card(msgspec.Struct, frozen=True, tag=True):
    number: str


class Wallet(msgspec.Struct, frozen=True, tag=True):
    owner: UUID


class Line(msgspec.Struct, frozen=True, rename="camel"):
    sku_code: str
    how_many: int = 1
    price: CENTS = Decimal("0.00")
    size: Size = Size.SMALL


@dataclass(frozen=True)
class Place:
    city: str
    zip_code: str | None = None
    tags: list[str] = field(default_factory=list)


class Extra(TypedDict):
    note: str


class Tree(msgspec.Struct, frozen=True):
    name: str
    below: tuple["Tree", ...] = ()


class Order(msgspec.Struct, frozen=True):
    id: UUID
    lines: tuple[Line, ...]
    paid_by: Card | Wallet | None
    at: datetime
    on: date
    daily: time
    to: Place
    also: Place
    extra: Extra
    seal: bytes
    pair: tuple[int, str]
    counts: dict[str, int]
    level: Level
    odd: Odd
    mode: Literal["fast", "slow"]
    weight: float
    amount: Decimal
    either: int | float | str | bool | None
    tree: Tree | None = None


INSTANTS = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001  as hypothesis wants it
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)
PLACES = st.builds(Place, TEXT, st.none() | TEXT, st.lists(TEXT, max_size=3))
TREES = st.recursive(
    st.builds(Tree, TEXT),
    lambda inner: st.builds(Tree, TEXT, st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)
MONEY = st.integers(-(10**12) + 1, 10**12 - 1).map(lambda cents: Decimal(cents).scaleb(-2))
LINES = st.builds(Line, sku_code=TEXT, how_many=LONG, price=MONEY, size=st.sampled_from(Size))
ORDERS = st.builds(
    Order,
    id=st.uuids(),
    lines=st.lists(LINES, max_size=3).map(tuple),
    paid_by=st.none() | st.builds(Card, TEXT) | st.builds(Wallet, st.uuids()),
    at=INSTANTS,
    on=st.dates(),
    daily=st.times(),
    to=PLACES,
    also=PLACES,
    extra=st.fixed_dictionaries({"note": TEXT}),
    seal=st.binary(max_size=20),
    pair=st.tuples(LONG, TEXT),
    counts=st.dictionaries(TEXT, LONG, max_size=3),
    level=st.sampled_from(Level),
    odd=st.sampled_from(Odd),
    mode=st.sampled_from(["fast", "slow"]),
    weight=st.floats(allow_nan=False, allow_infinity=False),
    amount=st.decimals(allow_nan=False, allow_infinity=False, places=3),
    either=st.none() | LONG | st.floats(allow_nan=False, allow_infinity=False) | TEXT | st.booleans(),
    tree=st.none() | TREES,
)


@given(ORDERS)
@settings(max_examples=200, deadline=None)
def test_a_document_goes_to_avro_and_comes_back(order: Order) -> None:
    shape = schema_of(Order, namespace="com.shop")
    schema = parse_schema(json.dumps(shape))
    document = json.loads(msgspec.json.encode(order))
    value = schema.write(document)
    found = schema.read(value)
    assert found == document
    assert msgspec.convert(found, Order) == order
    # Others read the same.
    assert theirs(shape, value)["lines"] == [
        {
            "skuCode": line.sku_code,
            "howMany": line.how_many,
            "price": line.price,
            "size": line.size.value,
        }
        for line in order.lines
    ]


# --- any type that is made of these ---

Made = tuple[Any, st.SearchStrategy[Any]]
PLAIN: list[Made] = [
    (bool, st.booleans()),
    (int, LONG),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (str, TEXT),
    (bytes, st.binary(max_size=8)),
    (UUID, st.uuids()),
    (date, st.dates()),
    (time, st.times()),
    (datetime, INSTANTS),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (CENTS, MONEY),
    (Size, st.sampled_from(Size)),
    (Odd, st.sampled_from(Odd)),
    (Level, st.sampled_from(Level)),
]
names = iter(f"Made{number}" for number in range(1 << 62))


def list_of(made: Made) -> Made:
    return GenericAlias(list, (made[0],)), st.lists(made[1], max_size=3)


def map_of(made: Made) -> Made:
    return GenericAlias(dict, (str, made[0])), st.dictionaries(TEXT, made[1], max_size=3)


def perhaps(made: Made) -> Made:
    return made[0] | None, st.none() | made[1]


def struct_of(members: list[Made]) -> Made:
    fields = [(f"f{number}", member[0]) for number, member in enumerate(members)]
    made = msgspec.defstruct(next(names), fields, frozen=True)
    return made, st.builds(made, *(member[1] for member in members))


types: st.SearchStrategy[Made] = st.recursive(
    st.sampled_from(PLAIN),
    lambda inner: st.one_of(
        inner.map(list_of),
        inner.map(map_of),
        inner.map(perhaps),
        st.lists(inner, min_size=1, max_size=4).map(struct_of),
    ),
    max_leaves=8,
)


@given(st.data(), types)
@settings(max_examples=200, deadline=None)
def test_any_type_that_has_a_schema_goes_there_and_back(data: st.DataObject, made: Made) -> None:
    kind, values = made
    schema = parse_schema(json.dumps(schema_of(kind)))
    value = data.draw(values)
    document = json.loads(msgspec.json.encode(value))
    found = schema.read(schema.write(document))
    assert found == document
    assert msgspec.convert(found, kind) == value


class Kebab(msgspec.Struct, rename="kebab"):
    two_words: int


class Sparse(msgspec.Struct, omit_defaults=True):
    here: int = 7
    names: list[str] = []
    also: tuple[int, ...] = (1,)


class Loose(TypedDict):
    note: NotRequired[str]


class Row(msgspec.Struct, array_like=True):
    a: int


def two_of_one_name() -> Any:
    other = msgspec.defstruct("Card", [("owner", str)])
    return msgspec.defstruct("Both", [("one", Card), ("two", other)])


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Any, "AnyType"),
        (Kebab, "'two-words' is no name in Avro"),
        (Sparse, "also may be left out, and has no default"),
        (Loose, "note may be left out"),
        (Row, "an array without a type"),
        (dict[int, str], "DictType"),
        (UUID | str, "more than one str-like type"),
        (list[msgspec.defstruct("Empty", [])], "take no bytes"),  # type: ignore[misc]
        (msgspec.Raw, "RawType"),
        (two_of_one_name, "two types are called Card"),
    ],
)
def test_what_avro_cannot_say_is_not_derived(kind: Any, told: str) -> None:
    given = kind() if kind is two_of_one_name else kind
    with pytest.raises(NotDerivable, match=told):
        schema_of(given)


def test_a_union_has_one_of_each_kind() -> None:
    assert schema_of(int, str, int) == ["long", "string"]
    with pytest.raises(NotDerivable, match="a union has one array at most"):
        schema_of(list[int], list[str])


def test_defaults_stand_in_the_schema() -> None:
    shape: Any = schema_of(Place)
    by_name = {each["name"]: each for each in shape["fields"]}
    assert by_name["zip_code"] == {"name": "zip_code", "type": ["null", "string"], "default": None}
    assert by_name["tags"]["default"] == []
    assert "default" not in by_name["city"]
    schema = parse_schema(json.dumps(shape))
    assert schema.read(schema.write({"city": "Ulm"})) == {"city": "Ulm", "zip_code": None, "tags": []}


def evolved(writer: Any, reader: Any, value: bytes) -> Any:
    source = io.BytesIO(value)
    return fastavro.schemaless_reader(source, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


class Older(msgspec.Struct, frozen=True):
    sku: str
    colour: str = "red"


class Newer(msgspec.Struct, frozen=True):
    sku: str
    size: str | None = None


def test_a_reader_with_another_version_makes_of_a_document_what_it_knows() -> None:
    written = parse_schema(json.dumps(schema_of(Older)))
    found = written.read(written.write({"sku": "a", "colour": "blue"}))
    assert msgspec.convert(found, Newer) == Newer("a")
    read: Callable[[Any], Any] = lambda shape: {**shape, "name": "Line"}  # noqa: E731
    resolved = evolved(
        read(schema_of(Older)), read(schema_of(Newer)), written.write({"sku": "a", "colour": "blue"})
    )
    # As Avro's own resolution has it.
    assert resolved == {"sku": "a", "size": None}


def test_a_topic_of_replies_has_refusals_failures_and_nothing_as_well() -> None:
    schema = parse_schema(json.dumps(replies_schema(Older, Newer, namespace="com.shop")))
    documents: list[Any] = [
        {"sku": "a", "colour": "red"},
        {"sku": "a", "size": "L"},
        None,
        {"code": "out-of-stock", "reason": "2 left"},
        {"reason": "busy", "fault": "transient", "retry_after": 2.5},
    ]
    for document in documents:
        assert schema.read(schema.write(document)) == document
    assert schema.read(schema.write({"code": "no"})) == {"code": "no", "reason": ""}
