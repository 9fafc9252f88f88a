"""Stories of one saga, told with `given`: what a user's tests look like, and each verb once."""

from datetime import timedelta
from decimal import Decimal

from amends import Command
from amends.testing import given
from examples.order.messages import (
    CancelOrder,
    Charge as ChargeOrder,
    Charged,
    Line,
    Order as ExampleOrder,
    OrderApproved,
    Payment,
    ReleaseStock,
    ReserveStock,
    StockReserved,
    StockTaken,
)
from examples.order.saga import ORDER, OrderData
from tests.testing.sagas import (
    APPROVAL,
    BESIDE,
    FULFIL,
    Charge,
    Decision,
    Order,
    Paid,
    Release,
    Reserve,
    Reserved,
    charge,
    reserve,
)

PLACED = Order()
CENTS = Charge("order-1", 4990)

# --- order fulfilment ------------------------------------------------------------------------------------------------


def test_an_order_is_fulfilled() -> None:
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock", reserve(PLACED)).replies(Reserved("R-1"))
        .expect("pay", charge(PLACED)).replies(Paid("P-1"))
        .expect("ship", "ship", {"order": "order-1"}).replies()
        .data(Order(payment="P-1"))
        .business_status("FULFILLED")
        .completed()
    )  # fmt: skip


def test_a_declined_payment_releases_the_stock() -> None:
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock", "reserve", Reserve("order-1", "sku-7")).replies(Reserved("R-1"))
        .expect("pay", "charge", CENTS).refuses("declined", "insufficient funds")
        .business_status("PAYMENT_FAILED")
        .expect("undo reserve-stock", "release", Release("order-1", "R-1")).replies()
        .undone("reserve-stock")
        .compensated()
    )  # fmt: skip


def test_a_payment_that_nobody_answers_may_have_happened() -> None:
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock").replies(Reserved("R-1"))
        .expect("pay").no_answer(attempts=2)
        .expect("undo pay", "refund", CENTS).replies()
        .expect("undo reserve-stock").replies()
        .undone("pay", "reserve-stock")
        .compensated()
        .late("pay").replies(Paid("P-1"))
        .status("compensating")
        .expect("undo pay", "refund", CENTS).replies()
        .undone("pay", "reserve-stock", "pay")
        .compensated()
    )  # fmt: skip


def test_a_broken_line_is_tried_again() -> None:
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock").fails("broken line")
        .expect("reserve-stock").replies(Reserved("R-1"))
        .expect("pay").fails(retry_after=timedelta(minutes=5))
        .after(timedelta(minutes=5))
        .expect("pay").replies(Paid("P-1"))
        .expect("ship").replies()
        .completed()
    )  # fmt: skip


def test_branches_answer_in_any_order() -> None:
    (
        given(BESIDE, PLACED)
        .expect_all({"pay": charge(PLACED), "reserve-stock": Command("reserve", Reserve("order-1", "sku-7"))})
        .on("pay").replies(Paid("P-1"))
        .on("reserve-stock").refuses("out-of-stock")
        .expect("undo pay").replies()
        .compensated()
    )  # fmt: skip


def test_a_cancel_waits_for_what_is_in_flight() -> None:
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock").answers_later()
        .cancel(by="ada", reason="changed her mind")
        .business_status("CANCELLED")
        .on("reserve-stock").replies(Reserved("R-1"))
        .expect("undo reserve-stock").replies()
        .compensated()
        .cancel(rejected="ended")
    )  # fmt: skip


def test_a_crash_at_every_moment_changes_nothing() -> None:
    (
        given(FULFIL, PLACED).crash()
        .expect("reserve-stock").answers_later().crash()
        .on("reserve-stock").replies(Reserved("R-1")).crash()
        .expect("pay").fails().crash()
        .expect("pay").replies(Paid("P-1")).crash()
        .expect("ship").replies().crash()
        .completed()
    )  # fmt: skip


def test_an_answer_that_comes_twice_changes_nothing_and_a_contradiction_is_seen() -> None:
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock").replies(Reserved("R-1")).duplicate()
        .expect("pay").answers_later()
        .late("reserve-stock").refuses("out-of-stock")
        .contradicted("reserve-stock")
        .on("pay").replies(Paid("P-1"))
        .expect("ship").replies()
        .completed()
    )  # fmt: skip


def test_nothing_begins_during_a_pause() -> None:
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock").answers_later()
        .pause()
        .on("reserve-stock").replies(Reserved("R-1"))
        .after(timedelta(days=2))
        .nothing_outstanding()
        .resume()
        .expect("pay").replies(Paid("P-1"))
        .expect("ship").hands_over()
        .completed(unconfirmed=("ship",))
    )  # fmt: skip


def test_a_stuck_undo_waits_for_a_person() -> None:
    stuck = (
        given(FULFIL, PLACED)
        .expect("reserve-stock").replies(Reserved("R-1"))
        .expect("pay").refuses("declined")
        .expect("undo reserve-stock").fails(attempts=2)
        .stuck_at("reserve-stock")
        .retry("pay", rejected="not-stuck")
        .retry("reserve-stock")
        .expect("undo reserve-stock").no_answer(attempts=2)
        .stuck_at("reserve-stock")
    )  # fmt: skip
    assert stuck.view.status == "stuck"
    stuck.resolve("reserve-stock", by="ann", reason="released by hand").undone("reserve-stock").compensated()


def test_a_person_goes_on_without_a_step_or_gives_up() -> None:
    def stuck() -> None:
        (
            given(FULFIL, PLACED)
            .expect("reserve-stock").replies(Reserved("R-1"))
            .expect("pay").replies(Paid("P-1"))
            .expect("ship").fails(attempts=2)
            .stuck_at("ship")
            .skip("ship")
            .completed(unconfirmed=("ship",))
        )  # fmt: skip

    stuck()
    (
        given(FULFIL, PLACED)
        .expect("reserve-stock").answers_later()
        .abandon()
        .abandoned(unconfirmed=("reserve-stock",))
    )  # fmt: skip


# --- an approval that takes days -------------------------------------------------------------------------------------


def test_an_approval_is_waited_for() -> None:
    (
        given(APPROVAL, PLACED)
        .expect("reserve-stock").replies(Reserved("R-1"))
        .waits_for("approve")
        .after(timedelta(days=13))
        .signal("approve", Decision("ann"), signal_id="mail-1")
        .signal("approve", Decision("ann"), signal_id="mail-1")
        .after(timedelta(days=1))
        .expect("ship").replies()
        .completed()
    )  # fmt: skip


def test_an_approval_that_does_not_come_turns_the_saga_round() -> None:
    (
        given(APPROVAL, PLACED)
        .expect("reserve-stock").replies(Reserved("R-1"))
        .after(timedelta(days=14))
        .expect("undo reserve-stock").replies()
        .expect("undo close-order", "close", {"order": "order-1"}).replies()
        .undone("reserve-stock", "close-order")
        .compensated()
    )  # fmt: skip


# --- the order saga of the examples ----------------------------------------------------------------------------------

CARD = Payment(method="card", account="card-ada", amount=Decimal("25.00"))
LINES = (
    Line(sku="sku-1", quantity=2, price=Decimal("10.00")),
    Line(sku="sku-2", quantity=1, price=Decimal("5.00")),
)
ORDERED = OrderData(
    order=ExampleOrder(order_id="o-1", customer="ada", lines=LINES, payments=(CARD,), total=Decimal("25.00"))
)


def test_the_order_saga_completes() -> None:
    (
        given(ORDER, ORDERED)
        .business_status("WAITING_STOCK")
        .expect_all("reserve-stock[sku-1]", "reserve-stock[sku-2]")
        .all_reply(StockReserved(reservation_id="R"))
        .business_status("WAITING_PAYMENT")
        .expect("pay").replies(Charged(payment_id="P-1"))
        .expect_all("confirm-stock[sku-1]", "confirm-stock[sku-2]").all_reply({})
        .expect("approve-order").replies(OrderApproved(approval_id="A-1"))
        .expect_all("take-stock[sku-1]", "take-stock[sku-2]")
        .cancel(rejected="past-no-return")
        .all_reply(StockTaken(on_hand=7))
        .expect("complete-order").replies({})
        .business_status("COMPLETED")
        .completed()
    )  # fmt: skip


def test_a_declined_card_undoes_the_order() -> None:
    cancelled = CancelOrder(order_id="o-1", status="PAYMENT_FAILED", reason="no funds")
    whole = ChargeOrder(
        order_id="o-1", payment_ref="card", method="card", account="card-ada", amount=Decimal("25.00")
    )
    (
        given(ORDER, ORDERED)
        .expect_all({
            "reserve-stock[sku-1]": Command("reserve-stock", ReserveStock(order_id="o-1", sku="sku-1", quantity=2)),
            "reserve-stock[sku-2]": Command("reserve-stock", ReserveStock(order_id="o-1", sku="sku-2", quantity=1)),
        })
        .on("reserve-stock[sku-2]").replies(StockReserved(reservation_id="R-2"))
        .on("reserve-stock[sku-1]").replies(StockReserved(reservation_id="R-1"))
        .expect("pay", "charge", whole).refuses("declined", "no funds")
        .expect_all({
            "undo reserve-stock[sku-1]": Command(
                "release-stock", ReleaseStock(order_id="o-1", sku="sku-1", quantity=2, reservation_id="R-1")
            ),
            "undo reserve-stock[sku-2]": Command(
                "release-stock", ReleaseStock(order_id="o-1", sku="sku-2", quantity=1, reservation_id="R-2")
            ),
        })
        .all_reply()
        .expect("undo cancel-order", "cancel-order", cancelled).replies()
        .business_status("PAYMENT_FAILED")
        .undone("reserve-stock[sku-1]", "reserve-stock[sku-2]", "cancel-order")
        .compensated()
    )  # fmt: skip
