"""Whatever stands in a definition: the linter answers with findings, and what it lets through can be compiled."""

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st

from amends.core.plan import compile_saga
from amends.definition import (
    RULES,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Statuses,
    Step,
    each,
    fingerprint,
    lint,
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
    lines,
    merge,
    noted,
    sku,
    take_back,
    undo,
    undo_line,
)


class Rude:
    """What one asks of it raises."""

    def __eq__(self, other: object) -> bool:
        raise ValueError

    def __bool__(self) -> bool:
        raise ValueError

    def __hash__(self) -> int:
        raise TypeError


JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "a", "a/b", "ä", "x" * 300, b"a",
    [], (), {}, {1: 2}, [["a"]], {"a"}, object(), object, type, int, Rude(), Rude, Order, Order(), Line, lint,
    timedelta(0), timedelta.max, timedelta.min, MINUTE, SHOP, Participant(""), RetryPolicy(attempts=0), Statuses(),
    Rollback, do, undo, take_back, len, print, lambda: None, list[int], "list[Missing]", int | str, Any, ...,
    NotImplemented, ValueError("a"), Saga("s", version=1, data=Order, body=sequence()),
    Statuses(transitions={"a": ("b",)}), st.integers(), range(3), memoryview(b"a"),
]  # fmt: skip

junk = st.sampled_from(JUNK)


def mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Once in a while something that does not belong there."""
    return st.integers(0, 39).flatmap(lambda die: junk if die == 0 else right)


def given_or_junk(*right: Any) -> st.SearchStrategy[Any]:
    """Mostly one of the right values."""
    return mostly(st.sampled_from(right))


names = given_or_junk(*(f"n{number}" for number in range(2000)))
no_or_name = given_or_junk(None, None, None, *(f"m{number}" for number in range(500)))
timeouts = given_or_junk(MINUTE, timedelta(days=1))
policies = mostly(
    st.builds(
        RetryPolicy,
        attempts=given_or_junk(1, 5),
        first=given_or_junk(timedelta(0), MINUTE),
        backoff=given_or_junk("fixed", "linear"),
        cap=given_or_junk(MINUTE),
        jitter=given_or_junk(0, 0.5),
    )
)
statuses = given_or_junk(None, "WAITING")


def step(make_do: Any, make_undo: Any) -> st.SearchStrategy[Any]:
    options = st.fixed_dictionaries(
        {"do": given_or_junk(make_do), "undo": given_or_junk(make_undo)},
        optional={
            "no_undo": given_or_junk(None),
            "kind": given_or_junk("compensatable"),
            "merge": given_or_junk(None, merge),
            "retry": policies,
            "undo_retry": policies,
            "timeout": timeouts,
            "reply": given_or_junk(None, Done),
            "waiting": statuses,
            "refused": statuses,
        },
    )
    return st.builds(lambda name, at, given: Step(name, at, **given), names, given_or_junk(SHOP), options)


def build(
    make: Any, *arguments: st.SearchStrategy[Any], **options: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Call `make` as code without a type checker does."""
    return st.builds(make, *arguments, **options)


item_steps = step(do_line, undo_line)


def compositions(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    node, several = mostly(children), st.lists(children, min_size=1, max_size=4)
    join = given_or_junk("all", "any", 1)
    function = given_or_junk(holds)
    return st.one_of(
        several.map(lambda nodes: sequence(*nodes)),
        build(lambda nodes, join: parallel(*nodes, join=join), several, join),
        build(each, given_or_junk(lines), mostly(item_steps), key=given_or_junk(sku), collect=given_or_junk(None)),
        build(when, function, node, given_or_junk(None) | children, name=no_or_name),
        build(tolerate, node, only_when=given_or_junk(None, holds), name=no_or_name),
        build(
            wait_for,
            names,
            given_or_junk(Approval),
            timeout=given_or_junk(None, MINUTE),
            merge=given_or_junk(None, noted),
            accept=given_or_junk(None, granted),
            otherwise=given_or_junk(None) | children,
            waiting=statuses,
        ),
        build(subsaga, mostly(sagas(children)), data=given_or_junk(itself), merge=given_or_junk(None), name=no_or_name),
    )  # fmt: skip


def sagas(body: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    own = given_or_junk(Statuses()) | st.builds(
        Statuses, started=statuses, completed=statuses, transitions=junk
    )
    return build(
        Saga,
        names,
        version=given_or_junk(1),
        data=given_or_junk(Order),
        body=body,
        deadline=given_or_junk(None, MINUTE),
        statuses=own,
    )


leaves = st.one_of(
    step(do, undo),
    build(on_rollback, names, given_or_junk(SHOP), undo=given_or_junk(take_back), undo_retry=policies),
    build(pause_for, timeouts, waiting=statuses),
)
trees = st.recursive(leaves, compositions, max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(mostly(sagas(trees)))
def test_the_linter_never_raises_and_what_it_lets_through_compiles(definition: Any) -> None:
    findings = lint(definition)
    assert all(finding.code in RULES and str(finding) for finding in findings)
    if all(finding.severity == "warning" for finding in findings):
        plan = compile_saga(definition)
        assert plan.shape == shape(definition)
        assert isinstance(msgspec.json.decode(plan.shape), dict)
        assert plan.fingerprint == fingerprint(definition)


def right_step(number: int) -> Any:
    return Step(f"a{number}", SHOP, do=do, undo=undo)


def numbered(tree: Any) -> Any:
    """Give the steps of a tree of lists different names."""
    counter = iter(range(10_000))

    def node(part: Any) -> Any:
        if part is None:
            return right_step(next(counter))
        kind, children = part
        made = [node(child) for child in children]
        return {"sequence": sequence, "parallel": parallel}[kind](*made)

    return node(tree)


parts = st.recursive(
    st.none(),
    lambda children: st.tuples(
        st.sampled_from(["sequence", "parallel"]), st.lists(children, min_size=1, max_size=4)
    ),
    max_leaves=30,
)


@given(parts)
def test_a_tree_of_right_nodes_has_no_findings(tree: Any) -> None:
    definition = Saga("s", version=1, data=Order, body=numbered(tree))
    assert lint(definition) == []
    assert compile_saga(definition).shape == shape(Saga("s", version=1, data=Order, body=numbered(tree)))
