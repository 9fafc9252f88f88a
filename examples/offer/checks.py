"""Does it all add up? The demo's verdict, from the four services' `GET /state` and the cases.

    verdict = check(cases, {"registration": …, "offers": …, "discounts": …, "courses": …})

Rules:
- A pure function over the documents: it asks no service and trusts no engine.
- It may be asked only when every saga has ended; one that still runs shows as an offer that is held and the like.
- The services do not protect themselves against a repeated command (the barrier does), so an effect that happened twice
  is visible here.

Does not do: ask how the engine calls the end of a saga; that is for those who know the engine.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import msgspec

from examples.offer.messages import APPROVAL_ABOVE, Occasion, Received
from examples.running.cases import Case
from examples.running.example import States, Topic
from examples.running.money import ZERO
from examples.running.verdict import Verdict, repeated

Cases = Sequence[Case[Received]]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    registration_id: str
    acceptance_id: str
    email: str
    state: Literal["registered", "withdrawn"]


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    hold_id: str
    acceptance_id: str
    offer: str
    state: Literal["held", "freed", "accepted"]
    price: Decimal | None
    approved_by: str | None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    question_id: str
    acceptance_id: str
    sponsor: str
    price: Decimal
    occasion: Occasion
    state: Literal["open", "dropped", "settled"]


class CodeUse(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    uses: int
    used: int


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    redemption_id: str
    acceptance_id: str
    code: str
    discount: Decimal
    state: Literal["used", "given-back"]


class CoursePlaces(msgspec.Struct, frozen=True, kw_only=True):
    course: str
    places: int
    places_left: int


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    booking_id: str
    acceptance_id: str
    course: str
    registration_id: str
    state: Literal["booked", "cancelled"]


class RegistrationState(msgspec.Struct, frozen=True, kw_only=True):
    registrations: tuple[Registration, ...]


class OffersState(msgspec.Struct, frozen=True, kw_only=True):
    holds: tuple[Hold, ...]
    questions: tuple[Question, ...]


class DiscountsState(msgspec.Struct, frozen=True, kw_only=True):
    codes: tuple[CodeUse, ...]
    redemptions: tuple[Redemption, ...]


class CoursesState(msgspec.Struct, frozen=True, kw_only=True):
    courses: tuple[CoursePlaces, ...]
    bookings: tuple[Booking, ...]


@dataclass(frozen=True, kw_only=True)
class World:
    """The four states, read."""

    registration: RegistrationState
    offers: OffersState
    discounts: DiscountsState
    courses: CoursesState


def world_of(states: States) -> World:
    """Read the services' documents."""
    return World(
        registration=msgspec.convert(states["registration"], RegistrationState),
        offers=msgspec.convert(states["offers"], OffersState),
        discounts=msgspec.convert(states["discounts"], DiscountsState),
        courses=msgspec.convert(states["courses"], CoursesState),
    )


def check(cases: Cases, states: States) -> Verdict:
    """Compare what the services hold with what the cases expect."""
    world = world_of(states)
    return Verdict.of(
        {
            "offers-accepted-as-expected": _accepted(cases, world.offers),
            "attendees-registered-for-accepted-only": _registered(cases, world.registration),
            "places-add-up": _places(world.courses),
            "places-booked-for-accepted-only": _booked(cases, world),
            "codes-add-up": _codes(world.discounts),
            "codes-used-by-accepted-only": _redeemed(cases, world.discounts),
            "prices-exact": _prices(cases, world),
            "dear-offers-approved": _approved(cases, world.offers),
            "nothing-left-open": _open(world.offers),
            "every-effect-once": _once(world),
        }
    )


def _accepted(cases: Cases, state: OffersState) -> Iterator[str]:
    found = Counter((hold.acceptance_id, hold.offer) for hold in state.holds if hold.state == "accepted")
    for case in cases:
        wanted = case.given.acceptance
        times = found.pop((wanted.acceptance_id, wanted.offer), 0)
        if times != case.is_completed:
            expected = "accepted" if case.is_completed else "not accepted"
            yield f"{wanted.offer} was accepted {times} times for {wanted.acceptance_id}, expected {expected}"
    for acceptance_id, offer in found:
        yield f"{offer} was accepted for {acceptance_id}, which nobody sent in"


def _registered(cases: Cases, state: RegistrationState) -> Iterator[str]:
    found = Counter(entry.acceptance_id for entry in state.registrations if entry.state == "registered")
    for case in cases:
        acceptance_id = case.given.acceptance.acceptance_id
        if found[acceptance_id] != case.is_completed:
            yield f"{acceptance_id} has {found[acceptance_id]} registrations, expected {int(case.is_completed)}"


def _places(state: CoursesState) -> Iterator[str]:
    booked = Counter(entry.course for entry in state.bookings if entry.state == "booked")
    for course in state.courses:
        if course.places != course.places_left + booked[course.course]:
            yield (
                f"{course.course} began with {course.places} places, but {course.places_left} left "
                f"and {booked[course.course]} booked make {course.places_left + booked[course.course]}"
            )


def _booked(cases: Cases, world: World) -> Iterator[str]:
    found = Counter(
        (entry.acceptance_id, entry.course) for entry in world.courses.bookings if entry.state == "booked"
    )
    for case in cases:
        wanted = case.given.acceptance
        places = found[wanted.acceptance_id, wanted.course]
        if places != case.is_completed:
            yield f"{wanted.acceptance_id} has {places} places in {wanted.course}, expected {int(case.is_completed)}"
    known = {entry.registration_id: entry.acceptance_id for entry in world.registration.registrations}
    for entry in world.courses.bookings:
        if known.get(entry.registration_id) != entry.acceptance_id:
            yield f"{entry.booking_id} is for {entry.registration_id}, which is not {entry.acceptance_id}'s"


def _codes(state: DiscountsState) -> Iterator[str]:
    used = Counter(entry.code for entry in state.redemptions if entry.state == "used")
    for code in state.codes:
        if code.used != used[code.code] or code.used > code.uses:
            yield f"{code.code} counts {code.used} of {code.uses} uses, {used[code.code]} acceptances have used it"


def _redeemed(cases: Cases, state: DiscountsState) -> Iterator[str]:
    may_use = {
        (case.given.acceptance.acceptance_id, case.given.acceptance.code)
        for case in cases
        if case.is_completed
    }
    for entry in state.redemptions:
        if entry.state == "used" and (entry.acceptance_id, entry.code) not in may_use:
            yield f"{entry.redemption_id}: {entry.acceptance_id} has used {entry.code}, but did not accept with it"


def _prices(cases: Cases, world: World) -> Iterator[str]:
    discounts: dict[str, Decimal] = {}
    for entry in world.discounts.redemptions:
        if entry.state == "used":
            discounts[entry.acceptance_id] = discounts.get(entry.acceptance_id, ZERO) + entry.discount
    full = {case.given.acceptance.acceptance_id: case.given.acceptance.price for case in cases}
    for hold in world.offers.holds:
        due = full.get(hold.acceptance_id, ZERO) - discounts.get(hold.acceptance_id, ZERO)
        if hold.state == "accepted" and hold.price != due:
            yield f"{hold.acceptance_id} was accepted at {hold.price}, expected {due}"


def _approved(cases: Cases, state: OffersState) -> Iterator[str]:
    yes = {
        (case.given.acceptance.acceptance_id, decision.approval.by)
        for case in cases
        for decision in case.given.decisions
        if decision.approval.approved
    }
    for hold in state.holds:
        if hold.state != "accepted" or hold.price is None:
            continue
        if hold.price > APPROVAL_ABOVE and (hold.acceptance_id, hold.approved_by) not in yes:
            yield f"{hold.acceptance_id} was accepted at {hold.price}, which {hold.approved_by or 'nobody'} approved"
        if hold.price <= APPROVAL_ABOVE and hold.approved_by is not None:
            yield f"{hold.acceptance_id} at {hold.price} was approved by {hold.approved_by}, who was not to be asked"


def _open(state: OffersState) -> Iterator[str]:
    for hold in state.holds:
        if hold.state == "held":
            yield f"{hold.hold_id}: {hold.offer} is still held for {hold.acceptance_id}"
    for question in state.questions:
        if question.state == "open":
            yield f"{question.question_id}: {question.sponsor} is still asked about {question.acceptance_id}"


def _once(world: World) -> Iterator[str]:
    yield from repeated(("register", entry.acceptance_id) for entry in world.registration.registrations)
    yield from repeated((f"hold {hold.offer}", hold.acceptance_id) for hold in world.offers.holds)
    yield from repeated((f"ask ({entry.occasion})", entry.acceptance_id) for entry in world.offers.questions)
    yield from repeated((f"use {entry.code}", entry.acceptance_id) for entry in world.discounts.redemptions)
    yield from repeated((f"book {entry.course}", entry.acceptance_id) for entry in world.courses.bookings)


# --- in words ---------------------------------------------------------------------------------------------------


def _places_well(states: States) -> str:
    courses = world_of(states).courses.courses
    taken = sum(course.places - course.places_left for course in courses)
    what = "1 place is taken" if taken == 1 else f"{taken} places are taken"
    return f"Places add up: {what}, all for accepted offers; every other one is free again."


def _prices_well(states: States) -> str:
    holds = world_of(states).offers.holds
    total = sum((hold.price for hold in holds if hold.price is not None), ZERO)
    return f"Codes and prices add up: {total} agreed in all, to the cent what offers less discounts make."


def _approvals_well(states: States) -> str:
    holds = world_of(states).offers.holds
    count = sum(hold.approved_by is not None for hold in holds)
    return f"Approvals hold: {count} dear offers were accepted, each with its sponsor's yes; no desk is left full."


def _went_well(_: States) -> str:
    return "Each acceptance ended as it should, and nothing happened twice."


TOPICS = (
    Topic(
        subject="Places do",
        checks=("places-add-up", "places-booked-for-accepted-only"),
        well=_places_well,
    ),
    Topic(
        subject="Codes and prices do",
        checks=("codes-add-up", "codes-used-by-accepted-only", "prices-exact"),
        well=_prices_well,
    ),
    Topic(
        subject="Approvals do",
        checks=("dear-offers-approved", "nothing-left-open"),
        well=_approvals_well,
    ),
    Topic(
        subject="What the acceptances went through does",
        checks=(
            "offers-accepted-as-expected",
            "attendees-registered-for-accepted-only",
            "every-effect-once",
        ),
        well=_went_well,
    ),
)
