"""The six states of a booking and their six transitions: all are reached, and there are no others, whatever happens."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from amends.core import event as e
from amends.core.decision import Decision
from amends.core.plan import compile_saga
from amends.core.state import State
from amends.definition import Saga
from amends.simulation import explore as search
from amends.simulation.counterexample import page
from amends.simulation.invariants import OF_TRANSITION, Invariant, Subject
from examples.booking.messages import BookingConfirmed
from examples.booking.saga import BOOKING, STATUSES
from examples.booking.version_2 import BOOKING_2, PointsCredited
from tests.examples.booking.bookings import PAID, data, reserved
from tests.examples.booking.hurried import hurried

THE_SEEDS = frozenset(
    {
        ("CREATED", "WAITING_STOCK"),
        ("WAITING_STOCK", "WAITING_PAYMENT"),
        ("WAITING_PAYMENT", "COMPLETED"),
        ("WAITING_STOCK", "COMPENSATING"),
        ("WAITING_PAYMENT", "COMPENSATING"),
        ("COMPENSATING", "CANCELLED"),
    }
)
REPLIES = {
    "request-stock": msgspec.json.encode(reserved("room")),
    "request-payment": msgspec.json.encode(PAID),
    "credit-points": msgspec.json.encode(PointsCredited(balance=7)),
    "confirm-booking": msgspec.json.encode(BookingConfirmed()),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the world may do to a booking, and how many states that gives."""

    about: str
    saga: Saga[Any] = BOOKING
    products: tuple[str, ...]
    settings: dict[str, Any]
    states: int


CASES = (
    Case(
        about="two products",
        saga=hurried(BOOKING),
        products=("room", "desk"),
        settings={"patient": True},
        states=6_129,
    ),
    Case(about="one product", products=("room",), settings={"patient": True}, states=655),
    Case(
        about="a person helps what is stuck",
        saga=hurried(BOOKING),
        products=("room",),
        settings={"acts": ("retry", "skip")},
        states=9_979,
    ),
    Case(
        about="replies are lost, somebody pauses",
        saga=hurried(BOOKING),
        products=("room",),
        settings={"patient": True, "losing": True, "pause": True},
        states=4_135,
    ),
    Case(about="version 2", saga=BOOKING_2, products=("room",), settings={"patient": True}, states=1_072),
)


@dataclass
class Watch:
    """Sees every decision of the search, and how the business status moves in it."""

    transitions: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    ends: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    rejected: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def see(self, _subject: Subject, before: State, decision: Decision, after: State) -> Iterator[str]:
        changes = [event.status for event in decision.events if isinstance(event, e.BusinessStatusChanged)]
        way = [before.business, *changes] if before.business else changes
        self.transitions |= set(itertools.pairwise(way))
        self.rejected |= {
            (event.current, event.wanted)
            for event in decision.events
            if isinstance(event, e.BusinessStatusRejected)
        }
        if after.final:
            self.ends.add((after.final, after.business))
        yield from ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_a_booking_goes_through_exactly_the_states_and_transitions_of_its_table(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()
    watching = Invariant(0, "Somebody looks on.", watch.see)
    monkeypatch.setattr(search, "OF_TRANSITION", (*OF_TRANSITION, watching))
    plan = compile_saga(case.saga)
    raw = msgspec.json.encode(data(*case.products))
    settings = search.Settings(data=raw, replies=REPLIES, **case.settings)
    seen = search.explore(plan, settings)
    assert seen.violation is None, page(plan, settings, seen.violation)
    assert watch.transitions == THE_SEEDS
    assert watch.rejected == set()
    assert watch.ends == {("completed", "COMPLETED"), ("compensated", "CANCELLED")}
    assert seen.states == case.states, "the space has changed: if that was meant, write the number down"


def test_the_table_that_the_core_validates_by_is_the_same() -> None:
    assert STATUSES.transitions is not None
    table = {(before, after) for before, row in STATUSES.transitions.items() for after in row}
    assert table == THE_SEEDS
    assert {BOOKING.statuses, BOOKING_2.statuses} == {STATUSES}
