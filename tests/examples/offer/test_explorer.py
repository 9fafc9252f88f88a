"""Everything that can happen to one acceptance: each yes, no and silence, early and late, a cancel, the sponsor."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from amends.core import trigger as t
from amends.core.plan import StepPlace, compile_saga
from amends.simulation.counterexample import page
from amends.simulation.explore import Settings, explore
from examples.offer.messages import Acceptance, Approval
from examples.offer.saga import OFFER, AcceptanceData
from tests.examples.offer.impatient import impatient
from tests.examples.offer.story import (
    ACCEPTED,
    APPLIED,
    ASKED,
    BOOKED,
    CODED,
    DEAR,
    HELD,
    REGISTERED,
    REMINDED,
)

REPLIES = {
    "register-attendee": REGISTERED,
    "validate-offer": HELD,
    "apply-code": APPLIED,
    "ask-sponsor": ASKED,
    "remind-sponsor": REMINDED,
    "book-place": BOOKED,
    "accept-offer": ACCEPTED,
}


def told(*, approved: bool) -> t.Signal:
    return t.Signal("approval", msgspec.json.encode(Approval(approved=approved, by="ann")), "1")


@dataclass(frozen=True)
class Space:
    """An acceptance, what the world may do to it, and how many states and ends that gives."""

    name: str
    acceptance: Acceptance
    states: int
    ends: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


SPACES = (
    Space("a code, a cancel at any time", CODED, 9_611, {"compensated": 715, "completed": 10}),
    Space("the sponsor is silent, a cancel at any time", DEAR, 5_245, {"compensated": 464}),
    Space(
        "the sponsor may say yes at any time",
        DEAR,
        7_883,
        {"compensated": 708, "completed": 2},
        {"signals": (told(approved=True),), "cancel": False},
    ),
    Space(
        "the sponsor may say no at any time",
        DEAR,
        7_395,
        {"compensated": 670},
        {"signals": (told(approved=False),), "cancel": False},
    ),
)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_no_rule_is_broken_and_every_way_ends(space: Space) -> None:
    plan = compile_saga(impatient(OFFER))
    settings = Settings(
        data=msgspec.json.encode(AcceptanceData(acceptance=space.acceptance)),
        replies={step: msgspec.json.encode(reply) for step, reply in REPLIES.items()},
        patient=True,
        **space.settings,
    )
    seen = explore(plan, settings)
    assert seen.violation is None, page(plan, settings, seen.violation)
    assert (seen.states, seen.ends) == (space.states, space.ends), "if that was meant, write it down"


def test_every_step_has_its_reply() -> None:
    steps = {path for path, place in compile_saga(OFFER).places.items() if isinstance(place, StepPlace)}
    assert steps == set(REPLIES)
