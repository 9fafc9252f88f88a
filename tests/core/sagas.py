"""The reference sagas that the tests of the core drive: the seeds' own, and small ones for single rules.

One attempt each, so that an exploration closes; no replies but where a test is about them.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from amends.core.plan import Plan, compile_saga
from amends.definition import (
    Command,
    Node,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Statuses,
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

ONCE = RetryPolicy(attempts=1, jitter=0)
TWICE = RetryPolicy(attempts=2, first=timedelta(seconds=1), jitter=0)


class Order(msgspec.Struct, frozen=True):
    """The data of most sagas here."""

    lines: tuple[str, ...] = ("a", "b")
    coupon: bool = True
    wallet: bool = True
    total: int = 100


class Receipt(msgspec.Struct, frozen=True):
    number: int


ORDER = msgspec.json.encode(Order())


def at(name: str) -> Participant:
    return Participant(name)


def do_of(name: str) -> Callable[[Any], Command[None]]:
    def do(_data: Any) -> Command[None]:
        return Command(name)

    return do


def undo_of(name: str) -> Callable[[Any, Rollback[Any]], Command[None]]:
    def undo(_data: Any, rollback: Rollback[Any]) -> Command[None]:
        return Command(f"un-{name}", rollback.cause.code)

    return undo


def step(
    name: str, participant: str = "service", *, retry: RetryPolicy = ONCE, **more: Any
) -> Step[Any, None]:
    """A compensatable step without a reply."""
    return Step(
        name,
        at(participant),
        do=do_of(name),
        undo=undo_of(name),
        retry=retry,
        undo_retry=ONCE,
        reply=None,
        **more,
    )


def kept(name: str) -> Step[Any, None]:
    return Step(name, at("service"), do=do_of(name), no_undo="nothing to take back", retry=ONCE)


def pivot(name: str, *, retry: RetryPolicy = ONCE, **more: Any) -> Step[Any, None]:
    return Step(name, at("service"), do=do_of(name), kind="pivot", retry=retry, **more)


def retriable(name: str, *, retry: RetryPolicy = ONCE, **more: Any) -> Step[Any, None]:
    return Step(name, at("service"), do=do_of(name), kind="retriable", retry=retry, **more)


def charge(_data: Order) -> Command[Receipt]:
    return Command("charge", {"total": 100})


def refund(_data: Order, rollback: Rollback[Receipt]) -> Command[None]:
    return Command("refund", None if rollback.reply is None else rollback.reply.number)


def paying(name: str, *, retry: RetryPolicy = ONCE, **more: Any) -> Step[Order, Receipt]:
    """A step whose reply counts."""
    return Step(name, at("payments"), do=charge, undo=refund, retry=retry, undo_retry=ONCE, **more)


def lines(order: Order) -> Sequence[str]:
    return order.lines


def same(item: str) -> str:
    return item


def has_coupon(order: Order) -> bool:
    return order.coupon


def uses_wallet(order: Order) -> bool:
    return order.wallet


def saga(
    body: Node[Order], *, name: str = "test", deadline: timedelta | None = None, **more: Any
) -> Saga[Order]:
    return Saga(name, version=1, data=Order, body=body, deadline=deadline, **more)


def plan(body: Node[Order], *, deadline: timedelta | None = None, **more: Any) -> Plan:
    return compile_saga(saga(body, deadline=deadline, **more))


def undone_before(name: str) -> Node[Any]:
    return on_rollback(name, at("orders"), undo=undo_of(name), undo_retry=ONCE)


def on_each(body: Node[str], name: str | None = None) -> Node[Order]:
    return each(lines, body, key=same, name=name)


def fulfilment() -> Saga[Order]:
    """Seed 001: reserve, pay, ship."""
    return saga(sequence(step("reserve"), step("pay"), step("ship")), name="fulfilment")


ORDER_STATUSES = Statuses(
    started="CREATED", completed="COMPLETED", compensated="CANCELLED", cancelled="CANCELLED"
)


def order() -> Saga[Order]:
    """Seed 003: the order exists before; products, coupon, split payment, approval, and what follows it."""
    body = sequence(
        undone_before("cancel-order"),
        on_each(step("reserve", "products", refused="INVENTORY_ERROR")),
        when(has_coupon, tolerate(step("coupon", "promotions"))),
        parallel(
            step("card", "payments", refused="PAYMENT_FAILED"),
            when(uses_wallet, step("wallet", "payments", refused="PAYMENT_FAILED")),
        ),
        step("confirm", "products"),
        pivot("approve"),
        on_each(retriable("take")),
        retriable("complete"),
    )
    return saga(body, name="order", statuses=ORDER_STATUSES)


BOOKING_STATUSES = Statuses(
    started="CREATED",
    completed="COMPLETED",
    compensating="COMPENSATING",
    compensated="CANCELLED",
    transitions={
        "CREATED": ("WAITING_STOCK", "COMPENSATING"),
        "WAITING_STOCK": ("WAITING_PAYMENT", "COMPENSATING"),
        "WAITING_PAYMENT": ("COMPLETED", "COMPENSATING"),
        "COMPENSATING": ("CANCELLED",),
    },
)


def booking() -> Saga[Order]:
    """Seed 004: one reservation per product, payment, confirmation; cancelled on failure."""
    body = sequence(
        undone_before("cancel-booking"),
        on_each(step("reserve", "products", waiting="WAITING_STOCK")),
        step("pay", "payments", waiting="WAITING_PAYMENT"),
        retriable("confirm"),
    )
    return saga(body, name="booking", statuses=BOOKING_STATUSES)


def offer() -> Saga[Order]:
    """Seed 000: participant, validation, discount, training place."""
    registration = Saga("registration", version=1, data=Order, body=step("register"))
    body = sequence(
        subsaga(registration, data=lambda order: order),
        kept("validate"),
        tolerate(step("discount")),
        step("book-place"),
    )
    return saga(body, name="offer-acceptance")


def any_of() -> Saga[Order]:
    return saga(
        sequence(step("before"), parallel(step("x"), step("y"), join="any"), step("after")), name="any"
    )


def two_of_three() -> Saga[Order]:
    body = sequence(parallel(step("x"), step("y"), tolerate(step("z")), join=2), pivot("commit"))
    return saga(body, name="two-of-three")


def nested_tolerate() -> Saga[Order]:
    inner = tolerate(sequence(step("b"), tolerate(step("c")), step("d")))
    return saga(sequence(step("a"), inner, step("e")), name="nested-tolerate")


def waiting() -> Saga[Order]:
    """Beside a pivot: a wait with another way, a pause, a tolerated step."""
    body = sequence(
        step("a"),
        wait_for(
            "approval",
            bool,
            timeout=timedelta(hours=1),
            accept=lambda _order, yes: yes,
            otherwise=step("ask"),
        ),
        parallel(pivot("p"), tolerate(step("notify")), pause_for(timedelta(minutes=5))),
        retriable("r"),
    )
    return saga(body, name="waiting", deadline=timedelta(days=1))


def boom(*_given: Any) -> Any:
    raise ValueError("boom")


def _raising_node(function: str, inner: Callable[[str], Step[Any, None]]) -> Node[Order]:
    """A node whose `function` raises; `inner` makes the steps in it."""
    child = Saga("child", version=1, data=Order, body=inner("x"))
    nodes: dict[str, Callable[[], Node[Order]]] = {
        "condition": lambda: when(boom, inner("x")),
        "items": lambda: each(boom, inner("x"), key=same, item=str),
        "key": lambda: each(lines, inner("x"), key=boom),
        "collect": lambda: each(lines, inner("x"), key=same, collect=boom),
        "accept": lambda: wait_for("word", int, timeout=timedelta(hours=1), accept=boom),
        "wait-merge": lambda: wait_for("word", int, timeout=None, merge=boom),
        "length": lambda: pause_for(boom),
        "data": lambda: subsaga(child, data=boom),
        "child-merge": lambda: subsaga(child, data=lambda order: order, merge=boom),
        "only_when": lambda: tolerate(inner("x"), only_when=boom),
    }
    return nodes[function]()


RAISING = (
    "condition",
    "items",
    "key",
    "collect",
    "accept",
    "wait-merge",
    "length",
    "data",
    "child-merge",
    "only_when",
)


def raising(function: str) -> Saga[Order]:
    return saga(sequence(step("a"), _raising_node(function, step), step("b")), name="raising")


def raising_behind(function: str) -> Saga[Order]:
    return saga(
        sequence(pivot("p"), _raising_node(function, retriable), retriable("r")), name="raising-behind"
    )


def raising_do() -> Saga[Order]:
    broken = Step("x", at("service"), do=boom, undo=undo_of("x"), reply=type(None))
    return saga(sequence(step("a"), broken), name="raising-do")


def raising_do_retriable() -> Saga[Order]:
    broken = Step("x", at("service"), do=boom, kind="retriable", reply=type(None))
    return saga(sequence(step("a"), broken), name="raising-do-retriable")


def raising_do_behind() -> Saga[Order]:
    broken = Step("x", at("service"), do=boom, kind="retriable", reply=type(None))
    return saga(sequence(pivot("p"), parallel(broken, retriable("r"))), name="raising-do-behind")


def raising_undo() -> Saga[Order]:
    broken = Step("x", at("service"), do=do_of("x"), undo=boom, retry=ONCE, undo_retry=ONCE)
    return saga(sequence(step("a"), broken, step("b")), name="raising-undo")


def raising_merge() -> Saga[Order]:
    return saga(sequence(step("a"), paying("x", merge=boom), step("b")), name="raising-merge")


def raising_merge_behind() -> Saga[Order]:
    broken = Step("p", at("service"), do=charge, kind="pivot", merge=boom)
    return saga(sequence(step("a"), broken, retriable("r")), name="raising-merge-behind")


def raising_beside() -> Saga[Order]:
    """A function raises while a pivot is in flight: the failure waits for it."""
    body = sequence(step("a"), parallel(pivot("p"), when(boom, tolerate(step("x")))), retriable("r"))
    return saga(body, name="raising-beside")


def discounted(data: Order, receipt: Receipt) -> Order:
    return msgspec.structs.replace(data, total=data.total - receipt.number)


def retried() -> Saga[Order]:
    body = sequence(
        paying("pay", retry=TWICE, merge=discounted), pivot("p", retry=TWICE), retriable("r", retry=TWICE)
    )
    return saga(body, name="retried", deadline=timedelta(minutes=10))


def waits() -> Saga[Order]:
    """A wait with another way, and a pause."""
    approval = wait_for(
        "approval",
        bool,
        timeout=timedelta(hours=1),
        accept=lambda _order, yes: yes,
        otherwise=step("ask"),
        waiting="ASKED",
    )
    body = sequence(step("a"), approval, pause_for(timedelta(minutes=5)), step("b"))
    return saga(body, name="waits")


def only_small() -> Saga[Order]:
    body = sequence(step("a"), tolerate(step("x"), only_when=lambda order: order.total < 50), step("b"))
    return saga(body, name="only-small")


def fan() -> Saga[Order]:
    return saga(sequence(on_each(step("x"), name="all"), step("end")), name="fan")


def beside() -> Saga[Order]:
    """A tolerated step beside the pivot."""
    return saga(sequence(step("a"), parallel(pivot("p"), tolerate(step("x"))), retriable("r")), name="beside")


BEHIND = tuple(function for function in RAISING if function not in ("accept", "only_when"))
SAGAS: dict[str, Callable[[], Saga[Order]]] = {
    **{f"raising-{function}": partial(raising, function) for function in RAISING},
    **{f"raising-{function}-behind": partial(raising_behind, function) for function in BEHIND},
    "raising-do": raising_do,
    "raising-do-retriable": raising_do_retriable,
    "raising-do-behind": raising_do_behind,
    "raising-undo": raising_undo,
    "raising-merge": raising_merge,
    "raising-merge-behind": raising_merge_behind,
    "raising-beside": raising_beside,
    "fulfilment": fulfilment,
    "order": order,
    "booking": booking,
    "offer": offer,
    "any": any_of,
    "two-of-three": two_of_three,
    "nested-tolerate": nested_tolerate,
    "waiting": waiting,
    "retried": retried,
    "waits": waits,
    "only-small": only_small,
    "fan": fan,
    "beside": beside,
}
