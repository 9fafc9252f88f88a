"""Order fulfilment, as its blueprint draws it: reserve the inventory, process the payment, ship the order.

    saga = ORDER_FULFILMENT;  data = an Order

Read it from the end: `ORDER_FULFILMENT` is the process, what stands above it are its words.

Rules:
- For every do there is an undo. Whatever turns the saga round, what was done is undone in reverse: the shipment, the
  payment, the inventory.
- A transient failure is retried; `Declined` is a business no and turns the saga round at once.
- No trustworthy answer is treated as "it may have happened": the step is undone as well, by the order alone.

Does not do: talk to the services (bindings do), or decide what happens when (the engine does).
"""

from datetime import timedelta

from amends import Command, Participant, RetryPolicy, Rollback, Saga, Statuses, Step, sequence
from examples.fulfilment.messages import (
    CancelShipment,
    Order,
    ProcessPayment,
    RefundPayment,
    ReleaseInventory,
    ReserveInventory,
    ShipOrder,
    Success,
)

INVENTORY = Participant("inventory")
PAYMENT = Participant("payment")
SHIPPING = Participant("shipping")

PROMPT = timedelta(seconds=1)
"""How long one answer is waited for."""
BRIEF = RetryPolicy(attempts=8, first=timedelta(milliseconds=500), cap=timedelta(seconds=2))
"""A do gives up soon, so that a customer knows; the pauses outlast a service that starts again."""
PATIENT = RetryPolicy(attempts=15, first=timedelta(milliseconds=250), cap=timedelta(seconds=30))
"""An undo must happen."""


def _known(rollback: Rollback[Success]) -> str | None:
    """Under which reference the do is known to have happened."""
    return rollback.reply.reference if rollback.reply else None


def reserve(order: Order) -> Command[Success]:
    return Command("ReserveInventory", ReserveInventory(order_id=order.order_id, items=order.items))


def release(order: Order, rollback: Rollback[Success]) -> Command[Success]:
    return Command("ReleaseInventory", ReleaseInventory(order_id=order.order_id, reference=_known(rollback)))


def pay(order: Order) -> Command[Success]:
    payment = ProcessPayment(order_id=order.order_id, account=order.account, amount=order.amount)
    return Command("ProcessPayment", payment)


def refund(order: Order, rollback: Rollback[Success]) -> Command[Success]:
    return Command("RefundPayment", RefundPayment(order_id=order.order_id, reference=_known(rollback)))


def ship(order: Order) -> Command[Success]:
    shipment = ShipOrder(order_id=order.order_id, items=order.items, country=order.country)
    return Command("ShipOrder", shipment)


def cancel_shipment(order: Order, rollback: Rollback[Success]) -> Command[Success]:
    return Command("CancelShipment", CancelShipment(order_id=order.order_id, reference=_known(rollback)))


reserve_inventory = Step(
    "reserve-inventory",
    INVENTORY,
    do=reserve,
    undo=release,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="RESERVING",
    refused="NOT_IN_STOCK",
)
process_payment = Step(
    "process-payment",
    PAYMENT,
    do=pay,
    undo=refund,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="PAYING",
    refused="NOT_PAID",
)
ship_order = Step(
    "ship-order",
    SHIPPING,
    do=ship,
    undo=cancel_shipment,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="SHIPPING",
    refused="NOT_SHIPPED",
)

STATUSES = Statuses(
    started="RECEIVED",
    completed="FULFILLED",
    cancelled="CANCELLED",
    transitions={
        "RECEIVED": ("RESERVING", "CANCELLED"),
        "RESERVING": ("PAYING", "NOT_IN_STOCK", "CANCELLED"),
        "PAYING": ("SHIPPING", "NOT_PAID", "CANCELLED"),
        "SHIPPING": ("FULFILLED", "NOT_SHIPPED", "CANCELLED"),
    },
)

ORDER_FULFILMENT = Saga(
    "order-fulfilment",
    version=1,
    data=Order,
    statuses=STATUSES,
    deadline=timedelta(minutes=15),
    body=sequence(reserve_inventory, process_payment, ship_order),
)
