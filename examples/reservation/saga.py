"""The reservation process: open the reservation, set each product aside, take the money, confirm.

    saga = RESERVATION;  data = reservation (what the customer wants is all that the saga needs)

Read it from the end: `RESERVATION` is the process, what stands above it are its words.

Rules:
- All products are asked for at the same time; all have answered before the money is taken or anything goes back.
- Each do is undone by its business key; what the do replied is sent along when it is known.
- Whatever turns the saga round, the money goes back first, then the products, and the reservation ends in the status
  that names the cause.
- The confirmation is the point of no return.

Does not do: talk to the services (bindings do), or decide what happens when (the engine does).
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

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
    sequence,
)
from examples.reservation.messages import (
    CancelledStatus,
    CancelReservation,
    Charge,
    Charged,
    ConfirmReservation,
    OpenReservation,
    ProductReleased,
    ProductReserved,
    Refund,
    Refunded,
    ReleaseProduct,
    Reservation,
    ReservationCancelled,
    ReservationConfirmed,
    ReservationOpened,
    ReserveProduct,
)

RESERVATIONS = Participant("reservations")
PRODUCTS = Participant("products")
PAYMENTS = Participant("payments")

PROMPT = timedelta(seconds=1)
"""How long one answer is waited for."""
STEADY = RetryPolicy(attempts=10, first=timedelta(milliseconds=500), cap=timedelta(seconds=3))
"""A do is tried for half a minute: the pauses outlast a service that starts again."""
BRIEF = RetryPolicy(attempts=8, first=timedelta(milliseconds=500), cap=timedelta(seconds=2))
"""A customer who pays wants to know soon."""
PATIENT = RetryPolicy(attempts=15, first=timedelta(milliseconds=250), cap=timedelta(seconds=30))
"""An undo, and the confirmation, must have an answer."""

# --- the reservation -----------------------------------------------------------------------------------------------

STATUS_AFTER: dict[str, CancelledStatus] = {
    "reserve-product": "PRODUCT_UNAVAILABLE",
    "pay": "PAYMENT_DECLINED",
    "confirm-reservation": "NOT_CONFIRMED",
}
"""As what the reservation ends when this step did not succeed; for any other cause it is CANCELLED."""


def cancelled_as(cause: Cause) -> CancelledStatus:
    return STATUS_AFTER.get(cause.name, "CANCELLED")


def open_it(wanted: Reservation) -> Command[ReservationOpened]:
    opened = OpenReservation(reservation_id=wanted.reservation_id, customer=wanted.customer)
    return Command("open-reservation", opened)


def cancel(wanted: Reservation, rollback: Rollback[ReservationOpened]) -> Command[ReservationCancelled]:
    cause = rollback.cause
    status, reason = cancelled_as(cause), cause.reason or cause.code
    cancelled = CancelReservation(reservation_id=wanted.reservation_id, status=status, reason=reason)
    return Command("cancel-reservation", cancelled)


def confirm(wanted: Reservation) -> Command[ReservationConfirmed]:
    return Command("confirm-reservation", ConfirmReservation(reservation_id=wanted.reservation_id))


open_reservation = Step(
    "open-reservation",
    RESERVATIONS,
    do=open_it,
    undo=cancel,
    retry=STEADY,
    undo_retry=PATIENT,
    timeout=PROMPT,
    refused="NOT_ADMITTED",
)
confirm_reservation = Step(
    "confirm-reservation",
    RESERVATIONS,
    do=confirm,
    kind="pivot",
    retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_CONFIRMATION",
    refused="NOT_CONFIRMED",
)

# --- products ------------------------------------------------------------------------------------------------------


class ItemOf(msgspec.Struct, frozen=True, kw_only=True):
    """One item, with the reservation that it belongs to."""

    reservation_id: str
    product: str
    quantity: int


def items(wanted: Reservation) -> Sequence[ItemOf]:
    return [
        ItemOf(reservation_id=wanted.reservation_id, product=item.product, quantity=item.quantity)
        for item in wanted.items
    ]


def product(item: ItemOf) -> str:
    return item.product


def reserve(item: ItemOf) -> Command[ProductReserved]:
    wanted = ReserveProduct(reservation_id=item.reservation_id, product=item.product, quantity=item.quantity)
    return Command("reserve-product", wanted)


def release(item: ItemOf, rollback: Rollback[ProductReserved]) -> Command[ProductReleased]:
    released = ReleaseProduct(
        reservation_id=item.reservation_id,
        product=item.product,
        quantity=item.quantity,
        hold_id=rollback.reply.hold_id if rollback.reply else None,
    )
    return Command("release-product", released)


reserve_product = Step(
    "reserve-product",
    PRODUCTS,
    do=reserve,
    undo=release,
    retry=STEADY,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_PRODUCTS",
    refused="PRODUCT_UNAVAILABLE",
)

# --- payment -------------------------------------------------------------------------------------------------------


def charge(wanted: Reservation) -> Command[Charged]:
    amount = wanted.total
    return Command(
        "charge", Charge(reservation_id=wanted.reservation_id, account=wanted.account, amount=amount)
    )


def refund(wanted: Reservation, rollback: Rollback[Charged]) -> Command[Refunded]:
    back = Refund(
        reservation_id=wanted.reservation_id,
        account=wanted.account,
        amount=wanted.total,
        payment_id=rollback.reply.payment_id if rollback.reply else None,
    )
    return Command("refund", back)


pay = Step(
    "pay",
    PAYMENTS,
    do=charge,
    undo=refund,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_PAYMENT",
    refused="PAYMENT_DECLINED",
)

# --- the process ---------------------------------------------------------------------------------------------------

STATUSES = Statuses(
    started="RECEIVED",
    completed="CONFIRMED",
    cancelled="CANCELLED",
    transitions={
        "RECEIVED": ("WAITING_PRODUCTS", "NOT_ADMITTED", "CANCELLED"),
        "WAITING_PRODUCTS": ("WAITING_PAYMENT", "PRODUCT_UNAVAILABLE", "CANCELLED"),
        "WAITING_PAYMENT": ("WAITING_CONFIRMATION", "PAYMENT_DECLINED", "CANCELLED"),
        "WAITING_CONFIRMATION": ("CONFIRMED", "NOT_CONFIRMED", "CANCELLED"),
    },
)

RESERVATION = Saga(
    "reservation",
    version=1,
    data=Reservation,
    deadline=timedelta(minutes=15),
    statuses=STATUSES,
    body=sequence(
        open_reservation,
        each(items, reserve_product, key=product),
        pay,
        confirm_reservation,
    ),
)
