"""AsyncAPI documents: valid by the official parser, with exactly the bindings' topics, and true of what is written."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

import jsonschema_rs
import msgspec
import pytest

from amends.adapters.kafka.contract import command_headers
from amends.adapters.kafka.outlet import transition_headers
from amends.core.effect import SendCommand
from amends.core.event import AnyEvent
from amends.definition import Command, Participant, Rollback, Saga, Step, each, on_rollback, sequence
from amends.definition.lint import DefinitionError
from amends.export.asyncapi import Wire, document
from amends.export.contract import CONTRACT
from amends.export.schemas import Schemas, joined, with_fields
from amends.ports import Leaving, StreamKey
from amends.wire.topics import Serialization, StartTopic, StepTopics, TopicBindings, WayTopics
from examples.booking.messages import BookedProduct, BookingCreated, ProductReserved, RequestStock
from examples.booking.saga import BOOKING
from examples.order.saga import ORDER
from examples.running.topics import bindings_of
from tests.application.engine_world import NOON
from tests.docs.documents import ROOT
from tests.export.official import complaints

EXAMPLES: dict[str, Saga[Any]] = {"booking": BOOKING, "order": ORDER}


class Parcel(msgspec.Struct, frozen=True):
    order: str
    pieces: tuple[str, ...] = ()


class Packed(msgspec.Struct, frozen=True):
    at: str


class Unpack(msgspec.Struct, frozen=True):
    order: str


class Odd:
    """Nobody can say how it is written."""


def pack(parcel: Parcel) -> Annotated[Command[Packed], Parcel]:
    return Command("pack", parcel)


def unpack(parcel: Parcel, _rollback: Rollback[Packed]) -> Annotated[Command[None], Unpack]:
    return Command("unpack", Unpack(parcel.order))


def ship(parcel: Parcel) -> Command[None]:
    return Command("ship", parcel)


def cancel(parcel: Parcel, _rollback: Rollback[None]) -> Command[None]:
    return Command("cancel", parcel)


def pieces(parcel: Parcel) -> tuple[str, ...]:
    return parcel.pieces


def weigh(piece: str) -> Annotated[Command[Decimal], tuple[str, int]]:
    return Command("weigh", (piece, 1))


PACKERS, SCALES, ORDERS = Participant("packers"), Participant("scales"), Participant("orders")
DISPATCH = Saga(
    "dispatch",
    version=1,
    data=Parcel,
    body=sequence(
        on_rollback("cancel", ORDERS, undo=cancel),
        each(pieces, Step("weigh", SCALES, do=weigh, no_undo="it only looks"), key=str),
        Step("pack", PACKERS, do=pack, undo=unpack),
        Step("ship", PACKERS, do=ship, kind="retriable"),
    ),
)
BINDINGS = TopicBindings(
    native={"packers": "packers.commands", "dispatch/scales": "scales.commands"},
    events={
        "orders": (
            StepTopics(
                step="cancel",
                saga_id="about.order",
                code="why.code",
                undo=WayTopics(
                    topic="cancel-order", succeeded=("cancelled", "gone"), refused=("not-cancelled",)
                ),
            ),
            StepTopics(step="of-another-saga", saga_id="order", do=WayTopics(topic="something")),
        )
    },
    starts=(StartTopic(topic="parcels", saga="dispatch", saga_id="order"),),
)
WIRE = Wire(bindings=BINDINGS, replies="replies", transitions="transitions", servers=("kafka:9092",))


def encoded(made: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(made)


def addresses(made: Mapping[str, Any]) -> set[str]:
    return {channel["address"] for channel in made["channels"].values()}


def fits(value: object, schema: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether a value is what a schema of the document says."""
    whole = {**schema, "components": made["components"]}
    return jsonschema_rs.Draft7Validator(whole).is_valid(msgspec.to_builtins(value))


# --- what is shipped ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_shipped_profile_is_a_valid_document_of_exactly_its_topics(name: str) -> None:
    bindings = bindings_of(ROOT / "examples" / name / "kafka.yaml")
    made = document([EXAMPLES[name]], Wire(bindings=bindings))
    assert complaints(encoded(made)) == []
    assert addresses(made) == bindings.incoming() | bindings.outgoing()
    assert made["channels"].keys() == addresses(made)
    sends = {each["channel"]["$ref"].rpartition("/")[2] for each in of(made, "send")}
    receives = {each["channel"]["$ref"].rpartition("/")[2] for each in of(made, "receive")}
    assert sends == bindings.outgoing()
    assert receives == bindings.incoming()
    unsaid = [
        name
        for name, message in made["components"]["messages"].items()
        if "Any JSON" in message["payload"].get("description", "")
    ]
    assert unsaid == [], "every payload has a schema of the example's types"


def of(made: Mapping[str, Any], action: str) -> list[Mapping[str, Any]]:
    return [each for each in made["operations"].values() if each["action"] == action]


def test_the_schemas_are_those_of_what_is_sent_and_said() -> None:
    made = document([BOOKING], Wire(bindings=bindings_of(ROOT / "examples/booking/kafka.yaml")))
    messages = made["components"]["messages"]
    stock = RequestStock(booking_id="b-1", product_id="p-1", quantity=2)
    asked = messages["product.request-stock.do"]["payload"]
    assert fits(stock, asked, made)
    assert not fits({"bookingId": "b-1"}, asked, made)
    reserved = msgspec.to_builtins(ProductReserved(reservation_id="r-1", price=Decimal("9.90")))
    said = messages["product.request-stock.do.succeeded"]["payload"]
    assert fits({**reserved, "bookingId": "b-1", "productId": "p-1"}, said, made)
    assert not fits({**reserved, "bookingId": "b-1"}, said, made), "without its correlation it means nothing"
    no = messages["product.request-stock.do.refused"]["payload"]
    assert fits({"bookingId": "b-1", "productId": "p-1", "code": "sold-out", "more": 1}, no, made)
    assert not fits({"bookingId": "b-1", "productId": "p-1", "code": 7}, no, made)
    created = BookingCreated(
        booking_id="b-1", customer="c", account="a", products=(BookedProduct(product_id="p", quantity=1),)
    )
    assert fits(created, messages["booking.start"]["payload"], made)
    assert not fits({"bookingId": "b-1"}, messages["booking.start"]["payload"], made)


# --- both styles, starts and transitions -------------------------------------------------------------------------


def test_both_styles_starts_and_transitions_make_a_valid_document() -> None:
    made = document([DISPATCH], WIRE)
    assert complaints(encoded(made)) == []
    assert addresses(made) == BINDINGS.incoming() | BINDINGS.outgoing() | {"replies", "transitions"}
    assert made["servers"] == {"broker-1": {"host": "kafka:9092", "protocol": "kafka"}}
    operations = made["operations"]
    assert operations["send.packers.commands"]["reply"] == {
        "channel": {"$ref": "#/channels/replies"},
        "messages": [
            {"$ref": f"#/channels/replies/messages/packers.{step}.{outcome}"}
            for step in ("pack.do", "pack.undo", "ship.do")
            for outcome in ("succeeded", "refused", "failed")
        ],
    }
    assert operations["send.transitions"]["messages"] == [
        {"$ref": "#/channels/transitions/messages/amends.transition"}
    ]
    assert operations["receive.gone"] == {
        "action": "receive",
        "channel": {"$ref": "#/channels/gone"},
        "messages": [{"$ref": "#/channels/gone/messages/orders.cancel.undo.succeeded"}],
    }
    assert "receive.transitions" not in operations


def test_topics_that_carry_avro_say_so_with_the_subject_of_their_schema() -> None:
    """Those that all others are not like too; transitions are JSON whatever the others are."""
    carried: dict[str, Serialization] = {"replies": "json", "gone": "json"}
    wire = dataclasses.replace(
        WIRE,
        bindings=dataclasses.replace(BINDINGS, serialization=carried),
        serialization="avro",
        registry="http://registry:8081",
    )
    made = document([DISPATCH], wire)
    assert complaints(encoded(made)) == []
    is_avro = BINDINGS.incoming() | BINDINGS.outgoing() - {"gone"}
    for topic, channel in made["channels"].items():
        kinds = {made["components"]["messages"][name]["contentType"] for name in channel["messages"]}
        if topic in is_avro - {"gone"}:
            assert kinds <= {"application/avro"}
            assert f"{topic}-value" in channel["description"]
        else:
            assert kinds == {"application/json"}
            assert "description" not in channel
    pack = made["components"]["messages"]["packers.pack.do"]
    assert pack["bindings"]["kafka"]["schemaIdPayloadEncoding"] == "confluent"
    assert pack["bindings"]["kafka"]["schemaLookupStrategy"] == "TopicNameStrategy"
    headers = made["components"]["schemas"]["amends-command-headers"]["properties"]
    assert fits("application/avro", headers["content-type"], made)
    (server,) = made["servers"].values()
    assert server["bindings"]["kafka"]["schemaRegistryUrl"] == "http://registry:8081"


def test_what_is_said_on_two_topics_says_of_each_what_it_carries() -> None:
    step = StepTopics(step="pack", saga_id="order", do=WayTopics(topic="pack", succeeded=("one", "two")))
    bindings = TopicBindings(events={"packers": (step,)}, serialization={"two": "avro"})
    made = document([DISPATCH], Wire(bindings=bindings))
    assert complaints(encoded(made)) == []
    kinds = {
        topic: [
            made["components"]["messages"][name]["contentType"]
            for name in made["channels"][topic]["messages"]
        ]
        for topic in ("one", "two")
    }
    assert kinds == {"one": ["application/json"], "two": ["application/avro"]}


def test_bindings_that_say_what_a_topic_carries_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        document([DISPATCH], Wire(bindings=TopicBindings(serialization={"elsewhere": "avro"})))


def test_payloads_are_what_the_functions_say() -> None:
    made = document([DISPATCH], WIRE)
    messages = made["components"]["messages"]
    payloads = {name: message["payload"] for name, message in messages.items()}
    assert payloads["packers.pack.do"] == {"$ref": "#/components/schemas/Parcel"}
    assert payloads["packers.pack.undo"] == {"$ref": "#/components/schemas/Unpack"}
    assert payloads["packers.pack.do.succeeded"] == {"$ref": "#/components/schemas/Packed"}
    assert payloads["packers.pack.undo.succeeded"] == {"type": "null"}
    assert payloads["packers.ship.do"] == {"description": "Any JSON document."}
    assert fits(["p", 3], payloads["dispatch.scales.weigh.do"], made)
    assert not fits(["p", 3, 4], payloads["dispatch.scales.weigh.do"], made)
    assert not fits([3, "p"], payloads["dispatch.scales.weigh.do"], made)
    no = payloads["orders.cancel.undo.refused"]
    assert fits({"about": {"order": 7}, "why": {"code": "too-late"}}, no, made)
    assert not fits({"about": {}}, no, made)
    assert not fits({"about": {"order": "o"}, "why": {"code": 7}}, no, made)


def test_two_sagas_with_one_step_say_either() -> None:
    def pack_otherwise(parcel: Parcel) -> Annotated[Command[None], Unpack]:
        return Command("pack", Unpack(parcel.order))

    other = Saga(
        "other", version=1, data=Parcel, body=Step("pack", PACKERS, do=pack_otherwise, kind="retriable")
    )
    made = document([DISPATCH, other], WIRE)
    assert complaints(encoded(made)) == []
    assert made["components"]["messages"]["packers.pack.do"]["payload"] == {
        "anyOf": [{"$ref": "#/components/schemas/Parcel"}, {"$ref": "#/components/schemas/Unpack"}]
    }


def test_the_same_input_gives_the_same_document() -> None:
    assert encoded(document([DISPATCH], WIRE)) == encoded(document([DISPATCH], WIRE))


def test_no_topics_make_an_empty_document_that_is_valid() -> None:
    made = document([DISPATCH], Wire(bindings=TopicBindings()))
    assert complaints(encoded(made)) == []
    assert made["channels"] == {}


def test_a_definition_that_breaks_a_rule_is_refused() -> None:
    broken = Saga("broken", version=0, data=Parcel, body=Step("pack", PACKERS, do=pack, undo=unpack))
    with pytest.raises(DefinitionError):
        document([broken], WIRE)


@pytest.mark.parametrize("part", ["channels", "components"])
def test_the_parser_finds_what_is_wrong(part: str) -> None:
    made = document([DISPATCH], WIRE)
    name = {"channels": "replies", "components": "messages"}[part]
    del made[part][name]
    assert complaints(encoded(made)), "something refers to it"


# --- the headers are those that are written ----------------------------------------------------------------------

COMMAND = SendCommand(
    namespace="default",
    saga_id="o-1",
    saga="dispatch",
    step="pack",
    direction="do",
    round=1,
    attempt=2,
    command_id="o-1/pack/do/1",
    participant="packers",
    name="pack",
    payload=b"{}",
    due=NOON + timedelta(minutes=1),
)
LEAVING = Leaving(
    key=StreamKey("default", "o-1"), position=2, sequence=7, time=NOON, body=b"{}", without_events=b"{}"
)


def texts(headers: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


def test_the_headers_of_commands_are_those_that_are_written() -> None:
    schema = CONTRACT["amends-command-headers"]
    written = texts(command_headers(COMMAND, reply_to=None, now=NOON.timestamp()))
    assert [*sorted(written)] == sorted(schema["required"])
    check = jsonschema_rs.Draft7Validator(schema)
    assert check.is_valid(written)
    replied = texts(command_headers(COMMAND, reply_to="replies", now=NOON.timestamp()))
    assert replied.keys() - written.keys() == {"ce_amendsreplyto"}
    assert check.is_valid(replied)
    assert replied.keys() <= schema["properties"].keys()
    assert not check.is_valid({**written, "ce_amendsround": "0"})


def test_the_headers_of_transitions_are_those_that_are_written() -> None:
    schema = CONTRACT["amends-transition-headers"]
    written = texts(transition_headers(LEAVING))
    assert sorted(written) == sorted(schema["required"])
    assert jsonschema_rs.Draft7Validator(schema).is_valid(written)
    types: list[str] = CONTRACT["amends-transition"]["properties"]["events"]["items"]["properties"]["type"][
        "examples"
    ]
    assert set(types) == {each.__name__ for each in AnyEvent.__args__}


def test_the_headers_of_replies_are_those_of_the_contract() -> None:
    page = (ROOT / "docs/kafka.md").read_text().partition("### Reply")[2].partition("###")[0]
    for outcome in ("succeeded", "refused", "failed"):
        schema = CONTRACT[f"amends-reply-{outcome}-headers"]
        for name in schema["required"]:
            assert f"`{name}`" in page
        assert schema["properties"]["ce_amendsoutcome"]["const"] == outcome


# --- schemas -----------------------------------------------------------------------------------------------------


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    discriminator: str


@dataclasses.dataclass
class Pair:
    both: tuple[Cat | Dog, int]
    named: dict[str, Cat]


def test_types_are_written_in_the_draft_of_the_document() -> None:
    schemas = Schemas([Pair, Pair, Odd, None])
    assert schemas.of(Odd) == schemas.of(None) == schemas.of(int) == {}
    whole = {"components": {"schemas": dict(schemas.components)}, **schemas.of(Pair)}
    check = jsonschema_rs.Draft7Validator(whole)
    dog = {"type": "Dog", "discriminator": "nose"}
    assert check.is_valid({"both": [dog, 1], "named": {"tom": {"type": "Cat", "lives": 9}}})
    assert not check.is_valid({"both": [dog, 1, 1], "named": {}})
    assert not check.is_valid({"both": [1, dog], "named": {}})
    assert not check.is_valid({"both": [{"type": "Dog"}, 1], "named": {}})
    assert "prefixItems" not in str(schemas.components)
    assert schemas.any_of([Pair, Odd]) == {}, "where one may be anything, so may all"
    assert schemas.any_of([]) == {}


def test_what_has_no_schema_adds_nothing() -> None:
    text = {"type": "string"}
    assert joined({}, text) == text
    assert joined({}, {}) == {}
    assert with_fields({"a.b": text, "a.c": text}, required=("a.b",)) == {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "object", "properties": {"b": text, "c": text}, "required": ["b"]},
        },
    }
