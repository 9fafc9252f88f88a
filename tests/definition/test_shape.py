"""The shape of a saga and its fingerprint: canonical, small, and different whenever something that matters is."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from amends.definition import (
    Command,
    Node,
    Participant,
    RetryPolicy,
    Saga,
    Statuses,
    Step,
    each,
    fingerprint,
    on_rollback,
    parallel,
    pause_for,
    sequence,
    shape,
    subsaga,
    tolerate,
    wait_for,
    when,
)
from examples.order.saga import ORDER
from tests.definition.pieces import (
    MINUTE,
    SHOP,
    Approval,
    Done,
    Line,
    Order,
    do,
    do_line,
    granted,
    holds,
    itself,
    line_step,
    lines,
    loose,
    merge,
    noted,
    saga,
    sku,
    step,
    take_back,
    undo,
    undo_line,
)

ROOT = Path(__file__).resolve().parents[2]
APPROVED = Path(__file__).with_name("order_shape.json")
OTHER = Participant("other")
LENGTH = timedelta(seconds=90)
POLICY = RetryPolicy(attempts=2)


def do_otherwise(order: Order) -> Command[Done]:
    return do(order)


def test_a_fulfilment_of_three_steps_stays_small() -> None:
    def plain(name: str, at: str) -> Any:
        return Step(name, Participant(at), do=do, undo=undo)

    steps = (plain("reserve", "inventory"), plain("pay", "payments"), plain("ship", "shipping"))
    fulfilment = Saga("order-fulfilment", version=1, data=Order, body=sequence(*steps))
    assert len(shape(fulfilment)) <= 350
    assert shape(fulfilment) == (
        b'{"body":{"sequence":['
        b'{"at":"inventory","do":"do","step":"reserve","undo":"undo"},'
        b'{"at":"payments","do":"do","step":"pay","undo":"undo"},'
        b'{"at":"shipping","do":"do","step":"ship","undo":"undo"}'
        b']},"data":"Order","saga":"order-fulfilment","version":1}'
    )


def test_the_shape_of_the_order_saga_is_the_approved_one() -> None:
    """When the definition was changed on purpose: write the new shape into the file and read the difference."""
    now = msgspec.json.format(shape(ORDER), indent=2).decode() + "\n"
    assert now == APPROVED.read_text(encoding="utf-8"), f"the new shape, for {APPROVED.name}:\n{now}"


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_another_process_makes_the_same(seed: str) -> None:
    code = "from amends.definition import fingerprint; from examples.order.saga import ORDER; print(fingerprint(ORDER))"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == fingerprint(ORDER)


def test_the_same_definition_made_twice_has_one_fingerprint() -> None:
    assert fingerprint(saga(step(), step("b"))) == fingerprint(saga(step(), step("b")))
    assert len(fingerprint(saga(step()))) == 16


STATUSES = {
    "started": "A",
    "completed": "B",
    "compensating": "C",
    "compensated": "D",
    "cancelled": "E",
    "transitions": {"A": ("B",)},
}
SAGA: dict[str, Any] = {
    "name": "other",
    "version": 2,
    "data": Line,
    "body": step("b"),
    "deadline": LENGTH,
    "statuses": Statuses(started="NEW"),
}
STEP: dict[str, Any] = {
    "name": "other",
    "participant": OTHER,
    "do": do_otherwise,
    "undo": partial(undo),
    "no_undo": "why",
    "kind": "pivot",
    "merge": merge,
    "retry": POLICY,
    "undo_retry": POLICY,
    "timeout": LENGTH,
    "reply": Done,
    "waiting": "WAITING",
    "refused": "REFUSED",
}
POLICIES: dict[str, Any] = {
    "attempts": 7,
    "first": LENGTH,
    "backoff": "linear",
    "cap": LENGTH,
    "jitter": 0.5,
}
NODES: list[tuple[Any, dict[str, Any]]] = [
    (
        partial(on_rollback, name="net", participant=SHOP, undo=take_back),
        {"name": "other", "participant": OTHER, "undo": undo, "undo_retry": POLICY, "timeout": LENGTH},
    ),
    (
        partial(each, items=lines, body=line_step(), key=sku),
        {
            "items": itself,
            "body": line_step("b"),
            "key": do_line,
            "collect": merge,
            "item": Line,
            "name": "other",
        },
    ),
    (
        partial(when, condition=holds, node=step()),
        {"condition": itself, "node": step("b"), "otherwise": step("b"), "name": "other"},
    ),
    (partial(tolerate, node=step()), {"node": step("b"), "only_when": holds, "name": "other"}),
    (
        partial(wait_for, signal="go", content=Approval, timeout=MINUTE),
        {
            "signal": "other",
            "content": Done,
            "timeout": LENGTH,
            "merge": noted,
            "accept": granted,
            "otherwise": step(),
            "waiting": "WAITING",
            "refused": "REFUSED",
            "name": "other",
        },
    ),
    (partial(pause_for, length=MINUTE), {"length": LENGTH, "waiting": "WAITING", "name": "other"}),
    (
        partial(subsaga, saga(step()), data=itself),
        {"data": merge, "merge": merge, "name": "other"},
    ),
]


def changed(base: Any, field: str, value: Any) -> Any:
    """A saga or step but for one field; a step puts its defaults in anew."""
    given = {name: getattr(base, name) for name in type(base).__dataclass_fields__}
    return type(base)(**{**given, field: value})


def distinct(*definitions: Any) -> bool:
    return len({fingerprint(definition) for definition in definitions}) == len(definitions)


@pytest.mark.parametrize("field", SAGA)
def test_each_field_of_a_saga_counts(field: str) -> None:
    assert distinct(saga(step()), changed(saga(step()), field, SAGA[field]))


@pytest.mark.parametrize("field", STATUSES)
def test_each_business_status_counts(field: str) -> None:
    assert distinct(saga(step()), replace(saga(step()), statuses=loose(Statuses, **{field: STATUSES[field]})))


@pytest.mark.parametrize("field", STEP)
def test_each_field_of_a_step_counts(field: str) -> None:
    assert distinct(saga(step()), saga(changed(step(), field, STEP[field])))


@pytest.mark.parametrize("field", POLICIES)
def test_each_field_of_a_policy_counts(field: str) -> None:
    policy = loose(RetryPolicy, **{field: POLICIES[field]})
    for what in ("retry", "undo_retry"):
        assert distinct(saga(step()), saga(changed(step(), what, policy)))


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [(make, field, value) for make, changes in NODES for field, value in changes.items()],
    ids=[f"{make.func.__name__}-{field}" for make, changes in NODES for field in changes],
)
def test_each_field_of_a_node_counts(make: Any, field: str, value: Any) -> None:
    assert distinct(saga(make()), saga(make(**{field: value})))


def test_every_field_there_is_was_changed() -> None:
    assert set(STEP) == set(Step.__dataclass_fields__)
    assert set(SAGA) == set(Saga.__dataclass_fields__)
    assert set(STATUSES) == set(Statuses.__dataclass_fields__)
    assert set(POLICIES) == set(RetryPolicy.__struct_fields__)
    for make, changes in NODES:
        fields = set(type(make()).__dataclass_fields__)
        assert fields == set(changes) | ({"saga"} if make.func is subsaga else set())


def test_order_and_composition_count() -> None:
    a, b = step(), step("b")
    assert distinct(
        saga(a, b),
        saga(b, a),
        saga(sequence(a, b)),
        saga(parallel(a, b)),
        saga(parallel(a, b, join="any")),
        saga(parallel(a, b, join=2)),
        saga(parallel(a, b, name="both")),
        saga(sequence(a, b, name="both")),
        saga(subsaga(saga(a, b), data=itself)),
        saga(subsaga(saga(b, a), data=itself)),
    )


def test_a_function_shows_by_its_name() -> None:
    class Shop:
        def charge(self, order: Order) -> Command[Done]:
            return do(order)

        def __call__(self, order: Order) -> Command[Done]:
            return do(order)

    functions = [do, Shop().charge, Shop(), partial(do), lambda order: Command("do", order)]
    shapes = [shape(saga(changed(step(), "do", function))) for function in functions]
    names = [msgspec.json.decode(each_shape)["body"]["sequence"][0]["do"] for each_shape in shapes]
    assert names == ["do", "Shop.charge", "Shop", "partial do", "<lambda>"]


def test_a_type_shows_with_its_arguments() -> None:
    def content(of: Any) -> str:
        node: Node[Order] = wait_for("go", of, timeout=MINUTE)
        return str(msgspec.json.decode(shape(saga(node)))["body"]["sequence"][0]["content"])

    shown = [content(of) for of in (Done, list[Done], dict[str, list[int]], tuple[Done, ...])]
    assert shown == ["Done", "list[Done]", "dict[str, list[int]]", "tuple[Done, Ellipsis]"]


def test_what_is_as_it_always_is_stays_out() -> None:
    assert shape(saga(step())) == (
        b'{"body":{"sequence":[{"at":"shop","do":"do","step":"a","undo":"undo"}]},"data":"Order","saga":"s","version":1}'
    )
    assert undo_line.__name__ not in shape(saga(step())).decode()
