"""Version 2 of the booking process: a paid booking earns loyalty points before it is confirmed.

    Orchestrator(sagas=[BOOKING, BOOKING_2], …)

Rules:
- The name is the same, the version is the next one. Bookings that began on version 1 end on version 1; both are given
  to the orchestrator until the last of them has ended.
- The states are those of version 1: whoever watches bookings need not know that there are two versions.
- The new step goes back like any other: points of a booking that is cancelled after all are withdrawn.
- What version 1 is made of is used again, never changed: a changed step would change version 1 as well.

Does not do: move open bookings from one version to the other.
"""

import msgspec

from amends import Command, Participant, Rollback, Saga, Step, sequence
from examples.booking.saga import (
    BRIEF,
    DEADLINE,
    PATIENT,
    PROMPT,
    STATUSES,
    BookingData,
    cancel_booking,
    confirm_booking,
    request_all_stock,
    request_payment,
)

LOYALTY = Participant("loyalty")


class CreditPoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`credit-points`: one point for each whole unit of money that was paid."""

    booking_id: str
    customer: str
    points: int


class PointsCredited(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """So many points the customer has now."""

    balance: int


class WithdrawPoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`withdraw-points`, the undo of `credit-points`, by the booking."""

    booking_id: str
    customer: str


class PointsWithdrawn(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The booking earns nothing any more: `{}`."""


def credit(data: BookingData) -> Command[PointsCredited]:
    booking = data.booking
    points = CreditPoints(booking_id=booking.booking_id, customer=booking.customer, points=int(data.total))
    return Command("credit-points", points)


def withdraw(data: BookingData, _rollback: Rollback[PointsCredited]) -> Command[PointsWithdrawn]:
    booking = data.booking
    return Command(
        "withdraw-points", WithdrawPoints(booking_id=booking.booking_id, customer=booking.customer)
    )


credit_points = Step(
    "credit-points",
    LOYALTY,
    do=credit,
    undo=withdraw,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
)

BOOKING_2 = Saga(
    "booking",
    version=2,
    data=BookingData,
    deadline=DEADLINE,
    statuses=STATUSES,
    body=sequence(cancel_booking, request_all_stock, request_payment, credit_points, confirm_booking),
)
