# pyright: strict
"""The sketch of a saga, in full: it must check under both checkers, strict, without a cast.

`test_typing.py` hands it to mypy and pyright.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, assert_type

import psycopg
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from amends import signal_in_transaction, start_in_transaction
from amends.definition import (
    Command,
    Node,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Step,
    each,
    on_rollback,
    parallel,
    pause_for,
    sequence,
    subsaga,
    tolerate,
    wait_for,
    when,
)


@dataclass(frozen=True)
class Line:
    order_id: str
    sku: str
    quantity: int


@dataclass(frozen=True)
class Order:
    order_id: str
    total: int
    lines: tuple[Line, ...]
    coupon: str | None = None
    wallet: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True)
class Reserved:
    reservation_id: str


@dataclass(frozen=True)
class Redeemed:
    redemption_id: str
    total: int


@dataclass(frozen=True)
class Charged:
    payment_id: str


@dataclass(frozen=True)
class Approval:
    by: str
    granted: bool


@dataclass(frozen=True)
class Parcel:
    order_id: str
    tracking: str | None = None


inventory, promotion, payments = Participant("inventory"), Participant("promotion"), Participant("payments")
orders, shipping = Participant("orders"), Participant("shipping")


def hold(line: Line) -> Command[Reserved]:
    return Command("hold", line)


def release(line: Line, rollback: Rollback[Reserved]) -> Command[None]:
    if rollback.reply is None:
        return Command("release-by-order", line)
    return Command("release", rollback.reply.reservation_id)


def confirm(line: Line) -> Command[None]:
    return Command("confirm", line)


def redeem(order: Order) -> Command[Redeemed]:
    return Command("redeem", order.coupon)


def unredeem(order: Order, rollback: Rollback[Redeemed]) -> Command[None]:
    known = rollback.reply.redemption_id if rollback.reply else None
    return Command("unredeem", {"coupon": order.coupon, "redemption": known})


def discounted(order: Order, redeemed: Redeemed) -> Order:
    return replace(order, total=redeemed.total)


def charge(order: Order) -> Command[Charged]:
    return Command("charge", order.total)


def refund(order: Order, rollback: Rollback[Charged]) -> Command[None]:
    return Command("refund", {"order": order.order_id, "why": rollback.cause.code})


def note(order: Order, rollback: Rollback[object]) -> Command[None]:
    return Command("note", [order.order_id, rollback.cause.reason])


def approve(order: Order) -> Command[None]:
    return Command("approve", order.order_id)


def cancel(order: Order, rollback: Rollback[None]) -> Command[None]:
    status = "INVENTORY_ERROR" if rollback.cause.name == "reserve-stock" else "CANCELLED"
    return Command("cancel", {"order": order.order_id, "status": status})


def lines(order: Order) -> Sequence[Line]:
    return order.lines


def sku(line: Line) -> str:
    return line.sku


def with_lines(order: Order, held: Sequence[Line]) -> Order:
    return replace(order, lines=tuple(held))


def has_coupon(order: Order) -> bool:
    return order.coupon is not None


def uses_wallet(order: Order) -> bool:
    return order.wallet is not None


def granted(_order: Order, approval: Approval) -> bool:
    return approval.granted


def approved(order: Order, approval: Approval) -> Order:
    return replace(order, approved_by=approval.by)


def parcel_of(order: Order) -> Parcel:
    return Parcel(order.order_id)


def ship(parcel: Parcel) -> Command[Charged]:
    return Command("ship", parcel)


def call_back(parcel: Parcel, rollback: Rollback[Charged]) -> Command[None]:
    return Command("call-back", [parcel.order_id, rollback.cause.reason])


def shipped(order: Order, parcel: Parcel) -> Order:
    return replace(order, wallet=parcel.tracking)


def cooling_off(order: Order) -> timedelta:
    return timedelta(hours=order.total)


reserve_stock = Step("reserve-stock", inventory, do=hold, undo=release)
apply_coupon = Step("apply-coupon", promotion, do=redeem, undo=unredeem, merge=discounted)
pay_by_card = Step(
    "pay-by-card",
    payments,
    do=charge,
    undo=refund,
    retry=RetryPolicy(attempts=3),
    timeout=timedelta(seconds=30),
)
pay_by_wallet = Step("pay-by-wallet", payments, do=charge, undo=refund)
reads_no_reply = Step("pay-later", payments, do=charge, undo=note)
notify = Step("notify", orders, do=approve, no_undo="a message cannot be unsent")
approve_order = Step("approve-order", orders, do=approve, kind="pivot")
confirm_stock = Step("confirm-stock", inventory, do=confirm, kind="retriable")
by_lambda = Step("by-lambda", orders, do=approve, undo=lambda order, _: Command("x", order.order_id))
shipment = Saga(
    "shipment",
    version=1,
    data=Parcel,
    body=Step("ship", shipping, do=ship, undo=call_back),
)

place_order = Saga(
    "place-order",
    version=1,
    data=Order,
    deadline=timedelta(minutes=15),
    body=sequence(
        on_rollback("cancel-order", orders, undo=cancel),
        on_rollback("note", orders, undo=note),
        each(lines, reserve_stock, key=sku, collect=with_lines),
        when(has_coupon, tolerate(apply_coupon, only_when=has_coupon)),
        parallel(pay_by_card, when(uses_wallet, pay_by_wallet)),
        wait_for("approval", Approval, timeout=timedelta(days=2), accept=granted, merge=approved),
        pause_for(cooling_off),
        subsaga(shipment, data=parcel_of, merge=shipped),
        when(has_coupon, notify, otherwise=pause_for(timedelta(seconds=1))),
        parallel(reads_no_reply, by_lambda, join="any"),
        approve_order,
        each(lines, confirm_stock, key=sku),
    ),
)

assert_type(reserve_stock, Step[Line, Reserved])
assert_type(apply_coupon, Step[Order, Redeemed])
assert_type(pay_by_card, Step[Order, Charged])
assert_type(reads_no_reply, Step[Order, Charged])
assert_type(notify, Step[Order, None])
assert_type(approve_order, Step[Order, None])
assert_type(confirm_stock, Step[Line, None])
assert_type(by_lambda, Step[Order, None])
assert_type(shipment, Saga[Parcel])
assert_type(place_order, Saga[Order])
assert_type(each(lines, reserve_stock, key=sku), Node[Order])
assert_type(tolerate(apply_coupon), Node[Order])
assert_type(parallel(pay_by_card, pay_by_wallet), Node[Order])
assert_type(parallel(notify, by_lambda, join=2), Node[Order])
assert_type(subsaga(shipment, data=parcel_of), Node[Order])
assert_type(subsaga(shipment, data=parcel_of, merge=shipped), Node[Order])
assert_type(when(has_coupon, apply_coupon), Node[Order])


def in_a_transaction(
    order: Order,
    connection: "psycopg.Connection[Any]",
    core: Connection,
    session: Session,
    scoped: scoped_session[Session],
) -> None:
    assert_type(start_in_transaction(connection, place_order, order), str)
    assert_type(start_in_transaction(core, place_order, order), str)
    assert_type(start_in_transaction(session, place_order, order), str)
    assert_type(start_in_transaction(scoped, place_order, order), str)
    signal_in_transaction(session, "o-1", "approval", Approval("x", granted=True))


async def in_an_awaited_transaction(
    order: Order,
    connection: "psycopg.AsyncConnection[Any]",
    core: AsyncConnection,
    session: AsyncSession,
    scoped: async_scoped_session[AsyncSession],
) -> None:
    assert_type(await start_in_transaction(connection, place_order, order), str)
    assert_type(await start_in_transaction(core, place_order, order), str)
    assert_type(await start_in_transaction(session, place_order, order), str)
    assert_type(await start_in_transaction(scoped, place_order, order), str)
    await signal_in_transaction(session, "o-1", "approval", Approval("x", granted=True))
