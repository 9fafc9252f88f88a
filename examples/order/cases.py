"""The order demo's input: orders, how the services misbehave for each, and how each has to end.

Rules: one JSON object per line of `orders.jsonl`, `{"about", "given", "misbehave", "expect"}`; `given` is the order.
"""

from pathlib import Path
from typing import TypeAlias

from examples.order.messages import Order
from examples.running.cases import Case

OrderCase: TypeAlias = Case[Order]

SERVICES = {
    name: f"examples.order.participants.{name}_service"
    for name in ("order", "product", "promotion", "payment")
}
ORDERS = Path(__file__).with_name("orders.jsonl")
SEED = Path(__file__).with_name("seed.json")
