"""What the tests of `amends.testing` tell stories of: order fulfilment, and an approval that takes days."""

from datetime import timedelta

import msgspec

from amends import (
    Command,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Statuses,
    Step,
    on_rollback,
    parallel,
    pause_for,
    sequence,
    wait_for,
)

INVENTORY, PAYMENTS, SHIPPING = Participant("inventory"), Participant("payments"), Participant("shipping")
TWICE = RetryPolicy(attempts=2, first=timedelta(seconds=1), jitter=0)


class Order(msgspec.Struct, frozen=True):
    id: str = "order-1"
    sku: str = "sku-7"
    cents: int = 4990
    payment: str = ""


class Reserve(msgspec.Struct, frozen=True):
    order: str
    sku: str


class Release(msgspec.Struct, frozen=True):
    order: str
    reservation: str | None


class Charge(msgspec.Struct, frozen=True):
    order: str
    cents: int


class Reserved(msgspec.Struct, frozen=True):
    reservation: str


class Paid(msgspec.Struct, frozen=True):
    payment: str


class Decision(msgspec.Struct, frozen=True):
    by: str
    granted: bool = True


def reserve(order: Order) -> Command[Reserved]:
    return Command("reserve", Reserve(order.id, order.sku))


def release(order: Order, rollback: Rollback[Reserved]) -> Command[None]:
    known = rollback.reply.reservation if rollback.reply else None
    return Command("release", Release(order.id, known))


def charge(order: Order) -> Command[Paid]:
    return Command("charge", Charge(order.id, order.cents))


def refund(order: Order, _rollback: Rollback[Paid]) -> Command[None]:
    return Command("refund", Charge(order.id, order.cents))


def paid(order: Order, reply: Paid) -> Order:
    return Order(order.id, order.sku, order.cents, reply.payment)


def ship(order: Order) -> Command[None]:
    return Command("ship", {"order": order.id})


def close(order: Order, _rollback: Rollback[None]) -> Command[None]:
    return Command("close", {"order": order.id})


def granted(_order: Order, decision: Decision) -> bool:
    return decision.granted


reserve_stock = Step(
    "reserve-stock",
    INVENTORY,
    do=reserve,
    undo=release,
    retry=TWICE,
    undo_retry=TWICE,
    waiting="WAITING_STOCK",
)
pay = Step(
    "pay",
    PAYMENTS,
    do=charge,
    undo=refund,
    merge=paid,
    retry=TWICE,
    undo_retry=TWICE,
    refused="PAYMENT_FAILED",
)
ship_order = Step("ship", SHIPPING, do=ship, kind="pivot", retry=TWICE)

FULFIL = Saga(
    "fulfil-order",
    version=1,
    data=Order,
    statuses=Statuses(completed="FULFILLED", cancelled="CANCELLED"),
    body=sequence(reserve_stock, pay, ship_order),
)
BESIDE = Saga("beside", version=1, data=Order, body=sequence(parallel(reserve_stock, pay), ship_order))
APPROVAL = Saga(
    "approval",
    version=1,
    data=Order,
    body=sequence(
        on_rollback("close-order", SHIPPING, undo=close),
        reserve_stock,
        wait_for("approve", Decision, timeout=timedelta(days=14), accept=granted),
        pause_for(timedelta(days=1)),
        ship_order,
    ),
)
