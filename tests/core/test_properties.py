"""What holds for every saga that the linter accepts, whatever happens to it."""

from datetime import datetime, timedelta

import msgspec
from hypothesis import HealthCheck, given, settings, strategies as st

from amends.core import event as e, trigger as t
from amends.core.decision import Decision, Rejected
from amends.core.event import AnyEvent
from amends.core.evolve import evolve
from amends.core.plan import Plan
from amends.core.state import State, initial
from amends.core.transitions import INSTANCE
from amends.simulation.explore import Settings, explore
from amends.simulation.invariants import OF_TRANSITION, Subject, stuck_is_known, waits_for_something
from amends.simulation.world import World
from tests.core.both_ways import decide
from tests.core.scenario import BEGIN
from tests.core.trees import PLANS, triggers

DECODE = msgspec.json.Decoder(list[AnyEvent]).decode
QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


def tried(plan: Plan, state: State, trigger: t.Trigger, now: datetime) -> Decision | None:
    try:
        return decide(plan, state, trigger, now)
    except Rejected:
        return None


def check(subject: Subject, before: State, decision: Decision) -> None:
    after = evolve(before, DECODE(msgspec.json.encode(decision.events)))
    for invariant in OF_TRANSITION:
        complaints = list(invariant.complaints(subject, before, decision, after))
        assert not complaints, f"rule {invariant.rule}: {complaints}"
    for predicate in (waits_for_something, stuck_is_known):
        complaints = list(predicate(subject, after, World()))
        assert not complaints, complaints


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(PLANS, st.data())
def test_any_life_keeps_the_rules(plan: Plan, data: st.DataObject) -> None:
    subject = Subject(plan, b"{}", BEGIN, barrier=True, replies={})
    state, now = initial("default", "s"), BEGIN
    events: list[AnyEvent] = []
    trigger: t.Trigger = t.Start(b"{}")
    for _ in range(data.draw(st.integers(1, 25))):
        before = msgspec.json.encode(state, order="deterministic")
        decision = tried(plan, state, trigger, now)
        assert msgspec.json.encode(state, order="deterministic") == before, "the state handed in was changed"
        if decision is not None:
            again = tried(plan, state, trigger, now)
            assert again == decision, "the same arguments gave another decision"
            check(subject, state, decision)
            unchanged_by_the_same(plan, decision, trigger, now)
            events += decision.events
            state = decision.state
        now += timedelta(seconds=data.draw(st.sampled_from((0, 1, 30, 90))))
        trigger = data.draw(triggers(state, plan))
    stored = msgspec.json.encode(events)
    assert evolve(initial("default", "s"), DECODE(stored)) == state
    assert state.position == len(events)


def unchanged_by_the_same(plan: Plan, decision: Decision, trigger: t.Trigger, now: datetime) -> None:
    """The same trigger again gives nothing, except a signal without an id, a person's repeated acts, and a success
    that cannot be read: it was no answer while its step was asked, and counts as a late success after that.
    """
    if isinstance(trigger, t.Signal) and not trigger.signal_id:
        return
    if isinstance(trigger, t.Retry | t.Skip | t.Resolve):
        return
    if any(isinstance(event, e.AttemptFailed) and event.fault == "unreadable" for event in decision.events):
        return
    again = tried(plan, decision.state, trigger, now)
    assert again is None or again.events == (), again.events


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(PLANS)
def test_any_small_saga_is_explored_without_a_violation(plan: Plan) -> None:
    replies = dict.fromkeys(plan.places, b'{"number":1}')
    try:
        seen = explore(plan, Settings(data=b"{}", replies=replies, patient=True, most=1_000))
    except OverflowError:
        return
    assert seen.violation is None, seen.violation


def test_the_table_of_statuses_has_no_way_from_abandoned() -> None:
    assert not [after for before, after in INSTANCE if before == "abandoned"]
