"""Does it all add up? The demo's verdict, from the three services' `GET /state` and the cases.

    verdict = check(cases, {"inventory": …, "payment": …, "shipping": …})

Rules:
- A pure function over the documents: it asks no service and trusts no engine.
- It may be asked only when every saga has ended.
- The services do not protect themselves against a repeated command (the barrier does), so an effect that happened twice
  is visible here.

Does not do: ask how the engine calls the end of a saga (`expect.status`); that is for those who know the engine.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import msgspec

from examples.fulfilment.messages import Item, Order
from examples.running.cases import Case
from examples.running.example import States, Topic
from examples.running.money import ZERO
from examples.running.verdict import Verdict, repeated

Cases = Sequence[Case[Order]]


class StockLevel(msgspec.Struct, frozen=True, kw_only=True):
    sku: str
    initial: int
    on_hand: int


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    reference: str
    order_id: str
    items: tuple[Item, ...]
    state: Literal["reserved", "released"]


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    initial: Decimal
    balance: Decimal


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    reference: str
    kind: Literal["payment", "refund"]
    order_id: str
    account: str
    amount: Decimal

    @property
    def taken(self) -> Decimal:
        """What left the account by it; negative for a refund."""
        return self.amount if self.kind == "payment" else -self.amount


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    reference: str
    order_id: str
    items: tuple[Item, ...]
    state: Literal["shipped", "called-back"]


class InventoryState(msgspec.Struct, frozen=True, kw_only=True):
    products: tuple[StockLevel, ...]
    reservations: tuple[Reservation, ...]


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    accounts: tuple[Balance, ...]
    movements: tuple[Movement, ...]


class ShippingState(msgspec.Struct, frozen=True, kw_only=True):
    shipments: tuple[Shipment, ...]


@dataclass(frozen=True, kw_only=True)
class World:
    """The three states, read."""

    inventory: InventoryState
    payment: PaymentState
    shipping: ShippingState

    def paid(self, order_id: str) -> Decimal:
        """What the order has cost its account in the end."""
        return sum((move.taken for move in self.payment.movements if move.order_id == order_id), ZERO)

    @property
    def shipped(self) -> tuple[Shipment, ...]:
        """The parcels that are with a carrier."""
        return tuple(shipment for shipment in self.shipping.shipments if shipment.state == "shipped")


def check(cases: Cases, states: States) -> Verdict:
    """Compare what the services hold with what the cases expect."""
    world = World(
        inventory=msgspec.convert(states["inventory"], InventoryState),
        payment=msgspec.convert(states["payment"], PaymentState),
        shipping=msgspec.convert(states["shipping"], ShippingState),
    )
    return Verdict.of(
        {
            "stock-adds-up": _stock(world.inventory),
            "stock-reserved-for-fulfilled-orders-only": _reserved(cases, world.inventory),
            "money-adds-up": _money(world.payment),
            "fulfilled-orders-paid-exactly": _charged(cases, world),
            "fulfilled-orders-shipped-exactly": _delivered(cases, world),
            "nothing-shipped-that-is-not-paid": _shipped_unpaid(world),
            "nothing-paid-that-is-not-shipped-or-refunded": _paid_unshipped(world),
            "every-effect-once": _once(world),
        }
    )


def _stock(state: InventoryState) -> Iterator[str]:
    held: Counter[str] = Counter()
    for entry in state.reservations:
        for item in entry.items if entry.state == "reserved" else ():
            held[item.sku] += item.quantity
    for level in state.products:
        if level.initial != level.on_hand + held[level.sku]:
            yield (
                f"{level.sku} began with {level.initial}, but {level.on_hand} on hand "
                f"and {held[level.sku]} reserved make {level.on_hand + held[level.sku]}"
            )


def _reserved(cases: Cases, state: InventoryState) -> Iterator[str]:
    held = [(entry.order_id, entry.items) for entry in state.reservations if entry.state == "reserved"]
    yield from _differing("reserved", cases, held)


def _delivered(cases: Cases, world: World) -> Iterator[str]:
    yield from _differing("shipped", cases, [(entry.order_id, entry.items) for entry in world.shipped])


def _differing(what: str, cases: Cases, found: Sequence[tuple[str, tuple[Item, ...]]]) -> Iterator[str]:
    """Tell where pieces per order and product are not those of the orders that had to be fulfilled."""
    pieces = _pieces(found)
    due = _pieces([(case.given.order_id, case.given.items) for case in cases if case.is_completed])
    for order_id, sku in sorted(pieces.keys() | due.keys()):
        if pieces[order_id, sku] != due[order_id, sku]:
            yield f"{order_id} has {pieces[order_id, sku]} of {sku} {what}, expected {due[order_id, sku]}"


def _pieces(entries: Sequence[tuple[str, tuple[Item, ...]]]) -> Counter[tuple[str, str]]:
    pieces: Counter[tuple[str, str]] = Counter()
    for order_id, items in entries:
        for item in items:
            pieces[order_id, item.sku] += item.quantity
    return pieces


def _money(state: PaymentState) -> Iterator[str]:
    for account in state.accounts:
        taken = sum((move.taken for move in state.movements if move.account == account.account), ZERO)
        if account.initial != account.balance + taken:
            yield (
                f"{account.account} began with {account.initial}, but {account.balance} left "
                f"and {taken} taken make {account.balance + taken}"
            )


def _charged(cases: Cases, world: World) -> Iterator[str]:
    for case in cases:
        due = case.given.amount if case.is_completed else ZERO
        paid = world.paid(case.given.order_id)
        if paid != due:
            yield f"{case.given.order_id} has paid {paid}, expected {due} ({case.about})"


def _shipped_unpaid(world: World) -> Iterator[str]:
    for shipment in world.shipped:
        if world.paid(shipment.order_id) <= ZERO:
            yield f"{shipment.reference}: {shipment.order_id} was shipped and has not paid"


def _paid_unshipped(world: World) -> Iterator[str]:
    shipped = {shipment.order_id for shipment in world.shipped}
    for order_id in sorted({move.order_id for move in world.payment.movements} - shipped):
        if world.paid(order_id) != ZERO:
            yield f"{order_id} has paid {world.paid(order_id)}, was not shipped and not refunded"


def _once(world: World) -> Iterator[str]:
    yield from repeated(("reserve", entry.order_id) for entry in world.inventory.reservations)
    yield from repeated((entry.kind, entry.order_id) for entry in world.payment.movements)
    yield from repeated(("ship", entry.order_id) for entry in world.shipping.shipments)


def _stock_sentence(states: States) -> str:
    levels = msgspec.convert(states["inventory"], InventoryState).products
    pieces = sum(level.initial - level.on_hand for level in levels)
    return f"Stock adds up: {pieces} pieces left the shelves, all for fulfilled orders; all others lie there again."


def _money_sentence(states: States) -> str:
    accounts = msgspec.convert(states["payment"], PaymentState).accounts
    paid = sum(account.initial - account.balance for account in accounts)
    return (
        f"Money adds up: {paid} left the accounts, exactly what the fulfilled orders cost; all else is back."
    )


TOPICS = (
    Topic(
        subject="Stock does",
        checks=("stock-adds-up", "stock-reserved-for-fulfilled-orders-only"),
        well=_stock_sentence,
    ),
    Topic(
        subject="Money does", checks=("money-adds-up", "fulfilled-orders-paid-exactly"), well=_money_sentence
    ),
    Topic(
        subject="Shipping does",
        checks=(
            "fulfilled-orders-shipped-exactly",
            "nothing-shipped-that-is-not-paid",
            "nothing-paid-that-is-not-shipped-or-refunded",
        ),
        well=lambda _: "Shipping adds up: what was shipped is paid, what was paid is shipped or refunded.",
    ),
    Topic(
        subject="What the services did does",
        checks=("every-effect-once",),
        well=lambda _: "Nothing happened twice, however often it was asked for.",
    ),
)
"""What the checks are about, in the order in which it is told."""
