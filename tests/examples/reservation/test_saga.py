"""The reservation, told as stories: each service's yes, no and silence, and what goes back."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from amends import Cause, Command, Rollback, lint
from amends.core.plan import StepPlace, compile_saga
from amends.testing import given
from examples.reservation.messages import (
    CancelledStatus,
    CancelReservation,
    Charge,
    ConfirmReservation,
    OpenReservation,
    Refund,
    ReleaseProduct,
    Reservation,
    ReserveProduct,
)
from examples.reservation.saga import BRIEF, RESERVATION, STATUS_AFTER, cancel, cancelled_as
from tests.examples.reservation.story import (
    CHARGED,
    CONFIRMED,
    ONE,
    OPENED,
    TWO,
    held,
    opened,
    paid,
    reserved,
)


def release(product: str, quantity: int, hold_id: str | None) -> Command[Any]:
    back = ReleaseProduct(reservation_id="r-1", product=product, quantity=quantity, hold_id=hold_id)
    return Command("release-product", back)


def cancelled(status: CancelledStatus, reason: str) -> Command[Any]:
    return Command(
        "cancel-reservation", CancelReservation(reservation_id="r-1", status=status, reason=reason)
    )


def refund(payment_id: str | None) -> Command[Any]:
    back = Refund(reservation_id="r-1", account="card-ada", amount=Decimal("52.21"), payment_id=payment_id)
    return Command("refund", back)


BOTH_BACK = {
    "undo reserve-product[tent]": release("tent", 1, "H-1"),
    "undo reserve-product[rope]": release("rope", 7, "H-2"),
}


def test_all_products_together_then_the_money_then_the_confirmation() -> None:
    (
        opened()
        .business_status("WAITING_PRODUCTS")
        .expect_all({
            "reserve-product[tent]": Command("reserve-product", ReserveProduct(
                reservation_id="r-1", product="tent", quantity=1
            )),
            "reserve-product[rope]": Command("reserve-product", ReserveProduct(
                reservation_id="r-1", product="rope", quantity=7
            )),
        })
        .on("reserve-product[rope]").replies(held(2))
        .on("reserve-product[tent]").replies(held(1))
        .business_status("WAITING_PAYMENT")
        .expect("pay", "charge", Charge(reservation_id="r-1", account="card-ada", amount=Decimal("52.21")))
        .replies(CHARGED)
        .business_status("WAITING_CONFIRMATION")
        .expect("confirm-reservation", "confirm-reservation", ConfirmReservation(reservation_id="r-1"))
        .replies(CONFIRMED)
        .business_status("CONFIRMED")
        .undone()
        .completed()
    )  # fmt: skip


def test_the_reservation_is_opened_first() -> None:
    wanted = OpenReservation(reservation_id="r-1", customer="ada")
    given(RESERVATION, ONE, saga_id="r-1").expect("open-reservation", "open-reservation", wanted).replies(
        OPENED
    )


def test_one_product_out_of_stock_releases_those_that_were_not() -> None:
    (
        opened()
        .expect_all("reserve-product[tent]", "reserve-product[rope]")
        .on("reserve-product[tent]").refuses("out-of-stock", "none left")
        .business_status("PRODUCT_UNAVAILABLE")
        .on("reserve-product[rope]").replies(held(2))
        .expect_all({"undo reserve-product[rope]": release("rope", 7, "H-2")}).all_reply({})
        .expect("undo open-reservation").replies()
        .undone("reserve-product[rope]", "open-reservation")
        .compensated()
    )  # fmt: skip


def test_a_declined_payment_releases_everything_and_names_the_cause() -> None:
    (
        reserved(opened())
        .expect("pay").refuses("declined", "no funds")
        .business_status("PAYMENT_DECLINED")
        .expect_all(BOTH_BACK).all_reply({})
        .expect("undo open-reservation", cancelled("PAYMENT_DECLINED", "no funds")).replies()
        .compensated()
    )  # fmt: skip


def test_a_refused_confirmation_gives_the_money_back_before_the_products() -> None:
    (
        paid(opened())
        .expect("confirm-reservation").refuses("confirmation-refused", "on hold")
        .business_status("NOT_CONFIRMED")
        .expect("undo pay", refund("P-1")).replies()
        .expect_all(BOTH_BACK).all_reply({})
        .expect("undo open-reservation", cancelled("NOT_CONFIRMED", "on hold")).replies()
        .compensated()
    )  # fmt: skip


def test_silence_about_the_payment_is_given_back_by_its_business_key() -> None:
    (
        reserved(opened())
        .expect("pay").no_answer(attempts=BRIEF.attempts)
        .expect("undo pay", refund(None)).replies()
        .expect_all(BOTH_BACK).all_reply({})
        .expect("undo open-reservation").replies()
        .compensated()
    )  # fmt: skip


def test_a_payment_that_was_made_after_all_is_given_back_once_more() -> None:
    (
        reserved(opened())
        .expect("pay").no_answer(attempts=BRIEF.attempts)
        .expect("undo pay", refund(None)).replies()
        .expect_all(BOTH_BACK).all_reply({})
        .expect("undo open-reservation").replies()
        .compensated()
        .late("pay").replies(CHARGED)
        .expect("undo pay", refund("P-1")).replies()
        .compensated()
    )  # fmt: skip


def test_a_customer_who_is_barred_reserves_nothing() -> None:
    (
        given(RESERVATION, ONE)
        .expect("open-reservation").refuses("customer-barred")
        .business_status("NOT_ADMITTED")
        .undone()
        .compensated()
    )  # fmt: skip


def test_the_customer_cancels_while_the_payment_is_in_flight() -> None:
    (
        reserved(opened())
        .expect("pay").answers_later()
        .cancel(by="ada", reason="rain")
        .business_status("CANCELLED")
        .on("pay").replies(CHARGED)
        .expect("undo pay", refund("P-1")).replies()
        .expect_all(BOTH_BACK).all_reply({})
        .expect("undo open-reservation", cancelled("CANCELLED", "ada: rain")).replies()
        .compensated()
    )  # fmt: skip


def test_behind_the_confirmation_nothing_goes_back() -> None:
    paid(opened()).expect("confirm-reservation").replies(CONFIRMED).cancel(rejected="ended").completed()


# --- the functions and the definition ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (Cause("out-of-stock", step="reserve-product[tent]"), "PRODUCT_UNAVAILABLE"),
        (Cause("unknown", step="pay"), "PAYMENT_DECLINED"),
        (Cause("confirmation-refused", step="confirm-reservation"), "NOT_CONFIRMED"),
        (Cause("unknown", step="open-reservation"), "CANCELLED"),
        (Cause("cancelled", "ada: rain"), "CANCELLED"),
        (Cause("deadline"), "CANCELLED"),
    ],
)
def test_a_reservation_ends_as_the_cause_says(cause: Cause, status: str) -> None:
    assert cancelled_as(cause) == status
    payload = msgspec.to_builtins(cancel(ONE, Rollback(None, cause)).payload)
    assert payload["reason"] == (cause.reason or cause.code)


def test_every_step_that_can_be_refused_ends_the_reservation_as_its_business_status_says() -> None:
    steps = [
        place.step for place in compile_saga(RESERVATION).places.values() if isinstance(place, StepPlace)
    ]
    refused = {step.name: step.refused for step in steps if step.name != "open-reservation"}
    assert refused == STATUS_AFTER


def test_the_linter_finds_nothing() -> None:
    assert lint(RESERVATION) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"items": []}, "must not be empty"),
        ({"items": [{"product": "a", "quantity": 0, "price": "1.00"}]}, "between 1 and"),
        ({"items": [{"product": "a", "quantity": 1, "price": "1.0"}]}, "two decimals"),
        ({"items": [{"product": "a", "quantity": 1, "price": "1.00"}] * 2}, "one item only"),
        ({"account": ""}, "must not be empty"),
        ({"coupon": "TEN"}, "unknown field"),
    ],
)
def test_a_reservation_that_cannot_be_meant_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert({**msgspec.to_builtins(TWO), **change}, Reservation)
