"""The sagas of the campaign on PostgreSQL: ways through the five reference processes, and what their services hold.

    key = "order/declined/00017"; case = WAYS["order"]["declined"]("order-declined-00017", 17)

Rules: every run has a business key of its own, so that the services' books tell one run from the other; the services
hold enough for tens of thousands of runs. Of each process there is a way to the good end and one that is undone as late
as possible, so that every kind of transition is met.
It does not: start anything.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from examples.booking import messages as booking, seed as booking_seed
from examples.fulfilment import messages as fulfilment, seed as fulfilment_seed
from examples.offer import messages as offer, seed as offer_seed
from examples.reservation import messages as reservation, seed as reservation_seed
from examples.running.cases import Case, Expected
from tests.crash import orders

Way: TypeAlias = Callable[[str, int], Case[Any]]
"""From the saga's id and its number in the campaign."""

ENOUGH: Final = 1_000_000
RICH: Final = Decimal("900000000.00")
POOR: Final = Decimal("0.00")
OFFERS: Final = 20_000
"""An offer is accepted once; so many runs of its process there may be."""


def _completed(business_status: str) -> Expected:
    return Expected(status="completed", business_status=business_status)


def _undone(business_status: str) -> Expected:
    return Expected(status="compensated", business_status=business_status)


# --- order ---------------------------------------------------------------------------------------------------------


def _order(way: str) -> Way:
    return lambda saga_id, _number: orders.WAYS[way](saga_id)


# --- fulfilment ----------------------------------------------------------------------------------------------------


def _fulfilment(country: str, expect: Expected) -> Way:
    def case(saga_id: str, _number: int) -> Case[Any]:
        items = (fulfilment.Item(sku="kettle", quantity=2), fulfilment.Item(sku="cup", quantity=1))
        order = fulfilment.Order(
            order_id=saga_id, account="ada", items=items, amount=Decimal("86.05"), country=country
        )
        return Case(about=f"to {country}", given=order, expect=expect)

    return case


# --- booking -------------------------------------------------------------------------------------------------------


def _booking(account: str, expect: Expected) -> Way:
    def case(saga_id: str, _number: int) -> Case[Any]:
        products = tuple(
            booking.BookedProduct(product_id=product, quantity=quantity)
            for product, quantity in (("room", 1), ("desk", 2), ("lamp", 3))
        )
        made = booking.BookingCreated(booking_id=saga_id, customer="ada", account=account, products=products)
        return Case(about=f"paid by {account}", given=made, expect=expect)

    return case


# --- offer ---------------------------------------------------------------------------------------------------------


def _offer(course: str, expect: Expected) -> Way:
    def case(saga_id: str, number: int) -> Case[Any]:
        acceptance = offer.Acceptance(
            acceptance_id=saga_id,
            offer=_offer_name(course, number),
            course=course,
            attendee="Ada",
            email="ada@example.org",
            sponsor="ann",
            price=Decimal("990.00"),
            code="TEN",
        )
        return Case(about=f"course {course}", given=offer.Received(acceptance=acceptance), expect=expect)

    return case


def _offer_name(course: str, number: int) -> str:
    return f"{course}-{number % OFFERS}"


# --- reservation ---------------------------------------------------------------------------------------------------


def _reservation(customer: str, expect: Expected) -> Way:
    def case(saga_id: str, _number: int) -> Case[Any]:
        items = tuple(
            reservation.Item(product=product, quantity=quantity, price=Decimal(price))
            for product, quantity, price in (("tent", 1, "49.90"), ("rope", 7, "0.33"))
        )
        wanted = reservation.Reservation(
            reservation_id=saga_id, customer=customer, account="card-ada", items=items
        )
        return Case(about=f"for {customer}", given=wanted, expect=expect)

    return case


WAYS: Final[Mapping[str, Mapping[str, Way]]] = {
    "order": {"split": _order("split"), "approval-refused": _order("approval-refused")},
    "fulfilment": {
        "shipped": _fulfilment("DE", _completed("FULFILLED")),
        "no-carrier": _fulfilment("AQ", _undone("NOT_SHIPPED")),
    },
    "booking": {
        "booked": _booking("account-ada", _completed("COMPLETED")),
        "unpaid": _booking("account-poor", _undone("CANCELLED")),
    },
    "offer": {
        "accepted": _offer("sagas", _completed("ACCEPTED")),
        "no-place": _offer("full", _undone("NO_PLACE")),
    },
    "reservation": {
        "confirmed": _reservation("ada", _completed("CONFIRMED")),
        "not-confirmed": _reservation("grace", _undone("NOT_CONFIRMED")),
    },
}

SEEDS: Final[Mapping[str, msgspec.Struct]] = {
    "order": orders.SEED,
    "fulfilment": fulfilment_seed.Seed(
        products=tuple(fulfilment_seed.Product(sku=sku, on_hand=ENOUGH) for sku in ("kettle", "cup")),
        accounts=(fulfilment_seed.Account(account="ada", balance=RICH),),
        countries=("DE",),
    ),
    "booking": booking_seed.Seed(
        products=tuple(
            booking_seed.Product(product_id=product, capacity=ENOUGH, price=Decimal(price))
            for product, price in (("room", "80.00"), ("desk", "12.30"), ("lamp", "0.33"))
        ),
        accounts=(
            booking_seed.Account(account="account-ada", balance=RICH),
            booking_seed.Account(account="account-poor", balance=POOR),
        ),
    ),
    "offer": offer_seed.Seed(
        sponsors=("ann",),
        offers=tuple(
            offer_seed.Offer(offer=_offer_name(course, number), course=course, price=Decimal("990.00"))
            for course in ("sagas", "full")
            for number in range(OFFERS)
        ),
        codes=(offer_seed.DiscountCode(code="TEN", percent=10, uses=ENOUGH),),
        courses=(
            offer_seed.Course(course="sagas", places=ENOUGH),
            offer_seed.Course(course="full", places=0),
        ),
    ),
    "reservation": reservation_seed.Seed(
        on_hold=("grace",),
        products=tuple(reservation_seed.Product(product=name, pieces=ENOUGH) for name in ("tent", "rope")),
        accounts=(reservation_seed.Account(account="card-ada", balance=RICH),),
    ),
}
