"""The explorer over the reference sagas: no rule broken with the barrier, the known counter-example without it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from amends.core import decide as decide_module, trigger as t
from amends.core.plan import compile_saga
from amends.simulation import explore as search
from amends.simulation.counterexample import page
from amends.simulation.explore import Exploration, Lose, Settings, explore
from amends.simulation.invariants import ALL
from tests.core import both_ways, sagas

SIGNALS = (t.Signal("approval", b"true", "1"), t.Signal("approval", b"false", "2"))


@dataclass(frozen=True)
class Case:
    """A saga, what the world may do to it, and how many states that gives."""

    name: str
    saga: str
    states: int
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


CASES = (
    Case("fulfilment", "fulfilment", 496),
    Case("fulfilment, paused", "fulfilment", 1_288, {"pause": True}),
    Case("fulfilment, a person acts", "fulfilment", 8_319, {"acts": ("retry", "resolve", "skip", "abandon")}),
    Case("offer acceptance", "offer", 3_659),
    Case("booking", "booking", 1_858, {"patient": True}),
    Case("order", "order", 37_560, {"patient": True}),
    Case("any", "any", 8_993, {"patient": True}),
    Case("two of three", "two-of-three", 20_960, {"patient": True, "cancel": False}),
    Case("nested tolerate", "nested-tolerate", 23_031, {"patient": True}),
    Case("waits beside a pivot", "waiting", 6_040, {"patient": True, "signals": SIGNALS}),
    Case("tolerated beside a pivot", "beside", 1_147),
    Case("a function raises beside a pivot", "raising-beside", 242, {"acts": ("retry", "skip")}),
)


@pytest.fixture(autouse=True)
def _both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is explored is decided both ways."""
    monkeypatch.setattr(search, "decide", both_ways.decide)


def explored(case: Case) -> tuple[Exploration, str]:
    plan = compile_saga(sagas.SAGAS[case.saga]())
    settings = Settings(data=sagas.ORDER, **case.settings)
    seen = explore(plan, settings)
    return seen, "" if seen.violation is None else page(plan, settings, seen.violation)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_rule_is_broken(case: Case) -> None:
    seen, told = explored(case)
    print(f"{case.name}: {seen.states} states, {seen.transitions} transitions, ends {seen.ends}")
    assert seen.violation is None, told
    assert seen.states == case.states, "the space has changed: if that was meant, write the number down"


def test_without_the_barrier_an_effect_is_left_behind() -> None:
    """A do given up, or cancelled, is delayed; undo, late do, its reply lost: the reason for the participants' kit."""
    plan = compile_saga(sagas.saga(sagas.step("reserve")))
    settings = Settings(data=sagas.ORDER, barrier=False, losing=True)
    seen = explore(plan, settings)
    assert seen.violation is not None
    told = page(plan, settings, seen.violation)
    assert seen.violation.rule == 10
    assert len(seen.violation.trace) == 6, told
    assert any(isinstance(choice, Lose) for choice in seen.violation.trace)
    assert "compensated, but the effect of reserve is still there" in told
    assert told.index("acts on reserve/undo/1") < told.index("acts on reserve/do/1")


def test_with_the_barrier_lost_replies_do_no_harm() -> None:
    plan = compile_saga(sagas.saga(sagas.step("reserve")))
    assert explore(plan, Settings(data=sagas.ORDER, losing=True)).violation is None


def test_the_search_sees_a_broken_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that forgets a point of no return is found out."""
    monkeypatch.setattr(decide_module, "pivot_in_flight", lambda _draft: "")
    seen = explore(compile_saga(sagas.beside()), Settings(data=sagas.ORDER))
    assert seen.violation is not None
    assert seen.violation.rule == 8


def test_the_search_is_bounded() -> None:
    with pytest.raises(OverflowError, match="more than 100 states"):
        explore(compile_saga(sagas.fulfilment()), Settings(data=sagas.ORDER, most=100))


def test_every_rule_has_a_predicate() -> None:
    assert {invariant.rule for invariant in ALL} == set(range(1, 14))
