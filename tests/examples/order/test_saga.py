"""The order saga through the pure core: the four compensation mechanisms of the orchestrator service, to the letter."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from amends.core.outcome import Failed, Refused
from amends.core.plan import StepPlace, compile_saga
from amends.definition import Cause, Rollback, Saga, fingerprint, lint
from amends.definition.shape import shape
from examples.order.cases import SERVICES, OrderCase
from examples.order.demo import EXAMPLE
from examples.order.messages import (
    Charged,
    CouponPolicy,
    CouponRedeemed,
    Line,
    Order,
    OrderApproved,
    Payment,
    StockReserved,
    StockTaken,
)
from examples.order.saga import (
    DISCOUNT,
    ORDER,
    SPLIT_PAYMENT,
    STATUS_AFTER,
    Discount,
    OrderData,
    OrderLine,
    cancel,
    cancelled_as,
    payment_parts,
    refund_part,
    release,
    split,
    unredeem,
)
from tests.examples.order.story import Answers, Story

PLAN = compile_saga(ORDER)
REPLIES = {
    "reserve-stock": StockReserved(reservation_id="R-1"),
    "redeem-coupon": CouponRedeemed(redemption_id="D-1", discount=Decimal("2.50"), total=Decimal("22.50")),
    "charge": Charged(payment_id="P-1"),
    "approve-order": OrderApproved(approval_id="A-1"),
    "take-stock": StockTaken(on_hand=7),
}


def order(coupon: str | None = None, policy: CouponPolicy = "continue", *, is_split: bool = False) -> Order:
    """Two pieces of sku-1 at 10.00, one of sku-2 at 5.00."""
    card = Payment(method="card", account="card-ada", amount=Decimal("15.00" if is_split else "25.00"))
    wallet = Payment(method="wallet", account="wallet-ada", amount=Decimal("10.00"))
    return Order(
        order_id="o-1",
        customer="ada",
        lines=(
            Line(sku="sku-1", quantity=2, price=Decimal("10.00")),
            Line(sku="sku-2", quantity=1, price=Decimal("5.00")),
        ),
        payments=(card, wallet) if is_split else (card,),
        total=Decimal("25.00"),
        coupon=coupon,
        coupon_policy=policy,
    )


# --- what is told again and again -----------------------------------------------------------------------------------

STOCK = """
[CREATED]
[WAITING_STOCK]
do    reserve-stock[sku-1] sku=sku-1 quantity=2
do    reserve-stock[sku-2] sku=sku-2 quantity=1
"""
COUPON = """
[WAITING_DISCOUNT]
do    discount/redeem-coupon redeem-coupon code=TEN total=25.00
"""
PAYMENT = """
[WAITING_PAYMENT]
do    pay charge payment_ref=card method=card account=card-ada amount=25.00
"""
REDUCED_PAYMENT = """
[WAITING_PAYMENT]
do    pay charge payment_ref=card method=card account=card-ada amount=22.50
"""
SPLIT_WITH_COUPON = """
[WAITING_PAYMENT]
do    split-payment/pay-part[card] charge payment_ref=card method=card account=card-ada amount=12.50
do    split-payment/pay-part[wallet] charge payment_ref=wallet method=wallet account=wallet-ada amount=10.00
"""
CONFIRMATION = """
[WAITING_CONFIRMATION]
do    confirm-stock[sku-1] sku=sku-1
do    confirm-stock[sku-2] sku=sku-2
"""
APPROVAL = """
[WAITING_APPROVAL]
do    approve-order
"""
COMPLETION = """
[APPROVED]
do    take-stock[sku-1] sku=sku-1
do    take-stock[sku-2] sku=sku-2
do    complete-order
[COMPLETED]
completed
"""
UNCONFIRM = """
undo  confirm-stock[sku-1] unconfirm-stock sku=sku-1
undo  confirm-stock[sku-2] unconfirm-stock sku=sku-2
"""
REFUND = """
undo  pay refund payment_ref=card amount=25.00 payment_id=P-1
"""
REDUCED_REFUND = """
undo  pay refund payment_ref=card amount=22.50 payment_id=P-1
"""
CANCEL_COUPON = """
undo  discount/redeem-coupon cancel-coupon code=TEN redemption_id=D-1
"""
RELEASE = """
undo  reserve-stock[sku-1] release-stock sku=sku-1 quantity=2 reservation_id=R-1
undo  reserve-stock[sku-2] release-stock sku=sku-2 quantity=1 reservation_id=R-1
"""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """An order, what goes wrong, and what is told."""

    order: Order
    told: tuple[str, ...]
    answers: Answers = field(default_factory=dict[str, Refused | Failed | None])
    cancel_at: str = ""

    def play(self) -> Story:
        story = Story(plan=PLAN, replies=REPLIES, answers=self.answers, cancel_at=self.cancel_at)
        return story.play(OrderData(order=self.order))


SCENARIOS = {
    "all seven steps, one after the other": Scenario(
        order=order(), told=(STOCK, PAYMENT, CONFIRMATION, APPROVAL, COMPLETION)
    ),
    "a coupon and a split payment: the card bears the discount": Scenario(
        order=order("TEN", is_split=True),
        told=(STOCK, COUPON, SPLIT_WITH_COUPON, CONFIRMATION, APPROVAL, COMPLETION),
    ),
    "1. inventory reservation failure: INVENTORY_ERROR, the order is cancelled": Scenario(
        order=order(),
        answers={"reserve-stock[sku-2]": Refused("out-of-stock", "none left")},
        told=(
            STOCK,
            """
… reserve-stock[sku-2]: out-of-stock
[INVENTORY_ERROR]
undo  reserve-stock[sku-1] release-stock sku=sku-1 quantity=2 reservation_id=R-1
undo  cancel-order status=INVENTORY_ERROR reason=none left
compensated
""",
        ),
    ),
    "1. the first of two is refused: the second settles first, then it is released": Scenario(
        order=order(),
        answers={"reserve-stock[sku-1]": Refused("out-of-stock", "none left")},
        told=(
            STOCK,
            """
… reserve-stock[sku-1]: out-of-stock
[INVENTORY_ERROR]
undo  reserve-stock[sku-2] release-stock sku=sku-2 quantity=1 reservation_id=R-1
undo  cancel-order status=INVENTORY_ERROR reason=none left
compensated
""",
        ),
    ),
    "2. coupon validation failure, policy continue: the original amount is charged": Scenario(
        order=order("TEN", "continue"),
        answers={"discount/redeem-coupon": Refused("coupon-expired", "too old")},
        told=(
            STOCK,
            COUPON,
            "… discount/redeem-coupon: coupon-expired",
            PAYMENT,
            CONFIRMATION,
            APPROVAL,
            COMPLETION,
        ),
    ),
    "2. coupon validation failure, policy fail: COUPON_REJECTED, the stock is released": Scenario(
        order=order("TEN", "fail"),
        answers={"discount/redeem-coupon": Refused("coupon-expired", "too old")},
        told=(
            STOCK,
            COUPON,
            "… discount/redeem-coupon: coupon-expired\n[COUPON_REJECTED]",
            RELEASE,
            "undo  cancel-order status=COUPON_REJECTED reason=too old\ncompensated",
        ),
    ),
    "2. no answer about the coupon, policy continue: it is cancelled by its code, beside": Scenario(
        order=order("TEN", "continue"),
        answers={"discount/redeem-coupon": None},
        told=(
            STOCK,
            COUPON,
            """
… discount/redeem-coupon: silence
do    discount/redeem-coupon (attempt 2) redeem-coupon code=TEN total=25.00
… discount/redeem-coupon: silence
do    discount/redeem-coupon (attempt 3) redeem-coupon code=TEN total=25.00
… discount/redeem-coupon: silence
do    discount/redeem-coupon (attempt 4) redeem-coupon code=TEN total=25.00
… discount/redeem-coupon: silence
do    discount/redeem-coupon (attempt 5) redeem-coupon code=TEN total=25.00
… discount/redeem-coupon: silence
do    discount/redeem-coupon (attempt 6) redeem-coupon code=TEN total=25.00
… discount/redeem-coupon: silence
""",
            PAYMENT,
            "undo  discount/redeem-coupon cancel-coupon code=TEN redemption_id=None",
            CONFIRMATION,
            APPROVAL,
            COMPLETION,
        ),
    ),
    "3. payment failure: coupon cancelled, inventory released, PAYMENT_FAILED": Scenario(
        order=order("TEN"),
        answers={"pay": Refused("declined", "no funds")},
        told=(
            STOCK,
            COUPON,
            REDUCED_PAYMENT,
            "… pay: declined\n[PAYMENT_FAILED]",
            CANCEL_COUPON,
            RELEASE,
            "undo  cancel-order status=PAYMENT_FAILED reason=no funds\ncompensated",
        ),
    ),
    "3. no answer about the payment: refunded by its reference": Scenario(
        order=order(),
        answers={"pay": None},
        told=(
            STOCK,
            PAYMENT,
            """
… pay: silence
do    pay (attempt 2) charge payment_ref=card method=card account=card-ada amount=25.00
… pay: silence
do    pay (attempt 3) charge payment_ref=card method=card account=card-ada amount=25.00
… pay: silence
do    pay (attempt 4) charge payment_ref=card method=card account=card-ada amount=25.00
… pay: silence
do    pay (attempt 5) charge payment_ref=card method=card account=card-ada amount=25.00
… pay: silence
do    pay (attempt 6) charge payment_ref=card method=card account=card-ada amount=25.00
… pay: silence
[PAYMENT_FAILED]
undo  pay refund payment_ref=card amount=25.00 payment_id=None
""",
            RELEASE,
            "undo  cancel-order status=PAYMENT_FAILED reason=no answer within 2 s\ncompensated",
        ),
    ),
    "3. one part of a split payment is declined: the other is refunded": Scenario(
        order=order("TEN", is_split=True),
        answers={"split-payment/pay-part[wallet]": Refused("declined", "no funds")},
        told=(
            STOCK,
            COUPON,
            SPLIT_WITH_COUPON,
            """
… split-payment/pay-part[wallet]: declined
[PAYMENT_FAILED]
undo  split-payment/pay-part[card] refund payment_ref=card amount=12.50 payment_id=P-1
""",
            CANCEL_COUPON,
            RELEASE,
            "undo  cancel-order status=PAYMENT_FAILED reason=no funds\ncompensated",
        ),
    ),
    "4. order approval failure: payment refunded, inventory released, coupon cancelled": Scenario(
        order=order("TEN"),
        answers={"approve-order": Refused("approval-refused", "on hold")},
        told=(
            STOCK,
            COUPON,
            REDUCED_PAYMENT,
            CONFIRMATION,
            APPROVAL,
            "… approve-order: approval-refused\n[APPROVAL_REFUSED]",
            UNCONFIRM,
            REDUCED_REFUND,
            CANCEL_COUPON,
            RELEASE,
            "undo  cancel-order status=APPROVAL_REFUSED reason=on hold\ncompensated",
        ),
    ),
    "the reservation cannot be confirmed: everything goes back": Scenario(
        order=order(),
        answers={"confirm-stock[sku-1]": Refused("not-reserved", "gone")},
        told=(
            STOCK,
            PAYMENT,
            CONFIRMATION,
            "… confirm-stock[sku-1]: not-reserved\n[INVENTORY_ERROR]",
            "undo  confirm-stock[sku-2] unconfirm-stock sku=sku-2",
            REFUND,
            RELEASE,
            "undo  cancel-order status=INVENTORY_ERROR reason=gone\ncompensated",
        ),
    ),
    "the customer cancels while the payment is in flight: it settles and is refunded": Scenario(
        order=order("TEN"),
        cancel_at="pay",
        told=(
            STOCK,
            COUPON,
            REDUCED_PAYMENT,
            "[CANCELLED]",
            REDUCED_REFUND,
            CANCEL_COUPON,
            RELEASE,
            "undo  cancel-order status=CANCELLED reason=ada: changed her mind\ncompensated",
        ),
    ),
    "a cancel waits for the approval in flight and then comes too late": Scenario(
        order=order(),
        cancel_at="approve-order",
        told=(STOCK, PAYMENT, CONFIRMATION, APPROVAL, COMPLETION),
    ),
}


@pytest.mark.parametrize("title", SCENARIOS)
def test_the_story(title: str) -> None:
    scenario = SCENARIOS[title]
    assert scenario.play().told() == "\n".join(block.strip() for block in scenario.told)


@pytest.mark.parametrize("title", SCENARIOS)
def test_each_compensation_is_tracked_from_its_order_to_its_confirmation(title: str) -> None:
    story = SCENARIOS[title].play()
    undone = [line.split()[1] for line in story.lines if line.startswith("undo ")]
    for step in undone:
        seen = [snapshot[step] for snapshot in story.snapshots if step in snapshot]
        assert seen.index("undoing") < seen.index("undone"), (step, seen)
        assert story.phases()[step] == "undone"
    assert not story.state.unconfirmed
    assert not story.state.outstanding()


def test_nothing_that_was_refused_or_never_began_is_undone() -> None:
    story = SCENARIOS["3. one part of a split payment is declined: the other is refunded"].play()
    assert story.phases() == {
        "reserve-stock[sku-1]": "undone",
        "reserve-stock[sku-2]": "undone",
        "discount/redeem-coupon": "undone",
        "split-payment/pay-part[card]": "undone",
        "split-payment/pay-part[wallet]": "refused",
        "cancel-order": "undone",
    }


def test_an_undo_that_will_not_succeed_waits_for_a_person_and_the_order_is_not_cancelled_over_it() -> None:
    answers: Answers = {"pay": Refused("declined"), "undo reserve-stock[sku-2]": Failed("down")}
    story = Scenario(order=order(), answers=answers, told=()).play()
    assert story.lines[-3:] == [
        "undo  reserve-stock[sku-2] (attempt 15) release-stock sku=sku-2 quantity=1 reservation_id=R-1",
        "… undo reserve-stock[sku-2]: down",
        "stuck",
    ]
    assert story.phases() == {
        "reserve-stock[sku-1]": "undone",
        "reserve-stock[sku-2]": "undo-stuck",
        "pay": "refused",
    }


# --- the functions, one by one --------------------------------------------------------------------------------------

LINE = OrderLine(order_id="o-1", sku="sku-1", quantity=2)
DECLINED = Cause("declined", "no funds", "split-payment/pay-part[wallet]")


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (Cause("out-of-stock", step="reserve-stock[sku-1]"), "INVENTORY_ERROR"),
        (Cause("unknown", step="reserve-stock[sku-1]"), "INVENTORY_ERROR"),
        (Cause("not-reserved", step="confirm-stock[sku-1]"), "INVENTORY_ERROR"),
        (Cause("coupon-expired", step="discount/redeem-coupon"), "COUPON_REJECTED"),
        (Cause("declined", step="pay"), "PAYMENT_FAILED"),
        (DECLINED, "PAYMENT_FAILED"),
        (Cause("approval-refused", step="approve-order"), "APPROVAL_REFUSED"),
        (Cause("cancelled", "ada: changed her mind"), "CANCELLED"),
        (Cause("deadline", "the saga's deadline passed"), "CANCELLED"),
    ],
)
def test_an_order_ends_as_the_cause_says(cause: Cause, status: str) -> None:
    assert cancelled_as(cause) == status


def test_a_cause_without_words_is_told_by_its_code() -> None:
    command = cancel(OrderData(order=order()), Rollback(None, Cause("deadline")))
    assert msgspec.to_builtins(command.payload)["reason"] == "deadline"


def test_every_step_that_can_be_refused_ends_the_order_as_its_business_status_says() -> None:
    steps = [place.step for place in PLAN.places.values() if isinstance(place, StepPlace)]
    assert {step.name: step.refused for step in steps if step.kind != "retriable"} == STATUS_AFTER


def test_without_a_reply_each_undo_goes_by_the_business_key() -> None:
    part = payment_parts(OrderData(order=order()))[0]
    wanted = Discount(order_id="o-1", code="TEN", total=Decimal("25.00"))
    for command, field_name in (
        (release(LINE, Rollback(None, DECLINED)), "reservation_id"),
        (unredeem(wanted, Rollback(None, DECLINED)), "redemption_id"),
        (refund_part(part, Rollback(None, DECLINED)), "payment_id"),
    ):
        assert msgspec.to_builtins(command.payload)[field_name] is None


def test_a_method_for_which_nothing_is_left_is_not_charged() -> None:
    data = OrderData(order=order("ALL", is_split=True), discount=Decimal("15.00"))
    assert [(part.method, str(part.amount)) for part in split(data).parts] == [("wallet", "10.00")]


# --- the definition -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("saga", [ORDER, DISCOUNT, SPLIT_PAYMENT], ids=lambda saga: saga.name)
def test_the_linter_finds_nothing(saga: Saga[Any]) -> None:
    assert lint(saga) == []


def test_the_participants_are_the_four_services() -> None:
    assert sorted(PLAN.participants) == sorted(SERVICES)


@pytest.mark.parametrize("case", EXAMPLE.load(), ids=lambda case: case.about)
def test_an_order_of_the_demo_can_start_a_saga(case: OrderCase) -> None:
    data = OrderData(order=case.given)
    assert PLAN.decoders[""](msgspec.json.encode(data)) == data


def test_the_discount_and_the_split_payment_run_alone_too() -> None:
    for saga in (DISCOUNT, SPLIT_PAYMENT):
        assert compile_saga(saga).fingerprint == fingerprint(saga)
    assert len(shape(DISCOUNT)) < len(shape(ORDER))
