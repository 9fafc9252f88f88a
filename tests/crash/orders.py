"""The orders of the campaign: which ways through the order process are killed, and how each has to end.

Rules: every run has an order of its own, so that the services' books tell one run from the other. The four services
hold enough for thousands of runs. It does not: start anything.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from examples.order.cases import OrderCase
from examples.order.messages import CancelledStatus, CouponPolicy, Line, Order, Payment
from examples.order.seed import Account, Coupon, Product, Seed
from examples.running.cases import Case, Expected

SEED: Final = Seed(
    products=(
        Product(sku="sku-1", on_hand=1_000_000),
        Product(sku="sku-2", on_hand=1_000_000),
        Product(sku="sku-sold-out", on_hand=0),
    ),
    coupons=(Coupon(code="TEN", percent=10, uses=1_000_000),),
    accounts=(
        Account(account="card-ada", balance=Decimal("900000000.00")),
        Account(account="wallet-ada", balance=Decimal("900000000.00")),
        Account(account="card-poor", balance=Decimal("1.00")),
        Account(account="wallet-empty", balance=Decimal("0.00")),
    ),
    customers_on_hold=("mallory",),
)

CARD: Final = Payment(method="card", account="card-ada", amount=Decimal("25.00"))
SPLIT: Final = (
    Payment(method="card", account="card-ada", amount=Decimal("15.00")),
    Payment(method="wallet", account="wallet-ada", amount=Decimal("10.00")),
)
SPLIT_EMPTY: Final = (
    Payment(method="card", account="card-ada", amount=Decimal("15.00")),
    Payment(method="wallet", account="wallet-empty", amount=Decimal("10.00")),
)
POOR: Final = Payment(method="card", account="card-poor", amount=Decimal("25.00"))

COMPLETED: Final = Expected(status="completed", business_status="COMPLETED")


LINES: Final = (
    Line(sku="sku-1", quantity=1, price=Decimal("20.00")),
    Line(sku="sku-2", quantity=2, price=Decimal("2.50")),
)


def _undone(status: CancelledStatus) -> Expected:
    return Expected(status="compensated", business_status=status)


def _order(
    order_id: str,
    *,
    customer: str = "ada",
    payments: tuple[Payment, ...] = (CARD,),
    coupon: str | None = None,
    coupon_policy: CouponPolicy = "continue",
) -> Order:
    return Order(
        order_id=order_id,
        customer=customer,
        lines=LINES,
        payments=payments,
        total=Decimal("25.00"),
        coupon=coupon,
        coupon_policy=coupon_policy,
    )


WAYS: Final[dict[str, Callable[[str], OrderCase]]] = {
    "happy": lambda order_id: Case(about="happy", given=_order(order_id), expect=COMPLETED),
    "declined": lambda order_id: Case(
        about="declined", given=_order(order_id, payments=(POOR,)), expect=_undone("PAYMENT_FAILED")
    ),
    "split": lambda order_id: Case(
        about="split payment with a coupon",
        given=_order(order_id, payments=SPLIT, coupon="TEN"),
        expect=COMPLETED,
    ),
    "split-declined": lambda order_id: Case(
        about="one part of a split payment is declined",
        given=_order(order_id, payments=SPLIT_EMPTY, coupon="TEN"),
        expect=_undone("PAYMENT_FAILED"),
    ),
    "approval-refused": lambda order_id: Case(
        about="approval refused",
        given=_order(order_id, customer="mallory"),
        expect=_undone("APPROVAL_REFUSED"),
    ),
    "coupon-refused": lambda order_id: Case(
        about="coupon refused",
        given=_order(order_id, coupon="NOPE", coupon_policy="fail"),
        expect=_undone("COUPON_REJECTED"),
    ),
    "coupon-tolerated": lambda order_id: Case(
        about="coupon refused, goes on", given=_order(order_id, coupon="NOPE"), expect=COMPLETED
    ),
}

COMMANDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("split", "product", "reserve-stock"),
    ("split", "promotion", "redeem-coupon"),
    ("split", "payment", "charge"),
    ("split", "product", "confirm-stock"),
    ("split", "order", "approve-order"),
    ("split", "product", "take-stock"),
    ("split", "order", "complete-order"),
    ("approval-refused", "product", "unconfirm-stock"),
    ("approval-refused", "payment", "refund"),
    ("split-declined", "promotion", "cancel-coupon"),
    ("declined", "product", "release-stock"),
    ("declined", "order", "cancel-order"),
)
"""Every command, with a way that it belongs to: the participant is killed when it has acted and not answered."""
