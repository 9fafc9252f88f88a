"""Each rule of the linter: a definition that breaks it, and one that all but does."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from amends.core.plan import compile_saga
from amends.definition import (
    RULES,
    DefinitionError,
    Participant,
    RetryPolicy,
    Saga,
    Statuses,
    Step,
    each,
    lint,
    parallel,
    pause_for,
    sequence,
    subsaga,
    tolerate,
    wait_for,
    when,
)
from amends.definition.lint import MOST_DEPTH, MOST_NODES
from tests.definition.lint_page import PAGE, REGENERATE, page
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
    loose_saga,
    loose_step,
    merge,
    noted,
    pivot,
    retriable,
    safety_net,
    saga,
    sku,
    step,
    sure_line,
    undo,
    undo_line,
    wait,
)


class Opaque:
    """A class that nothing can read from JSON."""


def nested(depth: int) -> Any:
    node: Any = step()
    for _ in range(depth):
        node = sequence(node)
    return node


def unannotated(order):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return do(order)


async def later(order: Order) -> Any:
    return do(order)


def pivot_line() -> Step[Line, Done]:
    return Step("line", SHOP, do=do_line, kind="pivot")


def mixed_lines() -> Any:
    return sequence(line_step("before"), sure_line("after"))


def retried(**policy: Any) -> Any:
    return saga(loose_step(retry=RetryPolicy(**policy)))


def timed(timeout: Any) -> Any:
    return saga(loose_step(timeout=timeout))


TRANSITIONS = {"NEW": ("WAITING",), "WAITING": ("PAID",)}


@dataclass(frozen=True)
class Case:
    code: str
    place: str
    wrong: Any
    near_miss: Any


def short_waits(*contents: type[Any]) -> Any:
    """One signal, waited for with these contents."""
    return saga(
        *(wait_for("go", content, timeout=MINUTE, name=f"w{i}") for i, content in enumerate(contents))
    )


CASES = [
    Case("AM001", "s/a", saga(loose_step(undo=None)), saga(Step("a", SHOP, do=do, no_undo="a letter"))),
    Case("AM001", "s/a", saga(loose_step(undo=None, no_undo="  ")), saga(step())),
    Case("AM002", "s/a", saga(loose_step(kind="pivot")), saga(pivot())),
    Case("AM002", "s/a", saga(loose_step(no_undo="why")), saga(step())),
    Case("AM003", "s/a", saga(pivot(), step()), saga(step(), pivot(), retriable())),
    Case("AM003", "s/when/a", saga(retriable(), when(holds, step())), saga(step(), when(holds, retriable()))),
    Case("AM003", "s/b", saga(when(holds, pivot()), step("b")), saga(when(holds, step()), step("b"), pivot())),
    Case("AM004", "s/late", saga(pivot(), pivot("late")), saga(pivot(), retriable("late"))),
    Case("AM004", "s/b", saga(when(holds, pivot()), pivot("b")), saga(when(holds, pivot("a"), pivot("b")))),
    Case("AM005", "s/tolerate", saga(tolerate(pivot())), saga(tolerate(step()), pivot())),
    Case(
        "AM006",
        "s/parallel",
        saga(parallel(step(), retriable(), join="any")),
        saga(parallel(step(), step("b"), join="any"), retriable()),
    ),
    Case("AM007", "s/each", saga(each(lines, pivot_line(), key=sku)), saga(each(lines, sure_line(), key=sku))),
    Case("AM008", "s/parallel", saga(parallel(step(), pivot())), saga(parallel(retriable(), retriable("b")))),
    Case(
        "AM008",
        "s/each",
        saga(each(lines, mixed_lines(), key=sku)),
        saga(pivot(), each(lines, sure_line(), key=sku)),
    ),
    Case("AM009", "s/a", saga(step(), step()), saga(step(), step("A"))),
    Case("AM009", "s/sub", saga(step("sub"), subsaga(saga(step(), name="sub"), data=itself)),
         saga(step(), subsaga(saga(step(), name="sub"), data=itself))),
    Case("AM010", "s/'a b'", saga(step("a b")), saga(step("a-b"))),
    Case("AM010", "s/'ärger'", saga(step("ärger")), saga(step("a" * 100))),
    Case("AM010", "s/a", saga(loose(Step, "a", Participant("my shop"), do=do, undo=undo)), saga(step())),
    Case("AM011", "s/go", saga(wait_for("go", Approval, timeout=None)), saga(wait())),
    Case(
        "AM012",
        "s/approval",
        saga(pivot(), wait_for("approval", Approval, timeout=MINUTE, accept=granted, otherwise=retriable())),
        saga(pivot(), wait_for("approval", Approval, timeout=MINUTE, merge=noted, otherwise=retriable())),
    ),
    Case("AM012", "s/approval", saga(pivot(), wait()), saga(wait(), pivot())),
    Case("AM013", "s/a", saga(loose_step(do=unannotated)), saga(loose_step(do=unannotated, reply=Done))),
    Case("AM014", "s/each", saga(loose(each, lambda order: order.lines, line_step(), key=sku)),
         saga(loose(each, lambda order: order.lines, line_step(), key=sku, item=Line))),
    Case("AM015", "s", saga(), saga(step())),
    Case("AM015", "s/parallel", saga(parallel()), saga(parallel(step()))),
    Case("AM016", "s/parallel", saga(parallel(step(), join=2)), saga(parallel(step(), join=1))),
    Case("AM016", "s/parallel", saga(loose(parallel, step(), join="most")), saga(parallel(step(), join="any"))),
    Case("AM017", "s", loose_saga(version=0), loose_saga(version=1)),
    Case("AM017", "s", loose_saga(deadline=timedelta(0)), loose_saga(deadline=MINUTE)),
    Case("AM017", "s/a", timed(timedelta(0)), timed(timedelta(microseconds=1))),
    Case("AM017", "s/a", timed(timedelta(days=3661)), timed(timedelta(days=3660))),
    Case("AM017", "s/pause", saga(pause_for(-MINUTE)), saga(pause_for(MINUTE))),
    Case("AM017", "s/a", retried(attempts=-1), retried(attempts=1)),
    Case("AM017", "s/a", retried(jitter=2), retried(jitter=1)),
    Case("AM017", "s/a", retried(jitter=float("nan")), retried(jitter=0)),
    Case("AM017", "s/a", retried(first=2 * MINUTE, cap=MINUTE),
         retried(first=MINUTE, cap=MINUTE)),
    Case("AM017", "s/a", retried(backoff="0.5"),
         retried(backoff="linear")),
    Case("AM017", "s/a", saga(loose_step(waiting="")), saga(loose_step(waiting="W"))),
    Case("AM018", "s/w1", short_waits(Approval, Done), short_waits(Approval, Approval)),
    Case("AM019", "s/a", loose_saga(body=loose_step(waiting="PAYED"), statuses=Statuses(transitions=TRANSITIONS)),
         loose_saga(body=loose_step(waiting="PAID"), statuses=Statuses(transitions=TRANSITIONS))),
    Case("AM019", "s", loose_saga(statuses=Statuses(started="OLD", transitions=TRANSITIONS)),
         loose_saga(statuses=Statuses(started="NEW", transitions=TRANSITIONS))),
    Case("AM020", "s/sub", saga(subsaga(loose_saga(name="sub", deadline=MINUTE), data=itself)),
         saga(subsaga(loose_saga(name="sub"), data=itself))),
    Case("AM021", "s/net", saga(pivot(), safety_net()), saga(safety_net(), pivot())),
    Case("AM022", "s", saga(nested(MOST_DEPTH)), saga(nested(MOST_DEPTH - 2))),
    Case("AM022", "s", saga(*(step(f"a{i}") for i in range(MOST_NODES + 1))),
         saga(*(step(f"a{i}") for i in range(MOST_NODES - 1)))),
    Case("AM022", "s", saga(nested(3000)), saga(nested(3))),
    Case("AM023", "s/a", saga(loose(Step, "a", "shop", do=do, undo=undo)), saga(step())),
    Case("AM023", "s/a", timed(30), timed(timedelta(seconds=30))),
    Case("AM023", "s/a", saga(loose_step(retry=3)), retried(attempts=3)),
    Case("AM023", "s/a", saga(loose_step(retry=0)), retried()),
    Case("AM023", "s/a", saga(loose_step(kind="critical", undo=None)), saga(loose_step(kind="retriable", undo=None))),
    Case("AM023", "s/a", saga(loose_step(do=do(Order()))), saga(step())),
    Case("AM023", "s", loose_saga(body=[step()]), loose_saga(body=step())),
    Case("AM023", "s", loose_saga(statuses={"started": "NEW"}), loose_saga(statuses=Statuses(started="NEW"))),
    Case("AM023", "s", loose_saga(statuses=Statuses(transitions=loose(dict, NEW="PAID"))),
         loose_saga(statuses=Statuses(transitions={"NEW": ("PAID",)}))),
    Case("AM023", "definition", None, saga(step())),
    Case(
        "AM027",
        "s/tolerate",
        saga(tolerate(sequence(Step("m", SHOP, do=do, undo=undo, merge=merge), step("b")))),
        saga(tolerate(Step("m", SHOP, do=do, undo=undo, merge=merge)), step("b")),
    ),
    Case(
        "AM027",
        "s/parallel",
        saga(parallel(sequence(Step("m", SHOP, do=do, undo=undo, merge=merge), step("b")), step(), join="any")),
        saga(parallel(sequence(Step("m", SHOP, do=do, undo=undo, merge=merge), step("b")), step())),
    ),
    Case("AM024", "s/a", saga(Step("a", SHOP, do=do, no_undo="a letter")), saga(step())),
    Case("AM025", "s", loose_saga(data=Opaque), loose_saga(data=dict[str, int])),
    Case("AM025", "s", loose_saga(data="Order"), loose_saga(data=Order)),
    Case("AM025", "s/a", saga(loose_step(reply=Opaque)), saga(loose_step(reply=Done))),
    Case("AM026", "s/a", saga(loose_step(undo=do)), saga(loose_step(undo=undo))),
    Case("AM026", "s/a", saga(loose_step(do=later, reply=Done)), saga(loose_step(do=do))),
    Case("AM026", "s/each", saga(loose(each, lines, line_step(), key=undo_line)),
         saga(loose(each, lines, line_step(), key=lambda line, width=3: line.sku[:width]))),
]  # fmt: skip


NAMED = [pytest.param(case, id=f"{case.code}-{number}") for number, case in enumerate(CASES)]


def found(definition: Any) -> set[tuple[str, str]]:
    return {(finding.code, finding.place) for finding in lint(definition)}


@pytest.mark.parametrize("case", NAMED)
def test_a_rule_finds_what_breaks_it_and_names_the_place(case: Case) -> None:
    assert (case.code, case.place) in found(case.wrong)


@pytest.mark.parametrize("case", NAMED)
def test_a_near_miss_keeps_the_rule(case: Case) -> None:
    assert case.code not in {code for code, _place in found(case.near_miss)}
    compile_saga(case.near_miss)


def test_every_rule_is_seen_to_find_something() -> None:
    assert {case.code for case in CASES} == set(RULES)


@pytest.mark.parametrize("case", NAMED)
def test_an_error_is_refused_with_all_findings_and_a_warning_is_not(case: Case) -> None:
    if not isinstance(case.wrong, Saga):
        return
    errors = [finding for finding in lint(case.wrong) if finding.severity == "error"]
    if not errors:
        compile_saga(case.wrong)
        return
    with pytest.raises(DefinitionError) as caught:
        compile_saga(case.wrong)
    assert caught.value.findings == tuple(errors)


def test_a_finding_says_where_what_why_and_the_mend() -> None:
    (finding,) = lint(timed(30))
    assert str(finding) == (
        "s/a: AM023 timeout is 30, not a timedelta: the value is of the wrong type. "
        "To mend: pass what the signature says."
    )


def test_a_wrong_pivot_is_explained() -> None:
    (finding,) = lint(saga(pivot(), step()))
    assert "nothing is undone, so nothing there may be refused" in str(finding)
    assert 'kind="retriable", or move it before the pivot' in str(finding)


def test_findings_come_in_the_order_of_the_body_and_all_at_once() -> None:
    wrong = saga(loose_step(timeout=0), step(), loose_step(undo=None, retry=1), pivot(), step("z"))
    assert [(finding.code, finding.place) for finding in lint(wrong)] == [
        ("AM023", "s/a"),
        ("AM009", "s/a"),
        ("AM009", "s/a"),
        ("AM023", "s/a"),
        ("AM001", "s/a"),
        ("AM003", "s/z"),
    ]


def test_a_long_or_raising_repr_does_no_harm() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    findings = lint(saga(loose_step(timeout=Silent(), retry="x" * 10_000)))
    assert "a Silent, not a timedelta" in str(findings[0])
    assert all(len(str(finding)) < 400 for finding in findings)


def test_the_same_node_many_times_over_is_refused_at_once() -> None:
    node: Any = step()
    for _ in range(40):
        node = sequence(node, node)
    assert found(saga(node)) == {("AM022", "s")}


def test_a_merge_that_takes_too_little_is_found_in_every_place() -> None:
    wrong = saga(
        loose_step(merge=itself),
        loose(wait_for, "go", Approval, timeout=MINUTE, merge=itself, accept=itself),
        loose(subsaga, saga(step(), name="sub"), data=merge, merge=itself),
        loose(pause_for, merge),
        loose(when, merge, step("b")),
    )
    places = ["s/a", "s/go", "s/go", "s/sub", "s/sub", "s/pause", "s/when"]
    assert [finding.place for finding in lint(wrong)] == places
    assert {finding.code for finding in lint(wrong)} == {"AM026"}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"run: {REGENERATE}"
