"""The demo's input: orders, how the services misbehave for each, and how each has to end.

Rules: one JSON object per line of `orders.jsonl`, `{"order", "misbehave", "expect"}`; a line that is wrong is named.
"""

from pathlib import Path
from typing import Literal

import msgspec

from examples.order.messages import Order, OrderStatus
from examples.order.participants.misbehaviour import Misbehave

ServiceName = Literal["order", "product", "promotion", "payment"]
SERVICES: tuple[ServiceName, ...] = ("order", "product", "promotion", "payment")

ORDERS = Path(__file__).with_name("orders.jsonl")
SEED = Path(__file__).with_name("seed.json")


class Misbehaving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which service goes wrong, at which command, how."""

    service: ServiceName
    command: str
    how: Literal["decline", "slow", "unavailable", "hang", "crash"]
    times: int = 1
    seconds: float = 0.0

    def for_order(self, order_id: str) -> Misbehave:
        """What `POST /misbehave` of that service takes."""
        return Misbehave(
            command=self.command, order_id=order_id, how=self.how, times=self.times, seconds=self.seconds
        )


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the saga ends, and as what the order service keeps the order."""

    status: Literal["completed", "compensated"]
    business_status: OrderStatus


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One order of the demo."""

    about: str
    order: Order
    expect: Expected
    misbehave: tuple[Misbehaving, ...] = ()


def load_cases(path: Path = ORDERS) -> tuple[Case, ...]:
    """Read the cases; ValueError names the file and the line of the first that is wrong."""
    cases: list[Case] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            cases.append(msgspec.json.decode(line, type=Case))
        except msgspec.MsgspecError as error:
            message = f"{path}:{number}: {error}"
            raise ValueError(message) from error
    return tuple(cases)
