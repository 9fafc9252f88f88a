"""The booking saga, told line by line: commands, answers, and how the booking ends."""

import dataclasses
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from amends import Command
from amends.definition import Cause, Rollback, lint
from amends.testing import Scenario, given
from examples.booking.messages import (
    LARGEST_SUM,
    BookedProduct,
    BookingCancelled,
    BookingConfirmed,
    BookingCreated,
    CancelBooking,
    ConfirmBooking,
    PaymentCompleted,
    PaymentRefunded,
    ProductReserved,
    RefundPayment,
    ReleaseStock,
    RequestPayment,
    RequestStock,
    StockReleased,
)
from examples.booking.saga import BOOKING, BRIEF, PATIENT, STATUSES, BookingData, refund, release
from examples.booking.version_2 import (
    BOOKING_2,
    CreditPoints,
    PointsCredited,
    PointsWithdrawn,
    WithdrawPoints,
)
from tests.examples.booking.bookings import PAID, booking, data, reserved


def stock(product: str) -> Command[StockReleased]:
    return Command("request-stock", RequestStock(booking_id="b-1", product_id=product, quantity=1))


def released(product: str, reservation_id: str | None) -> Command[StockReleased]:
    gone = ReleaseStock(booking_id="b-1", product_id=product, reservation_id=reservation_id)
    return Command("release-stock", gone)


def paying(total: str) -> Command[PaymentCompleted]:
    payment = RequestPayment(booking_id="b-1", account="account-ada", total=Decimal(total))
    return Command("request-payment", payment)


def refunding(total: str, payment_id: str | None) -> Command[PaymentRefunded]:
    return Command(
        "refund-payment", RefundPayment(booking_id="b-1", total=Decimal(total), payment_id=payment_id)
    )


def confirming(total: str) -> Command[BookingConfirmed]:
    return Command("confirm-booking", ConfirmBooking(booking_id="b-1", total=Decimal(total)))


def cancelling(reason: str) -> Command[BookingCancelled]:
    return Command("cancel-booking", CancelBooking(booking_id="b-1", reason=reason))


def all_reserved(*products: str) -> Scenario[BookingData]:
    """A booking whose products have all been reserved, the last one first."""
    scenario = (
        given(BOOKING, data(*products))
        .business_status("WAITING_STOCK")
        .expect_all(*({f"request-stock[{product}]": stock(product)} for product in products))
    )
    for product in reversed(products):
        scenario = scenario.business_status("WAITING_STOCK")
        scenario = scenario.on(f"request-stock[{product}]").replies(reserved(product))
    return scenario.business_status("WAITING_PAYMENT")


# --- forward --------------------------------------------------------------------------------------------------------


def test_one_product_is_reserved_paid_and_confirmed() -> None:
    (
        all_reserved("room")
        .expect("request-payment", paying("80.00"))
        .replies(PAID)
        .business_status("WAITING_PAYMENT")
        .expect("confirm-booking", confirming("80.00"))
        .replies(BookingConfirmed())
        .business_status("COMPLETED")
        .undone()
        .completed()
    )


def test_five_products_are_asked_for_together_and_paid_in_one_sum_of_what_they_replied() -> None:
    (
        all_reserved("room", "desk", "lamp", "tent", "boat")
        .expect("request-payment", paying("742.34"))
        .replies(PAID)
        .expect("confirm-booking", confirming("742.34"))
        .replies(BookingConfirmed())
        .completed()
    )


def test_a_confirmation_that_nobody_answers_is_asked_for_again_and_nothing_goes_back() -> None:
    (
        all_reserved("room")
        .expect("request-payment")
        .replies(PAID)
        .expect("confirm-booking")
        .no_answer(attempts=3)
        .cancel(rejected="past-no-return")
        .expect("confirm-booking")
        .replies(BookingConfirmed())
        .business_status("COMPLETED")
        .completed()
    )


# --- back -----------------------------------------------------------------------------------------------------------


def test_one_of_five_products_is_missing_the_other_four_settle_and_are_released() -> None:
    others = ("room", "desk", "tent", "boat")
    scenario = (
        given(BOOKING, data("room", "desk", "lamp", "tent", "boat"))
        .expect_all(*(f"request-stock[{product}]" for product in ("room", "desk", "lamp", "tent", "boat")))
        .on("request-stock[lamp]")
        .refuses("out-of-stock", "none left")
        .business_status("COMPENSATING")
    )
    for product in others:
        scenario = (
            scenario.on(f"request-stock[{product}]")
            .replies(reserved(product))
            .expect(f"undo request-stock[{product}]", released(product, f"R-{product}"))
            .replies(StockReleased())
            .business_status("COMPENSATING")
        )
    (
        scenario.expect("undo cancel-booking", cancelling("none left"))
        .replies(BookingCancelled())
        .business_status("CANCELLED")
        .undone(*(f"request-stock[{product}]" for product in others), "cancel-booking")
        .compensated()
    )


def test_the_payment_is_declined_all_products_are_released_and_the_booking_is_cancelled() -> None:
    (
        all_reserved("room", "desk")
        .expect("request-payment", paying("92.30"))
        .refuses("declined", "no funds")
        .business_status("COMPENSATING")
        .expect_all(
            {"undo request-stock[room]": released("room", "R-room")},
            {"undo request-stock[desk]": released("desk", "R-desk")},
        )
        .all_reply(StockReleased())
        .expect("undo cancel-booking", cancelling("no funds"))
        .replies(BookingCancelled())
        .business_status("CANCELLED")
        .undone("request-stock[room]", "request-stock[desk]", "cancel-booking")
        .compensated()
    )


def test_a_payment_that_nobody_answers_is_refunded_by_the_booking_alone() -> None:
    (
        all_reserved("room")
        .expect("request-payment")
        .no_answer(attempts=BRIEF.attempts)
        .business_status("COMPENSATING")
        .expect("undo request-payment", refunding("80.00", None))
        .replies(PaymentRefunded())
        .expect("undo request-stock[room]")
        .replies(StockReleased())
        .expect("undo cancel-booking", cancelling("no answer within 1 s"))
        .replies(BookingCancelled())
        .compensated()
    )


def test_a_payment_that_completes_after_the_end_is_given_back_and_the_booking_stays_cancelled() -> None:
    (
        all_reserved("room")
        .expect("request-payment")
        .no_answer(attempts=BRIEF.attempts)
        .expect("undo request-payment", refunding("80.00", None))
        .replies(PaymentRefunded())
        .expect("undo request-stock[room]")
        .replies(StockReleased())
        .expect("undo cancel-booking")
        .replies(BookingCancelled())
        .compensated()
        .late("request-payment")
        .replies(PAID)
        .status("compensating")
        .business_status("CANCELLED")
        .expect("undo request-payment", refunding("80.00", "P-1"))
        .replies(PaymentRefunded())
        .business_status("CANCELLED")
        .compensated()
    )


def test_a_product_that_nobody_answers_for_is_released_by_booking_and_product() -> None:
    (
        given(BOOKING, data("room"))
        .expect("request-stock[room]", stock("room"))
        .no_answer(attempts=BRIEF.attempts)
        .business_status("COMPENSATING")
        .expect("undo request-stock[room]", released("room", None))
        .replies(StockReleased())
        .expect("undo cancel-booking")
        .replies(BookingCancelled())
        .business_status("CANCELLED")
        .compensated()
    )


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_customer_who_cancels_while_the_payment_is_under_way_gets_back_what_was_taken(
    is_paid: bool,  # noqa: FBT001  pytest gives it by name
) -> None:
    scenario = (
        all_reserved("room")
        .expect("request-payment")
        .answers_later()
        .cancel(by="ada", reason="changed her mind")
        .business_status("COMPENSATING")
        .on("request-payment")
    )
    if is_paid:
        turned = scenario.replies(PAID).expect("undo request-payment", refunding("80.00", "P-1"))
        back = turned.replies(PaymentRefunded())
    else:
        back = scenario.refuses("declined")
    (
        back.expect("undo request-stock[room]")
        .replies(StockReleased())
        .expect("undo cancel-booking", cancelling("ada: changed her mind"))
        .replies(BookingCancelled())
        .business_status("CANCELLED")
        .compensated()
    )


def test_a_customer_who_cancels_while_products_are_asked_for_waits_until_they_have_settled() -> None:
    (
        given(BOOKING, data("room", "desk"))
        .expect_all("request-stock[room]", "request-stock[desk]")
        .on("request-stock[room]")
        .replies(reserved("room"))
        .cancel(by="ada", reason="changed her mind")
        .business_status("COMPENSATING")
        .expect("undo request-stock[room]")
        .replies(StockReleased())
        .on("request-stock[desk]")
        .replies(reserved("desk"))
        .expect("undo request-stock[desk]")
        .replies(StockReleased())
        .expect("undo cancel-booking")
        .replies(BookingCancelled())
        .compensated()
    )


def test_a_total_that_is_no_sum_of_money_any_more_is_not_asked_for_and_the_booking_is_cancelled() -> None:
    dear = ProductReserved(reservation_id="R-1", price=LARGEST_SUM)
    (
        given(BOOKING, data("room", "boat"))
        .expect_all("request-stock[room]", "request-stock[boat]")
        .all_reply(dear)
        .business_status("COMPENSATING")
        .expect_all("undo request-stock[room]", "undo request-stock[boat]")
        .all_reply(StockReleased())
        .expect("undo cancel-booking")
        .replies(BookingCancelled())
        .business_status("CANCELLED")
        .undone("request-stock[room]", "request-stock[boat]", "cancel-booking")
        .compensated()
    )


def test_a_booking_that_takes_too_long_is_cancelled() -> None:
    (
        all_reserved("room")
        .expect("request-payment")
        .fails(retry_after=timedelta(minutes=20))
        .after(timedelta(minutes=15))
        .business_status("COMPENSATING")
        .expect("undo request-payment")
        .replies(PaymentRefunded())
        .expect("undo request-stock[room]")
        .replies(StockReleased())
        .expect("undo cancel-booking", cancelling("the saga's deadline passed"))
        .replies(BookingCancelled())
        .compensated()
    )


def test_a_transition_that_the_table_does_not_have_is_refused_and_changes_nothing_but_the_status() -> None:
    """The core validates: with a narrower table the same booking goes the same way and keeps its last lawful status."""
    table = {**(STATUSES.transitions or {}), "WAITING_PAYMENT": ("COMPLETED",)}
    narrow = dataclasses.replace(BOOKING, statuses=dataclasses.replace(STATUSES, transitions=table))
    (
        given(narrow, data("room"))
        .expect("request-stock[room]")
        .replies(reserved("room"))
        .expect("request-payment")
        .refuses("declined")
        .business_status("WAITING_PAYMENT")
        .expect("undo request-stock[room]")
        .replies(StockReleased())
        .expect("undo cancel-booking")
        .replies(BookingCancelled())
        .business_status("WAITING_PAYMENT")
        .compensated()
    )


# --- where the first contract has no acknowledgement ----------------------------------------------------------------


def test_releases_that_nobody_acknowledges_are_shown_as_unconfirmed() -> None:
    """A binding that only publishes `saga.release_stock` hears nothing back; the end says so."""
    unconfirmed = ("request-stock[room]", "cancel-booking")
    (
        all_reserved("room")
        .expect("request-payment")
        .refuses("declined")
        .expect("undo request-stock[room]")
        .hands_over()
        .expect("undo cancel-booking")
        .hands_over()
        .business_status("CANCELLED")
        .compensated(unconfirmed=unconfirmed)
    )


def test_a_refund_that_will_not_succeed_waits_for_a_person_and_what_precedes_it_is_not_undone() -> None:
    scenario = all_reserved("room").expect("request-payment").answers_later().cancel(by="ada", reason="no")
    refused = scenario.on("request-payment").replies(PAID).expect("undo request-payment")
    (
        refused.fails("the account is closed", attempts=PATIENT.attempts)
        .stuck_at("request-payment")
        .business_status("COMPENSATING")
        .resolve("request-payment", by="bob", reason="paid out in cash")
        .expect("undo request-stock[room]")
        .replies(StockReleased())
        .expect("undo cancel-booking")
        .replies(BookingCancelled())
        .compensated()
    )


# --- the functions, one by one --------------------------------------------------------------------------------------


def test_an_answer_in_fractions_of_a_cent_is_no_answer() -> None:
    """Nobody pays a sum that nobody can pay: the price is refused when it is read."""
    with pytest.raises(msgspec.ValidationError, match="exactly two decimals"):
        msgspec.json.decode(b'{"reservationId": "R-1", "price": "1.005"}', type=type(reserved("room")))


def test_without_a_reply_each_undo_goes_by_the_business_key() -> None:
    wanted = all_reserved("room").view.data.reserved[0]
    nothing_known = Cause("unknown")
    assert release(wanted, Rollback(None, nothing_known)) == released("room", None)
    assert refund(data("room"), Rollback(None, nothing_known)) == refunding("0.00", None)


def test_a_booking_names_a_product_once_and_at_least_one() -> None:
    for products in ((), ("room", "room")):
        with pytest.raises(ValueError, match=r"products must be|productId may stand once"):
            booking(*products)
    with pytest.raises(ValueError, match="quantity must lie between"):
        BookedProduct(product_id="room", quantity=0)


def test_on_the_wire_a_booking_has_the_contracts_names() -> None:
    created = msgspec.json.decode(msgspec.json.encode(booking("room")))
    assert created == {
        "bookingId": "b-1",
        "customer": "ada",
        "account": "account-ada",
        "products": [{"productId": "room", "quantity": 1}],
    }
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**created, "prise": "1.00"}, BookingCreated)


def test_the_linter_finds_nothing() -> None:
    assert lint(BOOKING) == []
    assert lint(BOOKING_2) == []


# --- version 2 ------------------------------------------------------------------------------------------------------


def test_version_2_credits_points_for_what_was_paid() -> None:
    credited: Command[PointsCredited] = Command(
        "credit-points", CreditPoints(booking_id="b-1", customer="ada", points=12)
    )
    (
        given(BOOKING_2, data("desk"))
        .expect("request-stock[desk]")
        .replies(reserved("desk"))
        .expect("request-payment", paying("12.30"))
        .replies(PAID)
        .business_status("WAITING_PAYMENT")
        .expect("credit-points", credited)
        .replies(PointsCredited(balance=112))
        .expect("confirm-booking")
        .replies(BookingConfirmed())
        .business_status("COMPLETED")
        .completed()
    )


def test_version_2_without_an_answer_about_the_points_withdraws_them_and_refunds() -> None:
    withdrawn: Command[PointsWithdrawn] = Command(
        "withdraw-points", WithdrawPoints(booking_id="b-1", customer="ada")
    )
    (
        given(BOOKING_2, data("desk"))
        .expect("request-stock[desk]")
        .replies(reserved("desk"))
        .expect("request-payment")
        .replies(PAID)
        .expect("credit-points")
        .no_answer(attempts=BRIEF.attempts)
        .expect("undo credit-points", withdrawn)
        .replies(PointsWithdrawn())
        .expect("undo request-payment", refunding("12.30", "P-1"))
        .replies(PaymentRefunded())
        .expect("undo request-stock[desk]")
        .replies(StockReleased())
        .expect("undo cancel-booking")
        .replies(BookingCancelled())
        .business_status("CANCELLED")
        .compensated()
    )
