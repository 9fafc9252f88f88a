"""The three services as real processes over HTTP: each command, again, out of order, with a crash in between; and the
checks that judge them.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from examples.reservation.checks import TOPICS, check
from examples.reservation.demo import EXAMPLE
from examples.reservation.messages import (
    CancelReservation,
    Charge,
    ConfirmReservation,
    OpenReservation,
    Refund,
    ReleaseProduct,
    ReserveProduct,
)
from examples.reservation.seed import Seed
from examples.running.seed import load_seed
from tests.examples.reservation.services import State, cases_named, ended
from tests.examples.running.calls import Caller

AMOUNT = Decimal("49.90")


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


PAIRS = (
    Pair(
        service="reservations",
        name="open-reservation",
        do=OpenReservation(reservation_id="r1", customer="ada"),
        answer=b"{}",
        undo_name="cancel-reservation",
        undo=lambda _: CancelReservation(reservation_id="r1", status="CANCELLED", reason="rain"),
        reference="",
        effects=lambda found: sum(entry["status"] == "OPEN" for entry in found["reservations"]),
    ),
    Pair(
        service="products",
        name="reserve-product",
        do=ReserveProduct(reservation_id="r1", product="tent", quantity=1),
        answer=b'{"hold_id":"H-1"}',
        undo_name="release-product",
        undo=lambda known: ReleaseProduct(reservation_id="r1", product="tent", quantity=1, hold_id=known),
        reference="H-1",
        effects=lambda found: sum(
            int(str(row["pieces"])) - int(str(row["free"])) for row in found["products"]
        ),
    ),
    Pair(
        service="payments",
        name="charge",
        do=Charge(reservation_id="r1", account="card-ada", amount=AMOUNT),
        answer=b'{"payment_id":"P-1"}',
        undo_name="refund",
        undo=lambda known: Refund(reservation_id="r1", account="card-ada", amount=AMOUNT, payment_id=known),
        reference="P-1",
        effects=lambda found: int(
            sum(Decimal(str(row["initial"])) - Decimal(str(row["balance"])) for row in found["accounts"])
            / AMOUNT
        ),
    ),
)


async def do(caller: Caller, pair: Pair) -> tuple[int | None, bytes]:
    answer = await caller.send(pair.service, pair.name, pair.do, saga="r1", step=pair.name)
    return answer.status, answer.body


async def undo(caller: Caller, pair: Pair, *, known: str | None = None) -> tuple[int | None, bytes]:
    answer = await caller.send(
        pair.service, pair.undo_name, pair.undo(known), saga="r1", step=pair.name, undo=True
    )
    return answer.status, answer.body


async def effects(caller: Caller, pair: Pair) -> int:
    return pair.effects(await caller.state(pair.service))


async def test_each_do_acts_once_and_each_undo_takes_it_back_once(caller: Caller) -> None:
    for pair in PAIRS:
        assert [await do(caller, pair) for _ in range(3)] == [(200, pair.answer)] * 3
        assert await effects(caller, pair) == 1
        known = pair.reference or None
        assert [await undo(caller, pair, known=known) for _ in range(2)] == [(200, b"{}")] * 2
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
        await caller.misbehave(pair.service, pair.name, "crash", instance="r1")
        assert await do(caller, pair) == (200, pair.answer)
        assert await effects(caller, pair) == 1
        assert await undo(caller, pair) == (200, b"{}")
        assert await effects(caller, pair) == 0
        assert caller.fleet.restarts(pair.service) == 1


REFUSALS: tuple[tuple[str, str, msgspec.Struct, str], ...] = (
    (
        "reservations",
        "open-reservation",
        OpenReservation(reservation_id="r2", customer="mallory"),
        "customer-barred",
    ),
    ("reservations", "confirm-reservation", ConfirmReservation(reservation_id="r2"), "not-open"),
    (
        "products",
        "reserve-product",
        ReserveProduct(reservation_id="r2", product="none", quantity=1),
        "unknown-product",
    ),
    (
        "products",
        "reserve-product",
        ReserveProduct(reservation_id="r2", product="canoe", quantity=3),
        "out-of-stock",
    ),
    (
        "payments",
        "charge",
        Charge(reservation_id="r2", account="nobody", amount=AMOUNT),
        "unknown-account",
    ),
    ("payments", "charge", Charge(reservation_id="r2", account="card-poor", amount=AMOUNT), "declined"),
)


async def test_what_cannot_be_done_is_refused_with_its_code_and_leaves_nothing(caller: Caller) -> None:
    before = {service: await caller.state(service) for service in EXAMPLE.services}
    for number, (service, name, payload, code) in enumerate(REFUSALS):
        answer = await caller.send(service, name, payload, saga="r2", step=f"{name}-{number}")
        assert (answer.status, msgspec.json.decode(answer.body)["code"]) == (409, code), name
    assert {service: await caller.state(service) for service in EXAMPLE.services} == before


async def test_a_refund_of_another_amount_is_refused_and_gives_nothing_back(caller: Caller) -> None:
    payment = PAIRS[2]
    await do(caller, payment)
    wrong = Refund(reservation_id="r1", account="card-ada", amount=Decimal("1.00"), payment_id="P-1")
    answer = await caller.send("payments", "refund", wrong, saga="r1", step="charge", undo=True)
    assert (answer.status, b"amount-differs" in answer.body) == (409, True)
    assert await effects(caller, payment) == 1


# --- the checks -----------------------------------------------------------------------------------------------


def first(rows: list[dict[str, object]], **wanted: object) -> dict[str, object]:
    return next(row for row in rows if wanted.items() <= row.items())


TAMPERINGS: dict[str, Callable[[dict[str, Any]], object]] = {
    "reservation-statuses": lambda s: first(s["reservations"]["reservations"], status="CONFIRMED").update(
        status="OPEN"
    ),
    "reservation-transitions": lambda s: s["reservations"]["transitions"].pop(),
    "stock-adds-up": lambda s: first(s["products"]["products"], product="tent").update(free=7),
    "reserved-for-confirmed-only": lambda s: first(s["products"]["holds"], state="released").update(
        state="held"
    ),
    "money-adds-up": lambda s: first(s["payments"]["accounts"], account="card-ada").update(balance="0.01"),
    "charged-exactly": lambda s: first(s["payments"]["movements"], kind="charge").update(amount="0.01"),
    "every-effect-once": lambda s: s["payments"]["movements"].append(s["payments"]["movements"][0]),
    "audit-agrees": lambda s: s["streams"].popitem(),
}


async def test_every_check_holds_and_sees_its_tampering(caller: Caller) -> None:
    cases = cases_named("res-01", "res-02", "res-04", "res-09", "res-10")
    async with ended(caller, cases) as run:
        states = run.states
    verdict = check(cases, states)
    assert verdict.passed, verdict.explanations
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
        ('{"accounts": [{"account": "a", "balance": "1.5"}]}', "two decimals"),
        ('{"products": [{"product": "a", "pieces": -1}]}', "must not be negative"),
        ('{"product": []}', "unknown field"),
    ],
)
def test_a_bad_seed_is_named(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "seed.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=says):
        load_seed(path, Seed)
