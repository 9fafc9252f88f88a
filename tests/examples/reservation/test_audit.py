"""The audit: what the streams alone prove, position by position, against what the services hold."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from amends.application.history import EventView
from amends.ports import Logged, StreamKey, Transition
from examples.reservation.audit import Ledger, Standing, discrepancies, rebuild, told
from examples.reservation.streams import read_streams
from examples.reservation.world import Kept, World, world_of
from tests.examples.reservation.services import Run, cases_named, ended
from tests.examples.running.calls import Caller

QUICK = ("res-02", "res-04", "res-10", "res-15")
"""Confirmed, out of stock, not confirmed, a crash; the demo's test has them all."""


def ledgers_of(run: Run) -> dict[str, Ledger]:
    return {saga_id: rebuild(saga_id, events) for saga_id, events in run.streams.items()}


async def test_the_streams_give_what_the_services_hold(caller: Caller) -> None:
    async with ended(caller, cases_named(*QUICK)) as run:
        ledgers = ledgers_of(run)
        assert set(ledgers) == set(QUICK)
        assert list(discrepancies([*ledgers.values()], world_of(run.states))) == []
        await _as_the_orchestrator_says(run, ledgers)
        _each_tampering_is_seen(run, ledgers)
    three = {"tent": 1, "stove": 2, "rope": 7}
    assert ledgers["res-02"].now == Standing(
        customer="ada", status="CONFIRMED", reserved=three, charged=Decimal("92.11")
    )
    assert ledgers["res-10"].now == Standing(
        customer="grace", status="NOT_CONFIRMED", charged=Decimal("92.11"), refunded=Decimal("92.11")
    )
    assert ledgers["res-04"].now == Standing(customer="ada", status="PRODUCT_UNAVAILABLE")
    assert not any(ledger.doubts for ledger in ledgers.values())


async def _as_the_orchestrator_says(run: Run, ledgers: dict[str, Ledger]) -> None:
    """After each event, what counts as done is what the engine's own fold calls done."""
    for saga_id, ledger in ledgers.items():
        for position in range(1, ledger.events + 1):
            view = await run.amends.get(saga_id, at=position)
            done = {
                step.path.partition("[")[2].rstrip("]")
                for step in view.steps
                if step.path.startswith("reserve-product[") and step.phase in STILL_THERE
            }
            assert set(ledger.at(position).reserved) == done, (saga_id, position)


STILL_THERE = {"succeeded", "undoing", "undo-retrying", "undo-stuck"}

Tampering = tuple[str, Callable[[dict[str, Any]], object], str]


def first(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    return next(row for row in rows if wanted.items() <= row.items())


TAMPERINGS: tuple[Tampering, ...] = (
    (
        "a piece that was quietly given away",
        lambda s: first(s["products"]["holds"], state="held", product="rope").update(quantity=6),
        "the stream has 7 of rope reserved, the products service 6",
    ),
    (
        "a piece that was never released",
        lambda s: first(s["products"]["holds"], state="released", product="tent").update(state="held"),
        "the stream has 0 of tent reserved, the products service 1",
    ),
    (
        "a refund that was lost",
        lambda s: s["payments"]["movements"].remove(first(s["payments"]["movements"], kind="refund")),
        "0.00 paid, the payments service 92.11",
    ),
    (
        "a charge under another number",
        lambda s: first(s["payments"]["movements"], kind="charge").update(movement_id="P-99"),
        "which the service does not know",
    ),
    (
        "another end",
        lambda s: first(s["reservations"]["reservations"], status="CONFIRMED").update(status="OPEN"),
        "the stream says CONFIRMED, the reservations service OPEN",
    ),
    (
        "a reservation that no saga made",
        lambda s: s["reservations"]["reservations"].append({"reservation_id": "res-99", "status": "OPEN"}),
        "res-99: the services know it, but there is no stream of it",
    ),
    (
        "a reservation that is gone",
        lambda s: s["reservations"]["reservations"].remove(
            first(s["reservations"]["reservations"], status="CONFIRMED")
        ),
        "the stream says CONFIRMED, the reservations service nothing",
    ),
)


def _each_tampering_is_seen(run: Run, ledgers: dict[str, Ledger]) -> None:
    for name, tamper, says in TAMPERINGS:
        services: dict[str, Any] = copy.deepcopy(run.services)
        tamper(services)
        found = list(discrepancies([*ledgers.values()], world_of(services)))
        assert any(says in line for line in found), (name, found)


# --- streams by hand ------------------------------------------------------------------------------------------

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPEN = ("CommandIssued", {"step": "open-reservation", "name": "open-reservation", "payload": {
    "reservation_id": "r-1", "customer": "ada"}})  # fmt: skip
OPENED = ("ReplyRecorded", {"step": "open-reservation", "reply": {}})
PAY = ("CommandIssued", {"step": "pay", "name": "charge", "payload": {
    "reservation_id": "r-1", "account": "card-ada", "amount": "49.90"}})  # fmt: skip
PAID = ("ReplyRecorded", {"step": "pay", "reply": {"payment_id": "P-1"}})
PAID_LATE = ("ReplyRecorded", {"step": "pay", "reply": {"payment_id": "P-1"}, "late": True})
PAID_SAYS_SOMEBODY = ("StepResolved", {
    "step": "pay", "by": "eve", "reason": "looked", "reply": {"payment_id": "P-1"}})  # fmt: skip
DECLINED = ("ReplyRecorded", {"step": "pay", "outcome": "refused", "code": "declined"})
HANDED_OVER = ("ReplyRecorded", {"step": "pay", "outcome": "unconfirmed"})
UNHEARD = ("OutcomeUnknown", {"step": "pay", "reason": "no answer"})
SKIPPED = ("StepSkipped", {"step": "pay", "direction": "undo", "by": "eve", "reason": "enough"})
NOTHING = World(reservations=(), transitions=(), products=(), holds=(), accounts=(), movements=())
Event = tuple[str, dict[str, Any]]


def give_back(number: int) -> Event:
    payload = {"reservation_id": "r-1", "account": "card-ada", "amount": "49.90"}
    return "CommandIssued", {
        "step": "pay",
        "direction": "undo",
        "round": number,
        "name": "refund",
        "payload": payload,
    }


def given_back(number: int) -> Event:
    return "ReplyRecorded", {"step": "pay", "direction": "undo", "round": number, "reply": {}}


def read(*events: Event) -> Ledger:
    return rebuild("r-1", stream(*events))


def stream(*events: Event) -> list[EventView]:
    return [
        EventView(position=number, type=kind, time=NOON + timedelta(seconds=number), body=body)
        for number, (kind, body) in enumerate(events, start=1)
    ]


def paid_after_each(ledger: Ledger) -> list[str]:
    return [str(ledger.at(position).paid) for position in range(ledger.events + 1)]


def test_a_payment_counts_from_its_reply_until_its_refund_is_confirmed() -> None:
    ledger = read(PAY, PAID, give_back(1), given_back(1))
    assert paid_after_each(ledger) == ["0.00", "0.00", "49.90", "49.90", "0.00"]
    assert (ledger.now.charged, ledger.now.refunded) == (Decimal("49.90"), Decimal("49.90"))


def test_a_refused_payment_is_no_payment() -> None:
    assert read(PAY, DECLINED).now == Standing()


def test_a_payment_that_nobody_heard_of_is_a_doubt_until_its_refund_is_confirmed() -> None:
    doubtful = read(PAY, UNHEARD, give_back(1))
    assert [*doubtful.doubts] == ["pay"]
    assert list(discrepancies([doubtful], NOTHING)) == ["r-1: nobody knows what became of pay"]
    settled = read(PAY, UNHEARD, give_back(1), given_back(1))
    assert (settled.now, dict(settled.doubts)) == (Standing(), {})
    assert list(discrepancies([settled], NOTHING)) == []


def test_an_opening_that_nobody_heard_of_was_cancelled_or_never_was() -> None:
    cancelled = {"reservation_id": "r-1", "status": "CANCELLED", "reason": "no answer"}
    ledger = read(
        OPEN,
        ("OutcomeUnknown", {"step": "open-reservation", "reason": "no answer"}),
        ("CommandIssued", {"step": "open-reservation", "direction": "undo", "name": "cancel-reservation",
                           "payload": cancelled}),
        ("ReplyRecorded", {"step": "open-reservation", "direction": "undo", "reply": {}}),
    )  # fmt: skip
    kept = replace(NOTHING, reservations=(Kept(reservation_id="r-1", status="CANCELLED"),))
    still_open = replace(NOTHING, reservations=(Kept(reservation_id="r-1", status="OPEN"),))
    assert list(discrepancies([ledger], NOTHING)) == []
    assert list(discrepancies([ledger], kept)) == []
    assert len(list(discrepancies([ledger], still_open))) == 1


def test_what_was_handed_over_without_a_confirmation_is_a_doubt() -> None:
    assert [*read(PAY, HANDED_OVER).doubts] == ["pay"]


def test_a_refund_that_was_refused_gives_nothing_back() -> None:
    refused = ("ReplyRecorded", {"step": "pay", "direction": "undo", "outcome": "refused", "code": "no"})
    assert read(PAY, PAID, give_back(1), refused).now.paid == Decimal("49.90")


def test_an_undo_that_a_person_skipped_stays_a_doubt() -> None:
    assert [*read(PAY, UNHEARD, give_back(1), SKIPPED).doubts] == ["pay"]


def test_a_success_that_is_heard_after_the_refund_is_given_back_once_more() -> None:
    ledger = read(PAY, UNHEARD, give_back(1), given_back(1), PAID_LATE, give_back(2), given_back(2))
    assert paid_after_each(ledger) == ["0.00"] * 5 + ["49.90"] * 2 + ["0.00"]
    assert "said late" in told(ledger)


def test_what_a_person_found_out_counts_as_the_reply_would_have() -> None:
    assert read(PAY, UNHEARD, PAID_SAYS_SOMEBODY).now.paid == Decimal("49.90")


def test_the_audit_of_one_saga_in_words() -> None:
    ledger = read(OPEN, OPENED, PAY, PAID, give_back(1), given_back(1))
    assert told(ledger) == (
        "r-1, 6 events:\n"
        "    2  +0.00 s  opened for ada\n"
        "    4  +2.00 s  charged 49.90 to card-ada (P-1)\n"
        "    6  +4.00 s  gave 49.90 back to card-ada"
    )
    unheard = read(PAY, UNHEARD, give_back(1), given_back(1))
    assert told(unheard).endswith("gave 49.90 back to card-ada: nothing was there, for all that was answered")
    assert told(read(PAY, DECLINED)) == "r-1: nothing ever happened (2 events)"


class Pages:
    """A log that gives two transitions at a time."""

    def __init__(self, *saga_ids: str, saga: str = "reservation") -> None:
        body = (
            b'[{"type":"SagaStarted","saga":"%s","version":1,"fingerprint":"","shape":{},"data":{}}]'
            % saga.encode()
        )
        self.logged = [
            Logged(
                10 * number,
                Transition(
                    key=StreamKey("default", saga_id), position=1, events=1, recorded_at=NOON, body=body
                ),
            )
            for number, saga_id in enumerate(saga_ids, start=1)
        ]

    async def log(self, *, after: int = 0, limit: int = 1000) -> list[Logged]:
        return [entry for entry in self.logged if entry.sequence > after][:2]


async def test_the_log_is_read_to_its_end_piece_by_piece() -> None:
    streams = await read_streams(Pages("r-1", "r-2", "r-3", "r-4", "r-5"))
    assert [*streams] == ["r-1", "r-2", "r-3", "r-4", "r-5"]
    assert [event.type for events in streams.values() for event in events] == ["SagaStarted"] * 5


async def test_what_other_sagas_keep_in_the_same_store_is_passed_over() -> None:
    assert await read_streams(Pages("o-1", "o-2", "o-3", saga="order")) == {}


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (stream(PAY, PAID)[1:], "has position 2 after 0"),
        (stream(PAID), "position 1 of r-1 is none of the reservation saga"),
        (stream(("CommandIssued", {**PAY[1], "name": "ship"})), "none of the reservation saga: 'ship'"),
        (stream(("CommandIssued", {**PAY[1], "payload": {}})), "missing required field"),
        (stream(PAY, ("ReplyRecorded", {"step": "pay", "reply": None})), "position 2 of r-1 is none"),
    ],
)
def test_a_stream_that_is_not_whole_or_not_of_this_saga_is_refused(
    events: list[EventView], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        rebuild("r-1", events)
