"""An order across three languages: inventory in Go, payment in Java, shipping in TypeScript.

    saga = ORDER_IN_THREE_LANGUAGES;  data = an Order

Rules: reserve, charge, ship; each step has its undo, and every undo goes by the order alone.

Does not do: know what the services are written in. They are reached by the contract for HTTP participants.
"""

from dataclasses import dataclass
from datetime import timedelta

from amends import Command, Participant, RetryPolicy, Rollback, Saga, Step, sequence

INVENTORY = Participant("inventory")
PAYMENT = Participant("payment")
SHIPPING = Participant("shipping")

OUTLASTING = RetryPolicy(attempts=30, first=timedelta(milliseconds=100), cap=timedelta(seconds=1))
"""Attempts that outlast a service that is started again."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One product, paid from one account, sent to one country."""

    order_id: str
    sku: str = "kettle"
    quantity: int = 1
    account: str = "ada"
    cents: int = 1990
    country: str = "DE"


@dataclass(frozen=True)
class Reference:
    """Under which name a service keeps what it did."""

    reference: str


def reserve(order: Order) -> Command[Reference]:
    return Command("reserve-inventory", _inventory(order))


def release(order: Order, rollback: Rollback[Reference]) -> Command[None]:
    return Command("release-inventory", _inventory(order))


def charge(order: Order) -> Command[Reference]:
    return Command("process-payment", _payment(order))


def refund(order: Order, rollback: Rollback[Reference]) -> Command[None]:
    return Command("refund-payment", _payment(order))


def ship(order: Order) -> Command[Reference]:
    return Command("ship-order", _shipping(order))


def cancel(order: Order, rollback: Rollback[Reference]) -> Command[None]:
    return Command("cancel-shipment", _shipping(order))


def _inventory(order: Order) -> dict[str, object]:
    return {"order_id": order.order_id, "sku": order.sku, "quantity": order.quantity}


def _payment(order: Order) -> dict[str, object]:
    return {"order_id": order.order_id, "account": order.account, "cents": order.cents}


def _shipping(order: Order) -> dict[str, object]:
    return {"order_id": order.order_id, "country": order.country}


ORDER_IN_THREE_LANGUAGES = Saga(
    "order-in-three-languages",
    version=1,
    data=Order,
    body=sequence(
        Step("reserve", INVENTORY, do=reserve, undo=release, retry=OUTLASTING, undo_retry=OUTLASTING),
        Step("charge", PAYMENT, do=charge, undo=refund, retry=OUTLASTING, undo_retry=OUTLASTING),
        Step("ship", SHIPPING, do=ship, undo=cancel, retry=OUTLASTING, undo_retry=OUTLASTING),
    ),
)
