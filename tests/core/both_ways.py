"""Decide both ways: where the straight way has an answer, it is held against the walk's, to the last byte."""

from datetime import datetime

import msgspec

from amends.core import trigger as t
from amends.core.decide import walked
from amends.core.decision import Decision, Rejected
from amends.core.plan import Plan
from amends.core.state import State
from amends.core.straight import straight


def decide(plan: Plan, state: State, trigger: t.Trigger, now: datetime) -> Decision:
    """As the core's own, which it stands for in tests."""
    short = straight(plan, state, trigger, now)
    if short is None:
        decision = walked(plan, state, trigger, now)
        assert decision.wake_at == decision.state.wake_at
        return decision
    try:
        walk: Decision | Rejected = walked(plan, state, trigger, now)
    except Rejected as rejected:
        walk = rejected
    assert short == walk, f"{trigger}:\n{short}\nwhere the walk says\n{walk!r}"
    # Two dicts are equal in any order; what is shown and sent again follows the order.
    assert msgspec.json.encode(short) == msgspec.json.encode(walk)
    assert short.wake_at == short.state.wake_at
    return short
