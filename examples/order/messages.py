"""What the order process and its four services say to each other: the order itself, the commands, the replies.

Rules:
- Every message is a frozen value that refuses unknown fields; `messages` imports nothing but msgspec and what a sum of
  money is.
- Money is a `Decimal` with exactly two decimals, on the wire a string: `"19.90"`, never a JSON number.
- Every command names the order and, with it, a business key that stays the same when the outcome is unknown:
  order + sku, order + coupon code, order + payment_ref (the payment's method: an order uses each method once).
- An undo carries what its do replied (`reservation_id`, `redemption_id`, `payment_id`), or None when no trustworthy
  answer came; the service then undoes by the business key alone.

Who pays what (`amount_due`): an order with one payment charges that method the whole payable sum, whatever amount the
order wrote there. A split order has one `card` payment and fixed others: each other method pays its written amount
(never more than what is left), the card pays the rest. A discount therefore falls to the card first.

Does not do: talk, store, or know what a saga is.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from examples.running.money import ZERO, money, positive

OrderStatus = Literal[
    "CREATED",
    "APPROVED",
    "COMPLETED",
    "INVENTORY_ERROR",
    "COUPON_REJECTED",
    "PAYMENT_FAILED",
    "APPROVAL_REFUSED",
    "CANCELLED",
]
"""Where the order service keeps an order."""

CancelledStatus = Literal[
    "INVENTORY_ERROR", "COUPON_REJECTED", "PAYMENT_FAILED", "APPROVAL_REFUSED", "CANCELLED"
]
"""The statuses in which a rolled back order may end."""

CouponPolicy = Literal["continue", "fail"]
"""What a refused coupon means: go on with the original total, or roll the order back."""

PaymentMethod = Literal["card", "wallet", "voucher"]


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of one product, at a price per piece."""

    sku: str
    quantity: int
    price: Decimal

    def __post_init__(self) -> None:
        positive(self.quantity, field="quantity")
        money(self.price, field="price")


class Payment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One method by which an order is paid; its method is its payment_ref."""

    method: PaymentMethod
    account: str
    amount: Decimal

    def __post_init__(self) -> None:
        money(self.amount, field="amount")

    @property
    def payment_ref(self) -> str:
        """Which of the order's payments this is."""
        return self.method


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer placed."""

    order_id: str
    customer: str
    lines: tuple[Line, ...]
    payments: tuple[Payment, ...]
    total: Decimal
    coupon: str | None = None
    coupon_policy: CouponPolicy = "continue"

    def __post_init__(self) -> None:
        money(self.total, field="total")
        for fault in _faults(self):
            raise ValueError(fault)


def _faults(order: Order) -> list[str]:
    methods = [payment.method for payment in order.payments]
    skus = [line.sku for line in order.lines]
    checks = {
        "order_id must not be empty": bool(order.order_id),
        "lines must not be empty": bool(order.lines),
        "each sku may stand in one line only": len(set(skus)) == len(skus),
        "payments must not be empty": bool(methods),
        "each payment method may stand once only": len(set(methods)) == len(methods),
        "a split payment needs a card, which pays the rest": len(methods) < 2 or "card" in methods,
        "total must be the sum of quantity x price": order.total
        == sum((line.price * line.quantity for line in order.lines), ZERO),
        "the payments' amounts must add up to total": order.total
        == sum((payment.amount for payment in order.payments), ZERO),
    }
    return [fault for fault, holds in checks.items() if not holds]


def amount_due(payments: Sequence[Payment], payment: Payment, *, payable: Decimal) -> Decimal:
    """What this one of the order's payments is charged when the order costs `payable` (its total less discount)."""
    if len(payments) == 1:
        return payable
    left = payable
    for other in payments:
        if other.method == "card":
            continue
        part = min(other.amount, left)
        if other.method == payment.method:
            return part
        left -= part
    return left


# --- order service -------------------------------------------------------------------------------------------------


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cancel-order`, undo only: the order existed before the saga, and ends in the status that names the cause."""

    order_id: str
    status: CancelledStatus
    reason: str


class OrderCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """The order now has this status."""

    status: CancelledStatus


class ApproveOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`approve-order`: refused with `approval-refused`, `unknown-order`."""

    order_id: str


class OrderApproved(msgspec.Struct, frozen=True, kw_only=True):
    """The order was approved."""

    approval_id: str


class CompleteOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`complete-order`: retriable; refused with `not-approved` only when it is sent out of turn."""

    order_id: str


class OrderCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """The order is complete: `{}`."""


# --- product service -----------------------------------------------------------------------------------------------


class ReserveStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reserve-stock`: refused with `out-of-stock`, `unknown-sku`."""

    order_id: str
    sku: str
    quantity: int

    def __post_init__(self) -> None:
        positive(self.quantity, field="quantity")


class StockReserved(msgspec.Struct, frozen=True, kw_only=True):
    """The pieces are set aside for this order."""

    reservation_id: str


class ReleaseStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`release-stock`, the undo of `reserve-stock`; without a reservation_id by order and sku."""

    order_id: str
    sku: str
    quantity: int
    reservation_id: str | None = None

    def __post_init__(self) -> None:
        positive(self.quantity, field="quantity")


class StockReleased(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is set aside any more: `{}`."""


class ConfirmStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`confirm-stock`: the reservation is firm; refused with `not-reserved`."""

    order_id: str
    sku: str


class StockConfirmed(msgspec.Struct, frozen=True, kw_only=True):
    """The reservation is firm: `{}`."""


class UnconfirmStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`unconfirm-stock`, the undo of `confirm-stock`: the reservation is a plain one again."""

    order_id: str
    sku: str


class StockUnconfirmed(msgspec.Struct, frozen=True, kw_only=True):
    """The reservation is a plain one again: `{}`."""


class TakeStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`take-stock`: the goods leave the shelf; retriable, refused with `not-confirmed` only when sent out of turn."""

    order_id: str
    sku: str


class StockTaken(msgspec.Struct, frozen=True, kw_only=True):
    """So many pieces are still on the shelf."""

    on_hand: int


# --- promotion service ---------------------------------------------------------------------------------------------


class RedeemCoupon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`redeem-coupon`: refused with `coupon-unknown`, `coupon-used-up`, `coupon-expired`."""

    order_id: str
    code: str
    total: Decimal

    def __post_init__(self) -> None:
        money(self.total, field="total")


class CouponRedeemed(msgspec.Struct, frozen=True, kw_only=True):
    """The coupon is used; `total` is what remains to be paid, the order's total less `discount`."""

    redemption_id: str
    discount: Decimal
    total: Decimal

    def __post_init__(self) -> None:
        money(self.discount, field="discount")
        money(self.total, field="total")


class CancelCoupon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cancel-coupon`, the undo of `redeem-coupon`; without a redemption_id by order and code."""

    order_id: str
    code: str
    redemption_id: str | None = None


class CouponCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """The coupon can be used again: `{}`."""


# --- payment service -----------------------------------------------------------------------------------------------


class Charge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`charge`: refused with `declined` (funds do not suffice), `unknown-account`."""

    order_id: str
    payment_ref: str
    method: PaymentMethod
    account: str
    amount: Decimal

    def __post_init__(self) -> None:
        money(self.amount, field="amount")


class Charged(msgspec.Struct, frozen=True, kw_only=True):
    """The amount left the account."""

    payment_id: str


class Refund(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`refund`, the undo of `charge`; without a payment_id by order and payment_ref."""

    order_id: str
    payment_ref: str
    amount: Decimal
    payment_id: str | None = None

    def __post_init__(self) -> None:
        money(self.amount, field="amount")


class Refunded(msgspec.Struct, frozen=True, kw_only=True):
    """The amount is back on the account: `{}`."""
