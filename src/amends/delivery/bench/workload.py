"""The work that is measured: the order fulfilment of seed 001, with participants that do nothing.

Rules: `happy` completes in four transitions; `declined` is refused at the payment and the reservation is released, also
in four. Both make three calls. The participants are functions in the process, or answer over HTTP (`responder`) or
Kafka (`kafka_responder`).
It does not: measure.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from amends.bootstrap import Refuse, Transport, http, local
from amends.definition import Command, Participant, Rollback, Saga, Step, sequence, wait_for

Workload: TypeAlias = Literal["happy", "declined"]
WORKLOADS: Final[tuple[Workload, ...]] = ("happy", "declined")
ParticipantKind: TypeAlias = Literal["local", "http", "kafka"]
CALLS: Final[Mapping[Workload, tuple[str, str, str]]] = {
    "happy": ("reserve-inventory", "process-payment", "ship-order"),
    "declined": ("reserve-inventory", "process-payment", "release-inventory"),
}
"""The commands of one saga, in their order."""


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """Where a point is measured over Kafka."""

    servers: tuple[str, ...]
    commands: str
    replies: str
    """To the engine; also the name of its group."""
    bare: str
    """Replies to the bare client."""
    limit: str
    """For what is only written and read."""


class Order(msgspec.Struct, frozen=True):
    """What is ordered."""

    order_id: str
    sku: str
    quantity: int
    amount: str


class Reserve(msgspec.Struct, frozen=True):
    order_id: str
    sku: str
    quantity: int


class Reserved(msgspec.Struct, frozen=True):
    reservation_id: str


class Release(msgspec.Struct, frozen=True):
    order_id: str
    reservation_id: str | None


class Pay(msgspec.Struct, frozen=True):
    order_id: str
    amount: str


class Paid(msgspec.Struct, frozen=True):
    payment_id: str


class Ship(msgspec.Struct, frozen=True):
    order_id: str


class Shipped(msgspec.Struct, frozen=True):
    tracking: str


inventory = Participant("inventory")
payments = Participant("payments")
shipping = Participant("shipping")
PARTICIPANTS: Final = (inventory, payments, shipping)


def reserve(order: Order) -> Command[Reserved]:
    """Hold the goods."""
    return Command("reserve-inventory", Reserve(order.order_id, order.sku, order.quantity))


def release(order: Order, rollback: Rollback[Reserved]) -> Command[None]:
    """Let the goods go."""
    reply = rollback.reply
    return Command("release-inventory", Release(order.order_id, reply.reservation_id if reply else None))


def pay(order: Order) -> Command[Paid]:
    """Take the money."""
    return Command("process-payment", Pay(order.order_id, order.amount))


def refund(order: Order, rollback: Rollback[Paid]) -> Command[None]:
    """Give the money back."""
    return Command("refund-payment", Pay(order.order_id, order.amount))


def ship(order: Order) -> Command[Shipped]:
    """Send the goods."""
    return Command("ship-order", Ship(order.order_id))


order_fulfilment = Saga(
    "order-fulfilment",
    version=1,
    data=Order,
    body=sequence(
        Step("reserve-inventory", inventory, do=reserve, undo=release),
        Step("process-payment", payments, do=pay, undo=refund),
        Step("ship-order", shipping, do=ship, kind="retriable"),
    ),
)

parked_order = Saga(
    "parked-order", version=1, data=Order, body=wait_for("go", dict[str, str], timeout=timedelta(days=1))
)
"""Starts, and then only waits: what a start alone costs."""


def order(number: int) -> Order:
    """Return the order with this number."""
    return Order(f"order-{number:09d}", "sku-4711", 2, "39.80")


def bindings(workload: Workload, url: str = "") -> Mapping[str, Transport]:
    """Return bindings whose functions answer at once; with `url`, bindings to the responder there."""
    if url:
        return {participant.name: http(url) for participant in PARTICIPANTS}
    return {
        "inventory": local({"reserve-inventory": _reserved, "release-inventory": _released}),
        "payments": local(
            {"process-payment": _paid if workload == "happy" else _declined, "refund-payment": _paid}
        ),
        "shipping": local({"ship-order": _shipped}),
    }


async def _reserved(command: Reserve) -> Reserved:
    return Reserved(f"r-{command.order_id}")


async def _released(command: Release) -> None:
    return None


async def _paid(command: Pay) -> Paid:
    return Paid(f"p-{command.order_id}")


async def _declined(command: Pay) -> Paid:
    raise Refuse("declined", "insufficient funds")


async def _shipped(command: Ship) -> Shipped:
    return Shipped(f"t-{command.order_id}")
