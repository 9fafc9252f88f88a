"""The four services as real processes over HTTP: each command, again, out of order, with a crash in between; and the
checks that judge them.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from amends import Orchestrator, http, memory
from examples.offer.checks import TOPICS, check
from examples.offer.demo import EXAMPLE
from examples.offer.messages import (
    AcceptOffer,
    ApplyCode,
    AskSponsor,
    BookPlace,
    CancelPlace,
    DropQuestion,
    FreeOffer,
    GiveBackCode,
    HoldOffer,
    Received,
    RegisterAttendee,
    UnregisterAttendee,
)
from examples.offer.saga import OFFER
from examples.offer.seed import Seed
from examples.running.cases import Case
from examples.running.fleet import Fleet
from examples.running.seed import load_seed
from tests.examples.running.calls import Caller

State = dict[str, list[dict[str, object]]]
States = dict[str, State]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A service's do and undo, the do's answer, and how much of its effect is there."""

    service: str
    name: str
    do: msgspec.Struct
    answer: bytes
    undo_name: str
    undo: Callable[[str | None], msgspec.Struct]
    reference: str
    effects: Callable[[State], int]


def in_state(rows: str, state: str) -> Callable[[State], int]:
    return lambda found: sum(row["state"] == state for row in found[rows])


PRICE = Decimal("990.00")
PAIRS = (
    Pair(
        service="registration",
        name="register-attendee",
        do=RegisterAttendee(acceptance_id="a1", attendee="Ada", email="ada@example.org"),
        answer=b'{"registration_id":"R-1"}',
        undo_name="unregister-attendee",
        undo=lambda known: UnregisterAttendee(
            acceptance_id="a1", email="ada@example.org", registration_id=known
        ),
        reference="R-1",
        effects=in_state("registrations", "registered"),
    ),
    Pair(
        service="offers",
        name="hold-offer",
        do=HoldOffer(acceptance_id="a1", offer="offer-01", course="sagas", price=PRICE),
        answer=b'{"hold_id":"H-1"}',
        undo_name="free-offer",
        undo=lambda known: FreeOffer(acceptance_id="a1", offer="offer-01", hold_id=known),
        reference="H-1",
        effects=in_state("holds", "held"),
    ),
    Pair(
        service="offers",
        name="ask-sponsor",
        do=AskSponsor(acceptance_id="a1", sponsor="ann", price=PRICE, occasion="first"),
        answer=b'{"question_id":"Q-1"}',
        undo_name="drop-question",
        undo=lambda known: DropQuestion(acceptance_id="a1", occasion="first", question_id=known),
        reference="Q-1",
        effects=in_state("questions", "open"),
    ),
    Pair(
        service="discounts",
        name="apply-code",
        do=ApplyCode(acceptance_id="a1", code="TEN", price=PRICE),
        answer=b'{"redemption_id":"D-1","discount":"99.00","price":"891.00"}',
        undo_name="give-back-code",
        undo=lambda known: GiveBackCode(acceptance_id="a1", code="TEN", redemption_id=known),
        reference="D-1",
        effects=lambda found: sum(int(str(code["used"])) for code in found["codes"]),
    ),
    Pair(
        service="courses",
        name="book-place",
        do=BookPlace(acceptance_id="a1", course="small", registration_id="R-1"),
        answer=b'{"booking_id":"B-1","places_left":0}',
        undo_name="cancel-place",
        undo=lambda known: CancelPlace(acceptance_id="a1", course="small", booking_id=known),
        reference="B-1",
        effects=lambda found: sum(
            int(str(course["places"])) - int(str(course["places_left"])) for course in found["courses"]
        ),
    ),
)


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    fleet = Fleet(directory=tmp_path, services=EXAMPLE.services, seed=EXAMPLE.seed)
    async with fleet, ClientSession() as client:
        yield Caller(fleet, client)


async def do(caller: Caller, pair: Pair) -> tuple[int | None, bytes]:
    answer = await caller.send(pair.service, pair.name, pair.do, saga="a1", step=pair.name)
    return answer.status, answer.body


async def undo(caller: Caller, pair: Pair, *, known: str | None = None) -> tuple[int | None, bytes]:
    answer = await caller.send(
        pair.service, pair.undo_name, pair.undo(known), saga="a1", step=pair.name, undo=True
    )
    return answer.status, answer.body


async def effects(caller: Caller, pair: Pair) -> int:
    return pair.effects(await caller.state(pair.service))


# --- each command ---------------------------------------------------------------------------------------------


async def test_each_do_acts_once_and_each_undo_takes_it_back_once(caller: Caller) -> None:
    for pair in PAIRS:
        assert [await do(caller, pair) for _ in range(3)] == [(200, pair.answer)] * 3
        assert await effects(caller, pair) == 1
        assert [await undo(caller, pair, known=pair.reference) for _ in range(2)] == [(200, b"{}")] * 2
        assert await effects(caller, pair) == 0
        assert await do(caller, pair) == (200, pair.answer), "a duplicate that comes late gets its old answer"
        assert await effects(caller, pair) == 0, "and does nothing"


async def test_an_undo_that_comes_first_keeps_its_do_out(caller: Caller) -> None:
    for pair in PAIRS:
        assert await undo(caller, pair) == (200, b"{}")
        status, body = await do(caller, pair)
        assert (status, b"already-undone" in body) == (409, True)
        assert await effects(caller, pair) == 0


async def test_a_crash_between_act_and_answer_has_one_effect_and_is_undone_by_the_business_key(
    caller: Caller,
) -> None:
    for pair in PAIRS:
        await caller.misbehave(pair.service, pair.name, "crash", instance="a1")
        assert await do(caller, pair) == (200, pair.answer)
        assert await effects(caller, pair) == 1
        assert await undo(caller, pair) == (200, b"{}")
        assert await effects(caller, pair) == 0
    assert sum(caller.fleet.restarts(service) for service in EXAMPLE.services) == len(PAIRS)


REFUSALS: tuple[tuple[str, str, msgspec.Struct, str], ...] = (
    (
        "registration",
        "register-attendee",
        RegisterAttendee(acceptance_id="a2", attendee="Mallory", email="mallory@example.org"),
        "attendee-barred",
    ),
    (
        "offers",
        "hold-offer",
        HoldOffer(acceptance_id="a2", offer="none", course="sagas", price=PRICE),
        "offer-unknown",
    ),
    (
        "offers",
        "hold-offer",
        HoldOffer(acceptance_id="a2", offer="offer-12", course="sagas", price=PRICE),
        "offer-expired",
    ),
    (
        "offers",
        "hold-offer",
        HoldOffer(acceptance_id="a2", offer="offer-01", course="small", price=PRICE),
        "offer-differs",
    ),
    (
        "offers",
        "ask-sponsor",
        AskSponsor(acceptance_id="a2", sponsor="nobody", price=PRICE, occasion="first"),
        "sponsor-unknown",
    ),
    (
        "offers",
        "accept-offer",
        AcceptOffer(acceptance_id="a2", offer="offer-01", price=PRICE, approved_by=None),
        "not-held",
    ),
    ("discounts", "apply-code", ApplyCode(acceptance_id="a2", code="NOPE", price=PRICE), "code-unknown"),
    ("discounts", "apply-code", ApplyCode(acceptance_id="a2", code="OLD", price=PRICE), "code-expired"),
    ("discounts", "apply-code", ApplyCode(acceptance_id="a2", code="GONE", price=PRICE), "code-used"),
    (
        "courses",
        "book-place",
        BookPlace(acceptance_id="a2", course="none", registration_id="R-1"),
        "course-unknown",
    ),
    (
        "courses",
        "book-place",
        BookPlace(acceptance_id="a2", course="full", registration_id="R-1"),
        "course-full",
    ),
)


async def test_what_cannot_be_done_is_refused_with_its_code_and_leaves_nothing(caller: Caller) -> None:
    before = {service: await caller.state(service) for service in EXAMPLE.services}
    for number, (service, name, payload, code) in enumerate(REFUSALS):
        answer = await caller.send(service, name, payload, saga="a2", step=f"{name}-{number}")
        assert (answer.status, msgspec.json.decode(answer.body)["code"]) == (409, code), name
    assert {service: await caller.state(service) for service in EXAMPLE.services} == before


async def test_an_offer_and_the_last_place_go_to_the_first_who_comes_and_are_free_again_after_the_undo(
    caller: Caller,
) -> None:
    hold, book = PAIRS[1], PAIRS[4]
    for pair, other, code in (
        (hold, HoldOffer(acceptance_id="a2", offer="offer-01", course="sagas", price=PRICE), b"offer-taken"),
        (book, BookPlace(acceptance_id="a2", course="small", registration_id="R-2"), b"course-full"),
    ):
        await do(caller, pair)
        late = await caller.send(pair.service, pair.name, other, saga="a2", step="first")
        assert (late.status, code in late.body) == (409, True)
        await undo(caller, pair)
        again = await caller.send(pair.service, pair.name, other, saga="a2", step="second")
        assert again.status == 200


async def test_an_offer_that_was_freed_cannot_be_accepted(caller: Caller) -> None:
    await do(caller, PAIRS[1])
    await undo(caller, PAIRS[1])
    accepted = AcceptOffer(acceptance_id="a1", offer="offer-01", price=PRICE, approved_by=None)
    answer = await caller.send("offers", "accept-offer", accepted, saga="a1", step="accept")
    assert (answer.status, b"not-held" in answer.body) == (409, True)
    assert [hold["state"] for hold in (await caller.state("offers"))["holds"]] == ["freed"]


async def test_accepting_settles_the_hold_and_the_questions(caller: Caller) -> None:
    for pair in PAIRS[1:3]:
        await do(caller, pair)
    accepted = AcceptOffer(acceptance_id="a1", offer="offer-01", price=PRICE, approved_by="ann")
    answer = await caller.send("offers", "accept-offer", accepted, saga="a1", step="accept")
    assert (answer.status, answer.body) == (200, b'{"contract_id":"C-1"}')
    found = await caller.state("offers")
    (hold,), (question,) = found["holds"], found["questions"]
    assert (hold["state"], hold["price"], hold["approved_by"]) == ("accepted", "990.00", "ann")
    assert question["state"] == "settled"


# --- the checks -----------------------------------------------------------------------------------------------

QUICK = ("accept-01", "accept-02", "accept-10", "accept-16", "accept-17", "accept-19")


async def run(caller: Caller, cases: tuple[Case[Received], ...]) -> States:
    """Bring these cases to their end, with the sponsor's word, and return what the services hold."""
    participants = {name: http(caller.fleet.commands(name)) for name in EXAMPLE.services}
    async with Orchestrator(sagas=[OFFER], store=memory(), participants=participants) as amends:
        for case in cases:
            saga_id = EXAMPLE.id_of(case)
            await amends.start(OFFER, EXAMPLE.data(case.given), saga_id=saga_id)
            for decision in case.given.decisions:
                await amends.signal(saga_id, "approval", decision.approval)
        views = await asyncio.gather(*(amends.wait(EXAMPLE.id_of(case)) for case in cases))
    assert {view.id: (view.status, view.business_status) for view in views} == {
        EXAMPLE.id_of(case): (case.expect.status, case.expect.business_status) for case in cases
    }
    return {service: await caller.state(service) for service in EXAMPLE.services}


def first(rows: list[dict[str, object]], **wanted: object) -> dict[str, object]:
    return next(row for row in rows if wanted.items() <= row.items())


TAMPERINGS: dict[str, Callable[[States], object]] = {
    "offers-accepted-as-expected": lambda s: first(s["offers"]["holds"], state="freed").update(
        state="accepted"
    ),
    "attendees-registered-for-accepted-only": lambda s: first(
        s["registration"]["registrations"], state="withdrawn"
    ).update(state="registered"),
    "places-add-up": lambda s: first(s["courses"]["courses"], course="sagas").update(places_left=98),
    "places-booked-for-accepted-only": lambda s: first(s["courses"]["bookings"], state="booked").update(
        state="cancelled"
    ),
    "codes-add-up": lambda s: first(s["discounts"]["codes"], code="TEN").update(used=7),
    "codes-used-by-accepted-only": lambda s: first(s["discounts"]["redemptions"], state="given-back").update(
        state="used"
    ),
    "prices-exact": lambda s: first(s["offers"]["holds"], state="accepted").update(price="0.01"),
    "dear-offers-approved": lambda s: first(s["offers"]["holds"], approved_by="ann").update(approved_by=None),
    "nothing-left-open": lambda s: first(s["offers"]["questions"], state="dropped").update(state="open"),
    "every-effect-once": lambda s: s["courses"]["bookings"].append(s["courses"]["bookings"][0]),
}


async def test_every_check_holds_and_sees_its_tampering(caller: Caller) -> None:
    cases = tuple(case for case in EXAMPLE.load() if EXAMPLE.id_of(case) in QUICK)
    states = await run(caller, cases)
    verdict = check(cases, states)
    assert verdict.passed, verdict.explanations
    assert all("add up" in topic.well(states) or "." in topic.well(states) for topic in TOPICS)
    assert "Approvals hold: 2 dear offers" in TOPICS[2].well(states)
    for name, tamper in TAMPERINGS.items():
        tampered = copy.deepcopy(states)
        tamper(tampered)
        found = check(cases, tampered)
        assert not found.checks[name], f"{name} does not see its tampering"
        assert all(found.explanations[name]), f"{name} does not say what is wrong"
    assert set(TAMPERINGS) == set(verdict.checks)
    assert {name for topic in TOPICS for name in topic.checks} == set(verdict.checks)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"offers": [{"offer": "a", "course": "b", "price": "1.5"}]}', "two decimals"),
        ('{"codes": [{"code": "a", "percent": 101, "uses": 1}]}', "between 1 and 100"),
        ('{"courses": [{"course": "a", "places": -1}]}', "must not be negative"),
        ('{"course": []}', "unknown field"),
    ],
)
def test_a_bad_seed_is_named(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "seed.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=says):
        load_seed(path, Seed)
