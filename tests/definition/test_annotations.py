"""The types that are read from annotations: wherever a user's functions come from, as text or not, and when they cannot
be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Annotated, Any, TypedDict

import msgspec
import pydantic
import pytest

from amends.core.plan import StepPlace, compile_saga
from amends.definition import Command, Saga, Step, lint
from amends.definition.annotations import field_type, item_type, payload_type, reply_type
from tests.definition.pieces import SHOP, Line, Order, lines, loose, undo


class Paid(msgspec.Struct, frozen=True):
    payment_id: str


@dataclass(frozen=True)
class PaidDataclass:
    payment_id: str


class PaidModel(pydantic.BaseModel):
    payment_id: str


class PaidDict(TypedDict):
    payment_id: str


PaidCommand = Command[Paid]


def charge(order: Order) -> Command[Paid]:
    return Command("charge", order)


def charge_in(order: Order, currency: str) -> Command[Paid]:
    return Command("charge", [order, currency])


def charge_dataclass(order: Order) -> Command[PaidDataclass]:
    return Command("charge", order)


def charge_model(order: Order) -> Command[PaidModel]:
    return Command("charge", order)


def charge_dict(order: Order) -> Command[PaidDict]:
    return Command("charge", order)


def charge_list(order: Order) -> Command[list[Paid]]:
    return Command("charge", order)


def charge_maybe(order: Order) -> Command[Paid | None]:
    return Command("charge", order)


def charge_and_forget(order: Order) -> Command[None]:
    return Command("charge", order)


def charge_by_alias(order: Order) -> PaidCommand:
    return Command("charge", order)


def charge_annotated(order: Order) -> Annotated[Command[Paid], "a note"]:
    return Command("charge", order)


def charge_quoted(order: Order) -> "Command[Paid]":  # noqa: UP037  quoted twice over: annotations are text already
    return Command("charge", order)


def traced(function: Callable[[Order], Command[Paid]]) -> Callable[[Order], Command[Paid]]:
    @wraps(function)
    def around(order: Order) -> Command[Paid]:
        return function(order)

    return around


class Shop:
    """Where methods of all kinds come from."""

    def charge(self, order: Order) -> Command[Paid]:
        return charge(order)

    @classmethod
    def charge_class(cls, order: Order) -> Command[Paid]:
        return charge(order)

    @staticmethod
    def charge_static(order: Order) -> Command[Paid]:
        return charge(order)

    def __call__(self, order: Order) -> Command[Paid]:
        return charge(order)


READABLE: list[tuple[Callable[..., Any], Any]] = [
    (charge, Paid),
    (charge_dataclass, PaidDataclass),
    (charge_model, PaidModel),
    (charge_dict, PaidDict),
    (charge_list, list[Paid]),
    (charge_maybe, Paid | None),
    (charge_and_forget, type(None)),
    (charge_by_alias, Paid),
    (charge_annotated, Paid),
    (charge_quoted, Paid),
    (traced(charge), Paid),
    (partial(charge_in, currency="EUR"), Paid),
    (partial(partial(charge_in), currency="EUR"), Paid),
    (Shop().charge, Paid),
    (Shop.charge_class, Paid),
    (Shop.charge_static, Paid),
    (Shop(), Paid),
    (partial(Shop().charge), Paid),
]


@pytest.mark.parametrize(("do", "reply"), READABLE)
def test_the_reply_is_read_from_the_annotation(do: Callable[..., Any], reply: Any) -> None:
    assert reply_type(do) == reply
    definition = Saga("s", version=1, data=Order, body=loose(Step, "a", SHOP, do=do, undo=undo))
    assert lint(definition) == []
    (place,) = compile_saga(definition).places.values()
    assert isinstance(place, StepPlace)


@pytest.mark.parametrize(
    ("do", "document", "value"),
    [
        (charge, b'{"payment_id":"P-1"}', Paid("P-1")),
        (charge_dataclass, b'{"payment_id":"P-1"}', PaidDataclass("P-1")),
        (charge_model, b'{"payment_id":"P-1"}', PaidModel(payment_id="P-1")),
        (charge_dict, b'{"payment_id":"P-1"}', {"payment_id": "P-1"}),
        (charge_list, b'[{"payment_id":"P-1"}]', [Paid("P-1")]),
        (charge_maybe, b"null", None),
        (charge_and_forget, b'{"whatever":1}', None),
    ],
)
def test_a_reply_becomes_what_the_annotation_says(do: Any, document: bytes, value: Any) -> None:
    body = loose(Step, "a", SHOP, do=do, undo=undo)
    place = compile_saga(Saga("s", version=1, data=Order, body=body)).places["a"]
    assert isinstance(place, StepPlace)
    assert place.reply(document) == value


def test_a_lambda_needs_the_type_beside_it() -> None:
    body: Step[Order, Paid] = Step(
        "a", SHOP, do=lambda order: Command("a", order), no_undo="a test", reply=Paid
    )
    definition = Saga("s", version=1, data=Order, body=body)
    assert [finding.code for finding in lint(definition)] == ["AM024"]
    assert isinstance(compile_saga(definition).places["a"], StepPlace)


def test_the_type_beside_it_wins() -> None:
    body = loose(Step, "a", SHOP, do=charge, undo=undo, reply=PaidDict)
    place = compile_saga(Saga("s", version=1, data=Order, body=body)).places["a"]
    assert isinstance(place, StepPlace)
    assert place.reply(b'{"payment_id":"P-1"}') == {"payment_id": "P-1"}


def local() -> Callable[..., Any]:
    class Local(msgspec.Struct):
        payment_id: str

    def charge_local(order: Order) -> Command[Local]:
        return Command("charge", order)

    return charge_local


def unannotated(order):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return charge(order)


def bare(order: Order) -> Command:  # type: ignore[type-arg]
    return charge(order)


def no_command(order: Order) -> Order:
    return order


def no_python(order: Order) -> Any:
    return order


no_python.__annotations__["return"] = "Command[ 1 +"


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (local(), "the annotation of do is 'Command[Local]'"),
        (unannotated, "do has no annotation"),
        (bare, "the annotation of do is 'Command'"),
        (no_command, "the annotation of do is 'Order'"),
        (no_python, "the annotation of do is 'Command[ 1 +'"),
        (lambda order: order, "do has no annotation"),
        (partial(lambda order: order), "do has no annotation"),
        (len, "do has no annotation"),
    ],
)
def test_what_cannot_be_read_is_found_and_said(do: Any, said: str) -> None:
    definition = Saga("s", version=1, data=Order, body=loose(Step, "a", SHOP, do=do, undo=undo))
    (finding,) = lint(definition)
    assert (finding.code, finding.place) == ("AM013", "s/a")
    assert said in finding.what


def as_list(order: Order) -> list[Line]:
    return list(order.lines)


def as_tuple(order: Order) -> tuple[Line, ...]:
    return order.lines


def as_pair(order: Order) -> tuple[Line, Order]:
    return order.lines[0], order


def as_iterable(order: Order) -> Iterable[Line]:
    return iter(order.lines)


def as_sequence(order: Order) -> Sequence[Line]:
    return order.lines


@pytest.mark.parametrize(
    ("items", "item"),
    [
        (lines, Line),
        (as_sequence, Line),
        (as_list, Line),
        (as_tuple, Line),
        (as_pair, None),
        (as_iterable, None),
        (lambda order: order.lines, None),
    ],
)
def test_the_item_is_read_from_the_annotation(items: Any, item: Any) -> None:
    assert reply_type(items) is None
    assert item_type(items) is item


# --- what only documents read ------------------------------------------------------------------------------------


def charge_said(order: Order) -> Annotated[Command[Paid], Order]:
    return Command("charge", order)


def charge_noted(order: Order) -> Annotated[Command[Paid], "a note", list[Order], Paid]:
    return Command("charge", order)


def charge_hidden(order: Order) -> Annotated[Command[Paid], Unseen]:  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
    return Command("charge", order)


def test_a_payload_is_said_beside_the_reply_and_changes_nothing_else() -> None:
    assert payload_type(charge_said) is Order
    assert reply_type(charge_said) is Paid
    assert payload_type(charge_noted) == list[Order]
    assert payload_type(charge) is None
    assert payload_type(charge_hidden) is None
    assert payload_type(partial(charge_said)) is Order


class Renamed(msgspec.Struct, rename="camel"):
    of_order: Order


def test_a_field_is_found_by_its_name_in_json() -> None:
    assert field_type(Renamed, "ofOrder") is Order
    assert field_type(Renamed, "of_order") is None
    assert field_type(PaidDataclass, "payment_id") is str
    assert field_type(PaidDict, "payment_id") is str
    assert field_type(PaidDataclass, "missing") is None
    assert field_type(list[Order], "ofOrder") is None
