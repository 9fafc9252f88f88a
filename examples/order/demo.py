"""The order demo: real orders, through four real services, to their end, and the declined ones undone.

    amends demo order                          from the source checkout; or make demo
    amends demo order --json                   one JSON document, exit code 0 only if all is well

Rules: what a demo is, `examples/running/main.py` says.
"""

import sys
from pathlib import Path

from examples.order.cases import ORDERS, SEED, SERVICES
from examples.order.checks import TOPICS, check
from examples.order.messages import Order
from examples.order.saga import ORDER, OrderData
from examples.running.cases import Case
from examples.running.example import Example, Post
from examples.running.main import main


def order_id(order: Order) -> str:
    return order.order_id


def data(order: Order) -> OrderData:
    return OrderData(order=order)


def placed(order: Order) -> tuple[Post, ...]:
    """The order exists before its saga."""
    return (Post(service="order", path="/orders", body=order),)


EXAMPLE = Example(
    name="order",
    noun="order",
    services=SERVICES,
    seed=SEED,
    cases=ORDERS,
    case=Case[Order],
    key=order_id,
    saga=ORDER,
    data=data,
    check=check,
    topics=TOPICS,
    before=placed,
    kafka=Path(__file__).with_name("kafka.yaml"),
)

if __name__ == "__main__":
    sys.exit(main(EXAMPLE))
