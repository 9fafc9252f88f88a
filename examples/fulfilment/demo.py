"""The fulfilment demo: orders through inventory, payment and shipping, to their end, and the declined ones undone.

    amends demo fulfilment                     from the source checkout
    amends demo fulfilment --json              one JSON document, exit code 0 only if all is well

Rules: what a demo is, `examples/running/main.py` says.
"""

import sys
from pathlib import Path

from examples.fulfilment.checks import TOPICS, check
from examples.fulfilment.messages import Order
from examples.fulfilment.saga import ORDER_FULFILMENT
from examples.running.cases import Case
from examples.running.example import Example
from examples.running.main import main


def order_id(order: Order) -> str:
    return order.order_id


def data(order: Order) -> Order:
    return order


EXAMPLE = Example(
    name="fulfilment",
    noun="order",
    services={
        name: f"examples.fulfilment.participants.{name}_service"
        for name in ("inventory", "payment", "shipping")
    },
    seed=Path(__file__).with_name("seed.json"),
    cases=Path(__file__).with_name("orders.jsonl"),
    case=Case[Order],
    key=order_id,
    saga=ORDER_FULFILMENT,
    data=data,
    check=check,
    topics=TOPICS,
)

if __name__ == "__main__":
    sys.exit(main(EXAMPLE))
