"""Small right pieces from which the tests of definitions are put together, and an untyped way in for wrong ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from amends.definition import (
    Command,
    Node,
    Participant,
    Rollback,
    Saga,
    Step,
    on_rollback,
    sequence,
    wait_for,
)


@dataclass(frozen=True)
class Line:
    sku: str


@dataclass(frozen=True)
class Order:
    order_id: str = "o-1"
    lines: tuple[Line, ...] = ()
    total: int = 0


@dataclass(frozen=True)
class Done:
    reference: str


@dataclass(frozen=True)
class Approval:
    granted: bool


SHOP = Participant("shop")
MINUTE = timedelta(minutes=1)


def do(order: Order) -> Command[Done]:
    return Command("do", order.order_id)


def undo(order: Order, rollback: Rollback[Done]) -> Command[None]:
    return Command("undo", [order.order_id, rollback.cause.code])


def merge(order: Order, done: Done) -> Order:
    return replace(order, order_id=done.reference)


def take_back(order: Order, rollback: Rollback[None]) -> Command[None]:
    return Command("take-back", [order.order_id, rollback.cause.code])


def lines(order: Order) -> Sequence[Line]:
    return order.lines


def sku(line: Line) -> str:
    return line.sku


def do_line(line: Line) -> Command[Done]:
    return Command("do-line", line.sku)


def undo_line(line: Line, rollback: Rollback[Done]) -> Command[None]:
    return Command("undo-line", [line.sku, rollback.cause.code])


def holds(order: Order) -> bool:
    return order.total > 0


def granted(order: Order, approval: Approval) -> bool:
    return approval.granted or holds(order)


def noted(order: Order, approval: Approval) -> Order:
    return replace(order, total=int(approval.granted))


def itself(order: Order) -> Order:
    return order


def step(name: str = "a") -> Step[Order, Done]:
    """A step that can be undone."""
    return Step(name, SHOP, do=do, undo=undo)


def pivot(name: str = "pivot") -> Step[Order, Done]:
    return Step(name, SHOP, do=do, kind="pivot")


def retriable(name: str = "sure") -> Step[Order, Done]:
    return Step(name, SHOP, do=do, kind="retriable")


def line_step(name: str = "line") -> Step[Line, Done]:
    return Step(name, SHOP, do=do_line, undo=undo_line)


def sure_line(name: str = "line") -> Step[Line, Done]:
    return Step(name, SHOP, do=do_line, kind="retriable")


def wait(name: str | None = None) -> Node[Order]:
    return wait_for("approval", Approval, timeout=MINUTE, name=name)


def safety_net(name: str = "net") -> Node[Order]:
    return on_rollback(name, SHOP, undo=take_back)


def saga(*nodes: Node[Order], name: str = "s") -> Saga[Order]:
    return Saga(name, version=1, data=Order, body=sequence(*nodes))


def loose(make: Any, *arguments: Any, **options: Any) -> Any:
    """Call `make` as code does that no type checker has seen."""
    return make(*arguments, **options)


def loose_step(**options: Any) -> Any:
    """A right step but for `options`; None takes an option away."""
    given = {"do": do, "undo": undo, **options}
    return Step("a", SHOP, **{key: value for key, value in given.items() if value is not None})


def loose_saga(**options: Any) -> Any:
    """A right saga but for `options`."""
    given: dict[str, Any] = {"name": "s", "version": 1, "data": Order, "body": step(), **options}
    return Saga(**given)
