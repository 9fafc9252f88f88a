"""Everything that can happen to one reservation: each yes, no and silence, late and lost, a cancel, a person's help."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from amends.core.plan import StepPlace, compile_saga
from amends.simulation.counterexample import page
from amends.simulation.explore import Settings, explore
from examples.reservation.messages import Reservation
from examples.reservation.saga import RESERVATION
from tests.examples.offer.impatient import impatient
from tests.examples.reservation.story import CHARGED, CONFIRMED, ONE, OPENED, TWO, held

REPLIES = {
    "open-reservation": OPENED,
    "reserve-product": held(1),
    "pay": CHARGED,
    "confirm-reservation": CONFIRMED,
}


@dataclass(frozen=True)
class Space:
    """A reservation, what the world may do to it, and how many states and ends that gives."""

    name: str
    reservation: Reservation
    states: int
    ends: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


SPACES = (
    Space("two products", TWO, 5_696, {"compensated": 431, "completed": 1}, {"patient": True}),
    Space(
        "one product, replies are lost", ONE, 9_507, {"compensated": 142, "completed": 1}, {"losing": True}
    ),
    Space(
        "one product, a person helps",
        ONE,
        5_189,
        {"compensated": 603, "completed": 1},
        {"acts": ("retry", "resolve")},
    ),
)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_no_rule_is_broken_and_every_way_ends(space: Space) -> None:
    plan = compile_saga(impatient(RESERVATION))
    settings = Settings(
        data=msgspec.json.encode(space.reservation),
        replies={step: msgspec.json.encode(reply) for step, reply in REPLIES.items()},
        **space.settings,
    )
    seen = explore(plan, settings)
    assert seen.violation is None, page(plan, settings, seen.violation)
    assert (seen.states, seen.ends) == (space.states, space.ends), "if that was meant, write it down"


def test_every_step_has_its_reply() -> None:
    places = compile_saga(RESERVATION).places.items()
    assert {path for path, place in places if isinstance(place, StepPlace)} == set(REPLIES)
