"""The order fulfilment saga: the two paths of its blueprint word for word, then every other path."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from amends import Command, RetryPolicy, Saga, sequence
from amends.core.plan import StepPlace, compile_saga
from amends.definition import lint
from amends.simulation.counterexample import page
from amends.simulation.explore import Settings, explore
from amends.testing import given
from examples.fulfilment.demo import EXAMPLE
from examples.fulfilment.messages import (
    CancelShipment,
    Item,
    Order,
    ProcessPayment,
    RefundPayment,
    ReleaseInventory,
    ReserveInventory,
    ShipOrder,
    Success,
)
from examples.fulfilment.saga import (
    BRIEF,
    ORDER_FULFILMENT,
    pay,
    process_payment,
    reserve,
    reserve_inventory,
    ship,
    ship_order,
)

PLAN = compile_saga(ORDER_FULFILMENT)
ITEMS = (Item(sku="kettle", quantity=2),)
ORDER = Order(order_id="o-1", account="ada", items=ITEMS, amount=Decimal("79.80"), country="DE")
RESERVED, PAID, SHIPPED = Success(reference="R-1"), Success(reference="P-1"), Success(reference="S-1")


def test_the_successful_path_of_the_blueprint() -> None:
    (
        given(ORDER_FULFILMENT, ORDER)
        .business_status("RESERVING")
        .expect("reserve-inventory", "ReserveInventory", ReserveInventory(order_id="o-1", items=ITEMS))
        .replies(RESERVED)
        .business_status("PAYING")
        .expect(
            "process-payment",
            "ProcessPayment",
            ProcessPayment(order_id="o-1", account="ada", amount=Decimal("79.80")),
        )
        .replies(PAID)
        .business_status("SHIPPING")
        .expect("ship-order", "ShipOrder", ShipOrder(order_id="o-1", items=ITEMS, country="DE"))
        .replies(SHIPPED)
        .business_status("FULFILLED")
        .undone()
        .completed()
    )


def test_the_failure_path_of_the_blueprint() -> None:
    (
        given(ORDER_FULFILMENT, ORDER)
        .expect("reserve-inventory", reserve(ORDER)).replies(RESERVED)
        .expect("process-payment", pay(ORDER)).refuses("Declined", "insufficient funds")
        .business_status("NOT_PAID")
        .expect("undo reserve-inventory", "ReleaseInventory", ReleaseInventory(order_id="o-1", reference="R-1"))
        .replies(Success())
        .undone("reserve-inventory")
        .compensated()
    )  # fmt: skip


def test_declined_shipping_gives_the_money_back_first_and_then_the_stock() -> None:
    (
        given(ORDER_FULFILMENT, ORDER)
        .expect("reserve-inventory").replies(RESERVED)
        .expect("process-payment").replies(PAID)
        .expect("ship-order", ship(ORDER)).refuses("Declined", "no carrier delivers there")
        .business_status("NOT_SHIPPED")
        .expect("undo process-payment", "RefundPayment", RefundPayment(order_id="o-1", reference="P-1"))
        .replies(Success())
        .expect("undo reserve-inventory", "ReleaseInventory", ReleaseInventory(order_id="o-1", reference="R-1"))
        .replies(Success())
        .undone("process-payment", "reserve-inventory")
        .compensated()
    )  # fmt: skip


def test_an_order_that_is_out_of_stock_has_nothing_to_undo() -> None:
    (
        given(ORDER_FULFILMENT, ORDER)
        .expect("reserve-inventory").refuses("Declined", "out of stock")
        .business_status("NOT_IN_STOCK")
        .undone()
        .compensated()
    )  # fmt: skip


def test_transient_failures_are_retried_under_the_same_command() -> None:
    (
        given(ORDER_FULFILMENT, ORDER)
        .expect("reserve-inventory").fails("503", attempts=2)
        .expect("reserve-inventory", reserve(ORDER)).replies(RESERVED)
        .expect("process-payment").no_answer(attempts=4)
        .expect("process-payment", pay(ORDER)).replies(PAID)
        .expect("ship-order").replies(SHIPPED)
        .completed()
    )  # fmt: skip


def test_shipping_that_never_answers_may_have_shipped_so_all_three_are_undone() -> None:
    (
        given(ORDER_FULFILMENT, ORDER)
        .expect("reserve-inventory").replies(RESERVED)
        .expect("process-payment").replies(PAID)
        .expect("ship-order").no_answer(attempts=BRIEF.attempts)
        .business_status("NOT_SHIPPED")
        .expect("undo ship-order", "CancelShipment", CancelShipment(order_id="o-1", reference=None))
        .replies(Success())
        .expect("undo process-payment").replies(Success())
        .expect("undo reserve-inventory").replies(Success())
        .late("ship-order").replies(SHIPPED)
        .expect("undo ship-order", "CancelShipment", CancelShipment(order_id="o-1", reference="S-1"))
        .replies(Success())
        .compensated()
    )  # fmt: skip


def test_a_cancel_waits_for_what_is_in_flight_and_undoes_it() -> None:
    (
        given(ORDER_FULFILMENT, ORDER)
        .expect("reserve-inventory").replies(RESERVED)
        .expect("process-payment").answers_later()
        .crash()
        .cancel()
        .business_status("CANCELLED")
        .on("process-payment").replies(PAID)
        .expect("undo process-payment").replies(Success())
        .expect("undo reserve-inventory").replies(Success())
        .undone("process-payment", "reserve-inventory")
        .compensated()
    )  # fmt: skip


# --- the definition ----------------------------------------------------------------------------------------------


def test_every_do_has_an_undo_and_the_rules_find_nothing() -> None:
    steps = [place.step for place in PLAN.places.values() if isinstance(place, StepPlace)]
    assert [step.name for step in steps] == ["reserve-inventory", "process-payment", "ship-order"]
    assert all(step.undo is not None and step.kind == "compensatable" for step in steps)
    assert list(lint(ORDER_FULFILMENT)) == []
    assert sorted(PLAN.participants) == sorted(EXAMPLE.services)


def test_a_command_is_named_as_its_message() -> None:
    commands: list[Command[Success]] = [reserve(ORDER), pay(ORDER), ship(ORDER)]
    assert [command.name for command in commands] == [type(command.payload).__name__ for command in commands]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"amount": "79.8"}, "two decimals"),
        ({"items": []}, "items must not be empty"),
        ({"items": [{"sku": "cup", "quantity": 1}] * 2}, "each sku may stand there once only"),
        ({"items": [{"sku": "cup", "quantity": 0}]}, "quantity must be 1 or more"),
        ({"order_id": ""}, "order_id must not be empty"),
        ({"coupon": "TEN"}, "unknown field"),
    ],
)
def test_an_order_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert({**msgspec.to_builtins(ORDER), **change}, Order)


# --- every path --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """What the world may do to the saga, and how many states that gives."""

    name: str
    states: int
    saga: Saga[Order] = ORDER_FULFILMENT
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


ONCE = RetryPolicy(attempts=1)
HASTY = replace(
    ORDER_FULFILMENT,
    body=sequence(
        *(
            replace(step, retry=ONCE, undo_retry=ONCE)
            for step in (reserve_inventory, process_payment, ship_order)
        )
    ),
)
"""The same saga, whose steps give up at once: an undo is stuck soon, and the space stays within reach."""
PERSON = ("retry", "resolve", "skip", "abandon")

WORLDS = (
    World("refusals, silence, lateness, a cancel at any time", 886, settings={"patient": True}),
    World("nobody cancels", 619, settings={"patient": True, "cancel": False}),
    World("paused at any time", 1_954, HASTY, {"pause": True}),
    World("messages are lost", 2_629, HASTY, {"losing": True}),
    World("undos get stuck, and a person acts", 12_598, HASTY, {"acts": PERSON}),
)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_on_no_path_a_rule_is_broken(world: World) -> None:
    replies = {step: msgspec.json.encode(reply) for step, reply in REPLIES.items()}
    settings = Settings(data=msgspec.json.encode(ORDER), replies=replies, **world.settings)
    plan = compile_saga(world.saga)
    seen = explore(plan, settings)
    assert seen.violation is None, page(plan, settings, seen.violation)
    assert set(seen.ends) >= {"completed", "compensated"}
    assert seen.states == world.states, "the space has changed: if that was meant, write the number down"


REPLIES = {"reserve-inventory": RESERVED, "process-payment": PAID, "ship-order": SHIPPED}
