"""Does it all add up? The demo's verdict, from the three services' `GET /state` and the cases.

    verdict = check(cases, {"booking": …, "product": …, "payment": …})

Rules:
- A pure function over the documents: it asks no service and trusts no engine.
- It may be asked only when every saga has ended; a saga that still runs shows as a reservation that nobody confirmed.
- The services do not protect themselves against a repeated command (the barrier does), so an effect that happened twice
  is visible here.
- What a booking has to cost is reckoned from the product service's own price list, not from what it replied.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from examples.booking.messages import BookingCreated, BookingStatus
from examples.running.cases import Case
from examples.running.example import States, Topic
from examples.running.verdict import Verdict, repeated

BookingCase: TypeAlias = Case[BookingCreated]
ZERO = Decimal("0.00")


class Shelf(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    product_id: str
    capacity: int
    free: int
    price: Decimal


class Reservation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    reservation_id: str
    booking_id: str
    product_id: str
    quantity: int
    price: Decimal
    state: Literal["reserved", "released"]


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    initial: Decimal
    balance: Decimal


class Movement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    movement_id: str
    kind: Literal["payment", "refund"]
    booking_id: str
    account: str
    amount: Decimal

    @property
    def taken(self) -> Decimal:
        """What left the account by it; negative for a refund."""
        return self.amount if self.kind == "payment" else -self.amount


class MadeBooking(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    booking_id: str
    status: BookingStatus
    total: Decimal | None = None


class BookingState(msgspec.Struct, frozen=True, kw_only=True):
    bookings: tuple[MadeBooking, ...]
    transitions: tuple[MadeBooking, ...]


class ProductState(msgspec.Struct, frozen=True, kw_only=True):
    products: tuple[Shelf, ...]
    reservations: tuple[Reservation, ...]


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    accounts: tuple[Balance, ...]
    movements: tuple[Movement, ...]


@dataclass(frozen=True, kw_only=True)
class World:
    """The three states, read."""

    booking: BookingState
    product: ProductState
    payment: PaymentState


def check(cases: Sequence[BookingCase], states: States) -> Verdict:
    """Compare what the services hold with what the cases expect."""
    world = World(
        booking=msgspec.convert(states["booking"], BookingState),
        product=msgspec.convert(states["product"], ProductState),
        payment=msgspec.convert(states["payment"], PaymentState),
    )
    return Verdict.of(
        {
            "booking-transitions": _transitions(cases, world.booking),
            "stock-adds-up": _stock(world.product),
            "reserved-for-confirmed-bookings-only": _reserved(cases, world.product),
            "money-adds-up": _money(world.payment),
            "bookings-paid-exactly": _paid(cases, world),
            "confirmed-at-what-was-paid": _confirmed(cases, world),
            "every-effect-once": _once(world),
        }
    )


def _transitions(cases: Sequence[BookingCase], state: BookingState) -> Iterator[str]:
    for case in cases:
        booking_id = case.given.booking_id
        went = [entry.status for entry in state.transitions if entry.booking_id == booking_id]
        expected = ["CREATED", "CONFIRMED" if case.is_completed else "CANCELLED"]
        if went != expected:
            yield f"{booking_id} went {' > '.join(went)}, expected {' > '.join(expected)} ({case.about})"


def _stock(state: ProductState) -> Iterator[str]:
    reserved: Counter[str] = Counter()
    for entry in state.reservations:
        reserved[entry.product_id] += entry.quantity if entry.state == "reserved" else 0
    for shelf in state.products:
        if shelf.capacity != shelf.free + reserved[shelf.product_id]:
            yield (
                f"{shelf.product_id} has {shelf.capacity}, but {shelf.free} free "
                f"and {reserved[shelf.product_id]} reserved make {shelf.free + reserved[shelf.product_id]}"
            )


def _reserved(cases: Sequence[BookingCase], state: ProductState) -> Iterator[str]:
    found: Counter[tuple[str, str]] = Counter()
    for entry in state.reservations:
        if entry.state == "reserved":
            found[entry.booking_id, entry.product_id] += entry.quantity
    expected: Counter[tuple[str, str]] = Counter()
    for case in cases:
        for product in case.given.products if case.is_completed else ():
            expected[case.given.booking_id, product.product_id] += product.quantity
    for key in sorted(found.keys() | expected.keys()):
        if found[key] != expected[key]:
            yield f"{key[0]} has {found[key]} of {key[1]} reserved, expected {expected[key]}"


def _money(state: PaymentState) -> Iterator[str]:
    for account in state.accounts:
        moves = [entry.taken for entry in state.movements if entry.account == account.account]
        taken = sum(moves, ZERO)
        if account.initial != account.balance + taken:
            yield (
                f"{account.account} began with {account.initial}, but {account.balance} left "
                f"and {taken} taken make {account.balance + taken}"
            )


def _paid(cases: Sequence[BookingCase], world: World) -> Iterator[str]:
    taken = _taken(world.payment)
    for case in cases:
        booking_id = case.given.booking_id
        due = _cost(case.given, world.product) if case.is_completed else ZERO
        paid = taken.pop(booking_id, ZERO)
        if paid != due:
            yield f"{booking_id} paid {paid}, expected {due} ({case.about})"
    for booking_id, paid in taken.items():
        yield f"{booking_id} paid {paid}, which nobody booked"


def _confirmed(cases: Sequence[BookingCase], world: World) -> Iterator[str]:
    taken = _taken(world.payment)
    totals = {booking.booking_id: booking.total for booking in world.booking.bookings}
    for case in cases:
        booking_id = case.given.booking_id
        expected = taken.get(booking_id, ZERO) if case.is_completed else None
        if totals.get(booking_id) != expected:
            yield f"{booking_id} is confirmed at {totals.get(booking_id)}, expected {expected}"


def _taken(state: PaymentState) -> dict[str, Decimal]:
    """What left the accounts in all, by booking."""
    taken: dict[str, Decimal] = {}
    for entry in state.movements:
        taken[entry.booking_id] = taken.get(entry.booking_id, ZERO) + entry.taken
    return taken


def _cost(booking: BookingCreated, state: ProductState) -> Decimal:
    prices = {shelf.product_id: shelf.price for shelf in state.products}
    return sum((prices[product.product_id] * product.quantity for product in booking.products), ZERO)


def _once(world: World) -> Iterator[str]:
    yield from repeated((f"reserving {e.product_id}", e.booking_id) for e in world.product.reservations)
    yield from repeated((f"the {e.kind}", e.booking_id) for e in world.payment.movements)
    yield from repeated((f"becoming {e.status}", e.booking_id) for e in world.booking.transitions)


def _stock_well(states: States) -> str:
    reservations = msgspec.convert(states["product"], ProductState).reservations
    pieces = sum(entry.quantity for entry in reservations if entry.state == "reserved")
    what = "1 piece is" if pieces == 1 else f"{pieces} pieces are"
    return f"Stock adds up: {what} reserved, all for confirmed bookings; all else is free again."


def _money_well(states: States) -> str:
    accounts = msgspec.convert(states["payment"], PaymentState).accounts
    money = sum((account.initial - account.balance for account in accounts), ZERO)
    return f"Money adds up: {money} left the accounts, exactly what the confirmed bookings cost; all else is back."


def _ways_well(_: States) -> str:
    return "Each booking went through what it should, and nothing happened twice."


TOPICS = (
    Topic(
        subject="Stock does",
        checks=("stock-adds-up", "reserved-for-confirmed-bookings-only"),
        well=_stock_well,
    ),
    Topic(
        subject="Money does",
        checks=("money-adds-up", "bookings-paid-exactly", "confirmed-at-what-was-paid"),
        well=_money_well,
    ),
    Topic(
        subject="What the bookings went through does",
        checks=("booking-transitions", "every-effect-once"),
        well=_ways_well,
    ),
)
"""Which checks are about the same thing."""
