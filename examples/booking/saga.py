"""The booking process: one reservation per product, one payment of what they cost together, the confirmation.

    saga = BOOKING;  data = BookingData(booking=booking);  saga id = the bookingId

    CREATED -> WAITING_STOCK -> WAITING_PAYMENT -> COMPLETED
                     |                 |
                     v                 v
                COMPENSATING      COMPENSATING -> CANCELLED

Read it from the end: `BOOKING` is the process, what stands above it are its words.

Rules:
- One instance per booking: its saga id is the booking's id.
- The six states above and their six transitions are all there are; the core refuses any other.
- All products are asked for at the same time, and all have answered before anything else happens. What each of them
  costs is in its reply; the total to be paid is the sum of these replies.
- The booking exists before its saga. Whatever turns the saga round, what was reserved is released, then the booking is
  cancelled.
- When the payment is not refused but unheard of, or the customer cancels while it is under way, it is refunded: the
  states know no other way to be sure that nobody paid for a cancelled booking.
- From the confirmation on nothing goes back: it is asked for until it is done.

Does not do: know prices, stock or accounts (the services do), talk to them (bindings do), or decide what happens when
(the engine does).
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec.structs import replace

from amends import (
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
)
from examples.booking.messages import (
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

BOOKINGS = Participant("booking")
PRODUCTS = Participant("product")
PAYMENTS = Participant("payment")

PROMPT = timedelta(seconds=1)
"""How long one answer is waited for."""
BRIEF = RetryPolicy(attempts=8, first=timedelta(milliseconds=500), cap=timedelta(seconds=2))
"""A do gives up soon, so that a customer knows; the pauses outlast a service that starts again."""
PATIENT = RetryPolicy(attempts=15, first=timedelta(milliseconds=250), cap=timedelta(seconds=30))
"""An undo, and the confirmation of what was paid, must happen."""

# --- data ----------------------------------------------------------------------------------------------------------


class ProductWanted(msgspec.Struct, frozen=True, kw_only=True):
    """One product of a booking; `price` is what its reservation costs, once that has been replied."""

    booking_id: str
    product_id: str
    quantity: int
    price: Decimal = Decimal("0.00")


class BookingData(msgspec.Struct, frozen=True, kw_only=True):
    """What the booking saga works on; `reserved` comes when all products are."""

    booking: BookingCreated
    reserved: tuple[ProductWanted, ...] = ()

    @property
    def total(self) -> Decimal:
        """What the reservations cost together."""
        return sum((product.price for product in self.reserved), Decimal("0.00"))


# --- the booking existed before ------------------------------------------------------------------------------------


def cancel(
    data: BookingData, rollback: Rollback[None]
) -> Annotated[Command[BookingCancelled], CancelBooking]:
    cause = rollback.cause
    cancelled = CancelBooking(booking_id=data.booking.booking_id, reason=cause.reason or cause.code)
    return Command("cancel-booking", cancelled)


cancel_booking = on_rollback("cancel-booking", BOOKINGS, undo=cancel, undo_retry=PATIENT, timeout=PROMPT)

# --- stock ---------------------------------------------------------------------------------------------------------


def products(data: BookingData) -> Sequence[ProductWanted]:
    booking = data.booking
    return [
        ProductWanted(booking_id=booking.booking_id, product_id=product.product_id, quantity=product.quantity)
        for product in booking.products
    ]


def product_id(wanted: ProductWanted) -> str:
    return wanted.product_id


def request(wanted: ProductWanted) -> Annotated[Command[ProductReserved], RequestStock]:
    stock = RequestStock(booking_id=wanted.booking_id, product_id=wanted.product_id, quantity=wanted.quantity)
    return Command("request-stock", stock)


def release(
    wanted: ProductWanted, rollback: Rollback[ProductReserved]
) -> Annotated[Command[StockReleased], ReleaseStock]:
    known = rollback.reply.reservation_id if rollback.reply else None
    stock = ReleaseStock(booking_id=wanted.booking_id, product_id=wanted.product_id, reservation_id=known)
    return Command("release-stock", stock)


def priced(wanted: ProductWanted, reserved: ProductReserved) -> ProductWanted:
    return replace(wanted, price=reserved.price)


def all_reserved(data: BookingData, wanted: Sequence[ProductWanted]) -> BookingData:
    return replace(data, reserved=tuple(wanted))


request_stock = Step(
    "request-stock",
    PRODUCTS,
    do=request,
    undo=release,
    merge=priced,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_STOCK",
)
request_all_stock = each(products, request_stock, key=product_id, collect=all_reserved)

# --- payment -------------------------------------------------------------------------------------------------------


def pay(data: BookingData) -> Annotated[Command[PaymentCompleted], RequestPayment]:
    booking = data.booking
    payment = RequestPayment(booking_id=booking.booking_id, account=booking.account, total=data.total)
    return Command("request-payment", payment)


def refund(
    data: BookingData, rollback: Rollback[PaymentCompleted]
) -> Annotated[Command[PaymentRefunded], RefundPayment]:
    known = rollback.reply.payment_id if rollback.reply else None
    payment = RefundPayment(booking_id=data.booking.booking_id, total=data.total, payment_id=known)
    return Command("refund-payment", payment)


request_payment = Step(
    "request-payment",
    PAYMENTS,
    do=pay,
    undo=refund,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_PAYMENT",
)

# --- confirmation --------------------------------------------------------------------------------------------------


def confirm(data: BookingData) -> Annotated[Command[BookingConfirmed], ConfirmBooking]:
    return Command("confirm-booking", ConfirmBooking(booking_id=data.booking.booking_id, total=data.total))


confirm_booking = Step(
    "confirm-booking", BOOKINGS, do=confirm, kind="retriable", retry=PATIENT, timeout=PROMPT
)

# --- the process ---------------------------------------------------------------------------------------------------

STATUSES = Statuses(
    started="CREATED",
    completed="COMPLETED",
    compensating="COMPENSATING",
    compensated="CANCELLED",
    transitions={
        "CREATED": ("WAITING_STOCK",),
        "WAITING_STOCK": ("WAITING_PAYMENT", "COMPENSATING"),
        "WAITING_PAYMENT": ("COMPLETED", "COMPENSATING"),
        "COMPENSATING": ("CANCELLED",),
    },
)

DEADLINE = timedelta(minutes=15)

BOOKING = Saga(
    "booking",
    version=1,
    data=BookingData,
    deadline=DEADLINE,
    statuses=STATUSES,
    body=sequence(cancel_booking, request_all_stock, request_payment, confirm_booking),
)
