"""Walks one case of the demo through the services without an engine: each do in turn, on a no each undo in reverse.

It is no orchestrator (it remembers nothing and dies with its process). It shows that the cases can end as they say.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import msgspec

from examples.order.cases import OrderCase
from examples.order.messages import (
    ApproveOrder,
    CancelCoupon,
    CancelledStatus,
    CancelOrder,
    Charge,
    Charged,
    CompleteOrder,
    ConfirmStock,
    CouponRedeemed,
    Order,
    Payment,
    RedeemCoupon,
    Refund,
    ReleaseStock,
    ReserveStock,
    StockReserved,
    TakeStock,
    UnconfirmStock,
    amount_due,
)
from tests.examples.running.calls import Caller

R = TypeVar("R")


class RolledBack(Exception):
    """The order ends in this status."""

    def __init__(self, status: CancelledStatus) -> None:
        super().__init__(status)
        self.status: CancelledStatus = status


@dataclass
class Walk:
    """One order on its way."""

    caller: Caller
    order: Order
    undos: list[tuple[str, str, str, msgspec.Struct]] = field(default_factory=list)

    async def do(
        self,
        service: str,
        name: str,
        payload: msgspec.Struct,
        *,
        step: str,
        reply: type[R],
        undo: Callable[[R | None], tuple[str, msgspec.Struct]] | None = None,
        or_else: CancelledStatus = "CANCELLED",
    ) -> R:
        """Send; unless refused, remember how to undo it; without a success, turn round."""
        answer = await self.caller.send(service, name, payload, saga=self.order.order_id, step=step)
        succeeded = answer.status == 200
        got = msgspec.json.decode(answer.body, type=reply) if succeeded else None
        if undo is not None and (succeeded or answer.status is None or answer.status >= 500):
            self.undos.append((service, step, *undo(got)))
        if got is None:
            raise RolledBack(or_else)
        return got

    async def back(self) -> None:
        while self.undos:
            service, step, name, payload = self.undos.pop()
            answer = await self.caller.send(
                service, name, payload, saga=self.order.order_id, step=step, undo=True
            )
            assert answer.status == 200, (name, answer)


class Empty(msgspec.Struct, frozen=True):
    """A reply that says no more than that it is done."""


async def walk(caller: Caller, case: OrderCase) -> None:
    """Place the order, let the services misbehave as asked for, go forward, and back if need be."""
    order = case.given
    await caller.post("order", "/orders", order)
    for misbehaving in case.misbehave:
        await caller.post(misbehaving.service, "/misbehave", misbehaving.at(order.order_id))
    going = Walk(caller, order)
    try:
        await forward(going)
    except RolledBack as end:
        await going.back()
        cancel = CancelOrder(order_id=order.order_id, status=end.status, reason="the walk turned round")
        answer = await caller.send(
            "order", "cancel-order", cancel, saga=order.order_id, step="cancel-order", undo=True
        )
        assert answer.status == 200, answer


async def forward(going: Walk) -> None:
    order = going.order
    reservations = (reserve(going, line.sku, line.quantity) for line in order.lines)
    await all_settled(*reservations)
    payable = order.total if order.coupon is None else await redeem(going, order.coupon)
    for payment in order.payments:
        await charge(going, payment, amount_due(order.payments, payment, payable=payable))
    for line in order.lines:
        await confirm(going, line.sku)
    approve = ApproveOrder(order_id=order.order_id)
    await going.do("order", "approve-order", approve, step="approve", reply=Empty, or_else="APPROVAL_REFUSED")
    for line in order.lines:
        take = TakeStock(order_id=order.order_id, sku=line.sku)
        await going.do("product", "take-stock", take, step=f"take[{line.sku}]", reply=Empty)
    complete = CompleteOrder(order_id=order.order_id)
    await going.do("order", "complete-order", complete, step="complete", reply=Empty)


async def all_settled(*branches: Awaitable[None]) -> None:
    """Wait for all of them before one that was refused turns the order round."""
    for end in await asyncio.gather(*branches, return_exceptions=True):
        if end is not None:
            raise end


async def reserve(going: Walk, sku: str, quantity: int) -> None:
    order_id = going.order.order_id

    def release(reply: StockReserved | None) -> tuple[str, msgspec.Struct]:
        known = None if reply is None else reply.reservation_id
        return "release-stock", ReleaseStock(
            order_id=order_id, sku=sku, quantity=quantity, reservation_id=known
        )

    await going.do(
        "product",
        "reserve-stock",
        ReserveStock(order_id=order_id, sku=sku, quantity=quantity),
        step=f"reserve[{sku}]",
        reply=StockReserved,
        undo=release,
        or_else="INVENTORY_ERROR",
    )


async def redeem(going: Walk, code: str) -> Decimal:
    order = going.order

    def cancel(reply: CouponRedeemed | None) -> tuple[str, msgspec.Struct]:
        known = None if reply is None else reply.redemption_id
        return "cancel-coupon", CancelCoupon(order_id=order.order_id, code=code, redemption_id=known)

    wanted = RedeemCoupon(order_id=order.order_id, code=code, total=order.total)
    before = list(going.undos)
    try:
        redeemed = await going.do(
            "promotion",
            "redeem-coupon",
            wanted,
            step="coupon",
            reply=CouponRedeemed,
            undo=cancel,
            or_else="COUPON_REJECTED",
        )
    except RolledBack:
        if order.coupon_policy == "fail":
            raise
        going.undos, kept = going.undos[len(before) :], before
        await going.back()
        going.undos = kept
        return order.total
    return redeemed.total


async def charge(going: Walk, payment: Payment, amount: Decimal) -> None:
    order_id, ref = going.order.order_id, payment.payment_ref

    def refund(reply: Charged | None) -> tuple[str, msgspec.Struct]:
        known = None if reply is None else reply.payment_id
        return "refund", Refund(order_id=order_id, payment_ref=ref, amount=amount, payment_id=known)

    await going.do(
        "payment",
        "charge",
        Charge(
            order_id=order_id, payment_ref=ref, method=payment.method, account=payment.account, amount=amount
        ),
        step=f"pay[{ref}]",
        reply=Charged,
        undo=refund,
        or_else="PAYMENT_FAILED",
    )


async def confirm(going: Walk, sku: str) -> None:
    order_id = going.order.order_id
    await going.do(
        "product",
        "confirm-stock",
        ConfirmStock(order_id=order_id, sku=sku),
        step=f"confirm[{sku}]",
        reply=Empty,
        undo=lambda _: ("unconfirm-stock", UnconfirmStock(order_id=order_id, sku=sku)),
    )
