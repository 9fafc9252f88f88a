"""Does it all add up? The demo's verdict, from the four services' `GET /state` and the cases.

    verdict = check(cases, {"order": …, "product": …, "promotion": …, "payment": …})
    verdict.passed, verdict.checks["money-adds-up"], verdict.explanations["money-adds-up"]

Rules:
- A pure function over the documents: it asks no service and trusts no engine.
- It may be asked only when every saga has ended; a saga that still runs shows as stock that is set aside and the like.
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

from examples.order.cases import OrderCase
from examples.order.messages import amount_due
from examples.running.example import States, Topic
from examples.running.money import ZERO
from examples.running.verdict import Verdict, repeated


class StockLevel(msgspec.Struct, frozen=True, kw_only=True):
    sku: str
    initial: int
    on_hand: int


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    reservation_id: str
    order_id: str
    sku: str
    quantity: int
    state: Literal["reserved", "confirmed", "taken", "released"]


class CouponUse(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    uses: int
    used: int


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    redemption_id: str
    order_id: str
    code: str
    discount: Decimal
    total: Decimal
    state: Literal["redeemed", "cancelled"]


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    initial: Decimal
    balance: Decimal


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    movement_id: str
    kind: Literal["charge", "refund"]
    order_id: str
    payment_ref: str
    account: str
    amount: Decimal

    @property
    def taken(self) -> Decimal:
        """What left the account by it; negative for a refund."""
        return self.amount if self.kind == "charge" else -self.amount


class PlacedOrder(msgspec.Struct, frozen=True, kw_only=True):
    order_id: str
    status: str


class ProductState(msgspec.Struct, frozen=True, kw_only=True):
    products: tuple[StockLevel, ...]
    reservations: tuple[Reservation, ...]


class PromotionState(msgspec.Struct, frozen=True, kw_only=True):
    coupons: tuple[CouponUse, ...]
    redemptions: tuple[Redemption, ...]


class PaymentState(msgspec.Struct, frozen=True, kw_only=True):
    accounts: tuple[Balance, ...]
    movements: tuple[Movement, ...]


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    orders: tuple[PlacedOrder, ...]
    transitions: tuple[PlacedOrder, ...]


@dataclass(frozen=True, kw_only=True)
class World:
    """The four states, read."""

    order: OrderState
    product: ProductState
    promotion: PromotionState
    payment: PaymentState


def check(cases: Sequence[OrderCase], states: States) -> Verdict:
    """Compare what the services hold with what the cases expect."""
    world = World(
        order=msgspec.convert(states["order"], OrderState),
        product=msgspec.convert(states["product"], ProductState),
        promotion=msgspec.convert(states["promotion"], PromotionState),
        payment=msgspec.convert(states["payment"], PaymentState),
    )
    return Verdict.of(
        {
            "order-statuses": _statuses(cases, world.order),
            "order-transitions": _transitions(cases, world.order),
            "stock-adds-up": _stock(world.product),
            "nothing-set-aside": _set_aside(world.product),
            "goods-taken-for-completed-orders-only": _goods(cases, world.product),
            "money-adds-up": _money(world.payment),
            "orders-charged-exactly": _charged(cases, world),
            "coupons-add-up": _coupons(world.promotion),
            "coupons-used-by-completed-orders-only": _redeemed(cases, world.promotion),
            "every-effect-once": _once(world),
        }
    )


def _statuses(cases: Sequence[OrderCase], state: OrderState) -> Iterator[str]:
    found = {order.order_id: order.status for order in state.orders}
    for case in cases:
        status = found.get(case.given.order_id)
        if status != case.expect.business_status:
            yield f"{case.given.order_id} is {status}, expected {case.expect.business_status} ({case.about})"


def _transitions(cases: Sequence[OrderCase], state: OrderState) -> Iterator[str]:
    for case in cases:
        steps = [entry.status for entry in state.transitions if entry.order_id == case.given.order_id]
        approved = ["APPROVED"] if case.is_completed else []
        expected = ["CREATED", *approved, case.expect.business_status]
        if steps != expected:
            yield f"{case.given.order_id} went {' > '.join(steps)}, expected {' > '.join(expected)}"


def _stock(state: ProductState) -> Iterator[str]:
    taken: Counter[str] = Counter()
    for reservation in state.reservations:
        taken[reservation.sku] += reservation.quantity if reservation.state == "taken" else 0
    for level in state.products:
        if level.initial != level.on_hand + taken[level.sku]:
            yield (
                f"{level.sku} began with {level.initial}, but {level.on_hand} on hand "
                f"and {taken[level.sku]} taken make {level.on_hand + taken[level.sku]}"
            )


def _set_aside(state: ProductState) -> Iterator[str]:
    for entry in state.reservations:
        if entry.state in ("reserved", "confirmed"):
            yield f"{entry.reservation_id}: {entry.quantity} of {entry.sku} still {entry.state} for {entry.order_id}"


def _goods(cases: Sequence[OrderCase], state: ProductState) -> Iterator[str]:
    taken: Counter[tuple[str, str]] = Counter()
    for entry in state.reservations:
        if entry.state == "taken":
            taken[entry.order_id, entry.sku] += entry.quantity
    expected: Counter[tuple[str, str]] = Counter()
    for case in cases:
        for line in case.given.lines if case.is_completed else ():
            expected[case.given.order_id, line.sku] += line.quantity
    for order_id, sku in sorted(taken.keys() | expected.keys()):
        if taken[order_id, sku] != expected[order_id, sku]:
            yield (f"{order_id} took {taken[order_id, sku]} of {sku}, expected {expected[order_id, sku]}")


def _money(state: PaymentState) -> Iterator[str]:
    for account in state.accounts:
        moves = [entry.taken for entry in state.movements if entry.account == account.account]
        taken = sum(moves, ZERO)
        if account.initial != account.balance + taken:
            yield (
                f"{account.account} began with {account.initial}, but {account.balance} left "
                f"and {taken} taken make {account.balance + taken}"
            )


def _charged(cases: Sequence[OrderCase], world: World) -> Iterator[str]:
    taken: dict[tuple[str, str], Decimal] = {}
    for entry in world.payment.movements:
        key = entry.order_id, entry.payment_ref
        taken[key] = taken.get(key, ZERO) + entry.taken
    for case in cases:
        order = case.given
        payable = order.total - _discount(order.order_id, world.promotion)
        for payment in order.payments:
            due = amount_due(order.payments, payment, payable=payable) if case.is_completed else ZERO
            paid = taken.pop((order.order_id, payment.payment_ref), ZERO)
            if paid != due:
                yield f"{order.order_id} was charged {paid} by {payment.payment_ref}, expected {due}"
    for (order_id, payment_ref), paid in taken.items():
        if paid != ZERO:
            yield f"{order_id} was charged {paid} by {payment_ref}, which nobody ordered"


def _discount(order_id: str, state: PromotionState) -> Decimal:
    redeemed = (entry for entry in state.redemptions if entry.state == "redeemed")
    return sum((entry.discount for entry in redeemed if entry.order_id == order_id), ZERO)


def _coupons(state: PromotionState) -> Iterator[str]:
    for coupon in state.coupons:
        redeemed = [entry for entry in state.redemptions if entry.code == coupon.code]
        count = sum(entry.state == "redeemed" for entry in redeemed)
        if coupon.used != count or coupon.used > coupon.uses:
            yield f"{coupon.code} counts {coupon.used} of {coupon.uses} uses, {count} orders have redeemed it"


def _redeemed(cases: Sequence[OrderCase], state: PromotionState) -> Iterator[str]:
    may_redeem = {(case.given.order_id, case.given.coupon) for case in cases if case.is_completed}
    for entry in state.redemptions:
        if entry.state == "redeemed" and (entry.order_id, entry.code) not in may_redeem:
            yield f"{entry.redemption_id}: {entry.order_id} has used {entry.code}, but did not complete with it"


def _once(world: World) -> Iterator[str]:
    yield from repeated((f"reserve {e.sku}", e.order_id) for e in world.product.reservations)
    yield from repeated((f"redeem {e.code}", e.order_id) for e in world.promotion.redemptions)
    yield from repeated((f"{e.kind} {e.payment_ref}", e.order_id) for e in world.payment.movements)
    yield from repeated((f"become {e.status}", e.order_id) for e in world.order.transitions)


def _stock_sentence(states: States) -> str:
    levels = msgspec.convert(states["product"], ProductState).products
    pieces = sum(level.initial - level.on_hand for level in levels)
    what = "1 piece" if pieces == 1 else f"{pieces} pieces"
    return f"Stock adds up: {what} left the shelves, all for completed orders; nothing is still set aside."


def _money_sentence(states: States) -> str:
    accounts = msgspec.convert(states["payment"], PaymentState).accounts
    money = sum(account.initial - account.balance for account in accounts)
    return (
        f"Money adds up: {money} left the accounts, exactly what the completed orders cost; all else is back."
    )


TOPICS = (
    Topic(
        subject="Stock does",
        checks=("stock-adds-up", "nothing-set-aside", "goods-taken-for-completed-orders-only"),
        well=_stock_sentence,
    ),
    Topic(subject="Money does", checks=("money-adds-up", "orders-charged-exactly"), well=_money_sentence),
    Topic(
        subject="Coupons do",
        checks=("coupons-add-up", "coupons-used-by-completed-orders-only"),
        well=lambda _: "Coupons add up: only completed orders have used one.",
    ),
    Topic(
        subject="What the orders went through does",
        checks=("order-statuses", "order-transitions", "every-effect-once"),
        well=lambda _: "Each order went through what it should, and nothing happened twice.",
    ),
)
"""What the checks are about, in the order in which it is told."""
