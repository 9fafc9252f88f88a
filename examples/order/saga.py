"""The order process as three sagas: the order (OrderSagaOrchestrator), its discount (DiscountSagaHandler) and its split
payment (SplitPaymentSagaHandler); the latter two run inside the first.

    saga = ORDER;  data = OrderData(order=order)

Read it from the end: `ORDER` is the process, what stands above it are its words.

Rules:
- The order exists before its saga. Whatever turns the saga round, the order is cancelled with the status that names the
  cause; the business status of the saga says the same.
- Each do is undone by its business key; what the do replied is sent along when it is known.
- A refused coupon is what the order says it is: no discount, or the end of the order.
- Approval is the point of no return. After it the goods leave the shelf and the order completes, however often that has
  to be asked for.

Does not do: talk to the services (bindings do), or decide what happens when (the engine does).
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec.structs import replace

from amends import (
    Cause,
    Command,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Statuses,
    Step,
    each,
    on_rollback,
    sequence,
    subsaga,
    tolerate,
    when,
)
from examples.order.messages import (
    ApproveOrder,
    CancelCoupon,
    CancelledStatus,
    CancelOrder,
    Charge,
    Charged,
    CompleteOrder,
    ConfirmStock,
    CouponCancelled,
    CouponRedeemed,
    Order,
    OrderApproved,
    OrderCancelled,
    OrderCompleted,
    PaymentMethod,
    RedeemCoupon,
    Refund,
    Refunded,
    ReleaseStock,
    ReserveStock,
    StockConfirmed,
    StockReleased,
    StockReserved,
    StockTaken,
    StockUnconfirmed,
    TakeStock,
    UnconfirmStock,
    amount_due,
)

ORDERS = Participant("order")
PRODUCTS = Participant("product")
PROMOTIONS = Participant("promotion")
PAYMENTS = Participant("payment")

PROMPT = timedelta(seconds=2)
"""How long one answer is waited for."""
BRIEF = RetryPolicy(attempts=6, first=timedelta(milliseconds=500), cap=timedelta(seconds=2))
"""A do gives up soon, so that a customer knows; the pauses outlast a service that starts again."""
PATIENT = RetryPolicy(attempts=15, first=timedelta(milliseconds=250), cap=timedelta(seconds=30))
"""An undo, and what follows the approval, must happen."""

# --- data ----------------------------------------------------------------------------------------------------------


class OrderData(msgspec.Struct, frozen=True, kw_only=True):
    """What the order saga works on; `discount` comes with a coupon that was accepted."""

    order: Order
    discount: Decimal = Decimal("0.00")

    @property
    def payable(self) -> Decimal:
        """What the customer pays."""
        return self.order.total - self.discount


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line, with the order that it belongs to."""

    order_id: str
    sku: str
    quantity: int


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """What the discount saga works on."""

    order_id: str
    code: str
    total: Decimal
    discount: Decimal = Decimal("0.00")


class PaymentPart(msgspec.Struct, frozen=True, kw_only=True):
    """So much to be charged by one method."""

    order_id: str
    payment_ref: str
    method: PaymentMethod
    account: str
    amount: Decimal


class SplitPayment(msgspec.Struct, frozen=True, kw_only=True):
    """What the split payment saga works on."""

    parts: tuple[PaymentPart, ...]


# --- the order existed before --------------------------------------------------------------------------------------

STATUS_AFTER: dict[str, CancelledStatus] = {
    "reserve-stock": "INVENTORY_ERROR",
    "redeem-coupon": "COUPON_REJECTED",
    "pay": "PAYMENT_FAILED",
    "pay-part": "PAYMENT_FAILED",
    "confirm-stock": "INVENTORY_ERROR",
    "approve-order": "APPROVAL_REFUSED",
}
"""As what the order ends when this step did not succeed; for any other cause it is CANCELLED."""


def cancelled_as(cause: Cause) -> CancelledStatus:
    return STATUS_AFTER.get(cause.name, "CANCELLED")


def cancel(data: OrderData, rollback: Rollback[None]) -> Annotated[Command[OrderCancelled], CancelOrder]:
    cause = rollback.cause
    status, reason = cancelled_as(cause), cause.reason or cause.code
    return Command("cancel-order", CancelOrder(order_id=data.order.order_id, status=status, reason=reason))


cancel_order = on_rollback("cancel-order", ORDERS, undo=cancel, undo_retry=PATIENT, timeout=PROMPT)

# --- stock ---------------------------------------------------------------------------------------------------------


def lines(data: OrderData) -> Sequence[OrderLine]:
    order = data.order
    return [OrderLine(order_id=order.order_id, sku=line.sku, quantity=line.quantity) for line in order.lines]


def sku(line: OrderLine) -> str:
    return line.sku


def reserve(line: OrderLine) -> Annotated[Command[StockReserved], ReserveStock]:
    wanted = ReserveStock(order_id=line.order_id, sku=line.sku, quantity=line.quantity)
    return Command("reserve-stock", wanted)


def release(
    line: OrderLine, rollback: Rollback[StockReserved]
) -> Annotated[Command[StockReleased], ReleaseStock]:
    known = rollback.reply.reservation_id if rollback.reply else None
    released = ReleaseStock(
        order_id=line.order_id, sku=line.sku, quantity=line.quantity, reservation_id=known
    )
    return Command("release-stock", released)


def confirm(line: OrderLine) -> Annotated[Command[StockConfirmed], ConfirmStock]:
    return Command("confirm-stock", ConfirmStock(order_id=line.order_id, sku=line.sku))


def unconfirm(
    line: OrderLine, _rollback: Rollback[StockConfirmed]
) -> Annotated[Command[StockUnconfirmed], UnconfirmStock]:
    return Command("unconfirm-stock", UnconfirmStock(order_id=line.order_id, sku=line.sku))


def take(line: OrderLine) -> Annotated[Command[StockTaken], TakeStock]:
    return Command("take-stock", TakeStock(order_id=line.order_id, sku=line.sku))


reserve_stock = Step(
    "reserve-stock",
    PRODUCTS,
    do=reserve,
    undo=release,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_STOCK",
    refused="INVENTORY_ERROR",
)
confirm_stock = Step(
    "confirm-stock",
    PRODUCTS,
    do=confirm,
    undo=unconfirm,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_CONFIRMATION",
    refused="INVENTORY_ERROR",
)
take_stock = Step(
    "take-stock", PRODUCTS, do=take, kind="retriable", retry=PATIENT, timeout=PROMPT, waiting="APPROVED"
)

# --- discount ------------------------------------------------------------------------------------------------------


def redeem(wanted: Discount) -> Annotated[Command[CouponRedeemed], RedeemCoupon]:
    coupon = RedeemCoupon(order_id=wanted.order_id, code=wanted.code, total=wanted.total)
    return Command("redeem-coupon", coupon)


def unredeem(
    wanted: Discount, rollback: Rollback[CouponRedeemed]
) -> Annotated[Command[CouponCancelled], CancelCoupon]:
    known = rollback.reply.redemption_id if rollback.reply else None
    coupon = CancelCoupon(order_id=wanted.order_id, code=wanted.code, redemption_id=known)
    return Command("cancel-coupon", coupon)


def discounted(wanted: Discount, redeemed: CouponRedeemed) -> Discount:
    return replace(wanted, discount=redeemed.discount)


redeem_coupon = Step(
    "redeem-coupon",
    PROMOTIONS,
    do=redeem,
    undo=unredeem,
    merge=discounted,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_DISCOUNT",
    refused="COUPON_REJECTED",
)

DISCOUNT = Saga("discount", version=1, data=Discount, body=redeem_coupon)


def has_coupon(data: OrderData) -> bool:
    return data.order.coupon is not None


def coupon_is_optional(data: OrderData) -> bool:
    return data.order.coupon_policy == "continue"


def discount_wanted(data: OrderData) -> Discount:
    order = data.order
    return Discount(order_id=order.order_id, code=order.coupon or "", total=order.total)


def with_discount(data: OrderData, granted: Discount) -> OrderData:
    return replace(data, discount=granted.discount)


# --- payment -------------------------------------------------------------------------------------------------------


def payment_parts(data: OrderData) -> tuple[PaymentPart, ...]:
    order = data.order
    return tuple(
        PaymentPart(
            order_id=order.order_id,
            payment_ref=payment.payment_ref,
            method=payment.method,
            account=payment.account,
            amount=amount_due(order.payments, payment, payable=data.payable),
        )
        for payment in order.payments
    )


def pays_with_one_method(data: OrderData) -> bool:
    return len(data.order.payments) == 1


def charge_part(part: PaymentPart) -> Annotated[Command[Charged], Charge]:
    charge = Charge(
        order_id=part.order_id,
        payment_ref=part.payment_ref,
        method=part.method,
        account=part.account,
        amount=part.amount,
    )
    return Command("charge", charge)


def refund_part(part: PaymentPart, rollback: Rollback[Charged]) -> Annotated[Command[Refunded], Refund]:
    known = rollback.reply.payment_id if rollback.reply else None
    refund = Refund(
        order_id=part.order_id, payment_ref=part.payment_ref, amount=part.amount, payment_id=known
    )
    return Command("refund", refund)


def charge_all(data: OrderData) -> Annotated[Command[Charged], Charge]:
    (whole,) = payment_parts(data)
    return charge_part(whole)


def refund_all(data: OrderData, rollback: Rollback[Charged]) -> Annotated[Command[Refunded], Refund]:
    (whole,) = payment_parts(data)
    return refund_part(whole, rollback)


def split(data: OrderData) -> SplitPayment:
    """By which methods, and how much; a method for which nothing is left is not asked."""
    return SplitPayment(parts=tuple(part for part in payment_parts(data) if part.amount))


def parts(payment: SplitPayment) -> Sequence[PaymentPart]:
    return payment.parts


def payment_ref(part: PaymentPart) -> str:
    return part.payment_ref


pay = Step(
    "pay",
    PAYMENTS,
    do=charge_all,
    undo=refund_all,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_PAYMENT",
    refused="PAYMENT_FAILED",
)
pay_part = Step(
    "pay-part",
    PAYMENTS,
    do=charge_part,
    undo=refund_part,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_PAYMENT",
    refused="PAYMENT_FAILED",
)

SPLIT_PAYMENT = Saga(
    "split-payment", version=1, data=SplitPayment, body=each(parts, pay_part, key=payment_ref)
)

# --- approval and completion ---------------------------------------------------------------------------------------


def approve(data: OrderData) -> Annotated[Command[OrderApproved], ApproveOrder]:
    return Command("approve-order", ApproveOrder(order_id=data.order.order_id))


def complete(data: OrderData) -> Annotated[Command[OrderCompleted], CompleteOrder]:
    return Command("complete-order", CompleteOrder(order_id=data.order.order_id))


approve_order = Step(
    "approve-order",
    ORDERS,
    do=approve,
    kind="pivot",
    retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_APPROVAL",
    refused="APPROVAL_REFUSED",
)
complete_order = Step("complete-order", ORDERS, do=complete, kind="retriable", retry=PATIENT, timeout=PROMPT)

# --- the process ---------------------------------------------------------------------------------------------------

STATUSES = Statuses(
    started="CREATED",
    completed="COMPLETED",
    cancelled="CANCELLED",
    transitions={
        "CREATED": ("WAITING_STOCK", "CANCELLED"),
        "WAITING_STOCK": ("WAITING_DISCOUNT", "WAITING_PAYMENT", "INVENTORY_ERROR", "CANCELLED"),
        "WAITING_DISCOUNT": ("WAITING_PAYMENT", "COUPON_REJECTED", "CANCELLED"),
        "WAITING_PAYMENT": ("WAITING_CONFIRMATION", "PAYMENT_FAILED", "CANCELLED"),
        "WAITING_CONFIRMATION": ("WAITING_APPROVAL", "INVENTORY_ERROR", "CANCELLED"),
        "WAITING_APPROVAL": ("APPROVED", "APPROVAL_REFUSED", "CANCELLED"),
        "APPROVED": ("COMPLETED",),
    },
)

ORDER = Saga(
    "order",
    version=1,
    data=OrderData,
    deadline=timedelta(minutes=15),
    statuses=STATUSES,
    body=sequence(
        cancel_order,
        each(lines, reserve_stock, key=sku),
        when(
            has_coupon,
            tolerate(
                subsaga(DISCOUNT, data=discount_wanted, merge=with_discount), only_when=coupon_is_optional
            ),
        ),
        when(pays_with_one_method, pay, otherwise=subsaga(SPLIT_PAYMENT, data=split)),
        each(lines, confirm_stock, key=sku),
        approve_order,
        each(lines, take_stock, key=sku),
        complete_order,
    ),
)
