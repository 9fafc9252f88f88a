"""The acceptance of an offer, told as stories: each service's yes, no and silence, and what goes back."""

from datetime import timedelta
from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from amends import Command, lint
from amends.testing import Scenario
from examples.offer.messages import (
    Acceptance,
    AcceptanceStatus,
    AcceptOffer,
    ApplyCode,
    Approval,
    AskSponsor,
    BookPlace,
    CancelPlace,
    DropQuestion,
    FreeOffer,
    GiveBackCode,
    HoldOffer,
    RegisterAttendee,
    UnregisterAttendee,
)
from examples.offer.saga import BRIEF, OFFER, STATUSES, STEADY, AcceptanceData
from tests.examples.offer.story import (
    ACCEPTED,
    APPLIED,
    ASKED,
    BOOKED,
    CODED,
    DEAR,
    HELD,
    ONLY_CODED,
    PLAIN,
    REGISTERED,
    REMINDED,
    asked,
    begun,
    checked,
    checks_undone,
)

YES, NO = Approval(approved=True, by="ann"), Approval(approved=False, by="ann")


def accepted_at(price: str, approved_by: str | None = None) -> AcceptOffer:
    return AcceptOffer(acceptance_id="a-1", offer="sagas-ada", price=Decimal(price), approved_by=approved_by)


def booked_and_accepted(story: Scenario[AcceptanceData], price: str, approved_by: str | None = None) -> None:
    (
        story.expect("book-place").replies(BOOKED)
        .expect("accept-offer", "accept-offer", accepted_at(price, approved_by)).replies(ACCEPTED)
        .business_status("ACCEPTED")
        .undone()
        .completed()
    )  # fmt: skip


# --- the four steps ---------------------------------------------------------------------------------------------


def test_four_steps_and_the_acceptance() -> None:
    (
        begun(PLAIN)
        .expect_all("register-attendee", "validate-offer")
        .on("register-attendee").replies(REGISTERED)
        .on("validate-offer").replies(HELD)
        .business_status("WAITING_PLACE")
        .expect("book-place", "book-place", BookPlace(acceptance_id="a-1", course="sagas", registration_id="R-1"))
        .replies(BOOKED)
        .business_status("WAITING_ACCEPTANCE")
        .expect("accept-offer", "accept-offer", accepted_at("990.00")).replies(ACCEPTED)
        .data(AcceptanceData(acceptance=PLAIN, registration_id="R-1"))
        .completed()
    )  # fmt: skip


def test_registration_and_validation_go_out_together_with_what_they_need() -> None:
    story = begun(PLAIN)
    story.expect_all(
        {
            "register-attendee": Command("register-attendee", RegisterAttendee(
                acceptance_id="a-1", attendee="Ada", email="ada@example.org"
            )),
            "validate-offer": Command("hold-offer", HoldOffer(
                acceptance_id="a-1", offer="sagas-ada", course="sagas", price=Decimal("990.00")
            )),
        }
    )  # fmt: skip


def test_a_code_lowers_the_price() -> None:
    story = checked(begun(CODED)).business_status("WAITING_DISCOUNT")
    wanted = ApplyCode(acceptance_id="a-1", code="TEN", price=Decimal("990.00"))
    booked_and_accepted(story.expect("apply-code", "apply-code", wanted).replies(APPLIED), "891.00")


@pytest.mark.parametrize("code", ["code-used", "code-unknown", "code-expired"])
def test_a_code_that_is_refused_means_the_full_price(code: str) -> None:
    story = checked(begun(CODED)).expect("apply-code").refuses(code)
    booked_and_accepted(story, "990.00")


def test_a_customer_who_wants_no_full_price_is_undone_instead() -> None:
    story = checked(begun(ONLY_CODED)).expect("apply-code").refuses("code-used", "used by grace")
    story = story.business_status("DISCOUNT_REFUSED")
    checks_undone(story).undone("register-attendee", "validate-offer").compensated()


def test_no_answer_about_the_code_means_the_full_price_and_the_code_goes_back_beside() -> None:
    back = GiveBackCode(acceptance_id="a-1", code="TEN")
    (
        checked(begun(CODED))
        .expect("apply-code").no_answer(attempts=BRIEF.attempts)
        .expect_all({"undo apply-code": Command("give-back-code", back), "book-place": Command(
            "book-place", BookPlace(acceptance_id="a-1", course="sagas", registration_id="R-1"))})
        .on("book-place").replies(BOOKED)
        .expect("accept-offer", "accept-offer", accepted_at("990.00")).replies(ACCEPTED)
        .status("running")
        .on("undo apply-code").replies()
        .undone("apply-code")
        .completed()
    )  # fmt: skip


def test_a_code_that_was_applied_after_all_is_given_back() -> None:
    known = GiveBackCode(acceptance_id="a-1", code="TEN", redemption_id="D-1")
    (
        checked(begun(CODED))
        .expect("apply-code").no_answer(attempts=BRIEF.attempts)
        .expect_all("undo apply-code", "book-place")
        .all_reply(BOOKED)
        .expect("accept-offer").replies(ACCEPTED)
        .completed()
        .late("apply-code").replies(APPLIED)
        .expect("undo apply-code", "give-back-code", known).replies()
        .business_status("ACCEPTED")
        .completed()
    )  # fmt: skip


# --- each no ----------------------------------------------------------------------------------------------------


def test_an_attendee_who_may_not_come_frees_the_offer() -> None:
    (
        begun(PLAIN)
        .expect_all("register-attendee", "validate-offer")
        .on("register-attendee").refuses("attendee-barred")
        .business_status("REGISTRATION_REFUSED")
        .status("compensating")
        .on("validate-offer").replies(HELD)
        .expect("undo validate-offer", "free-offer", FreeOffer(acceptance_id="a-1", offer="sagas-ada", hold_id="H-1"))
        .replies()
        .undone("validate-offer")
        .compensated()
    )  # fmt: skip


@pytest.mark.parametrize("code", ["offer-unknown", "offer-expired", "offer-taken", "offer-differs"])
def test_an_offer_that_is_not_valid_takes_the_attendee_off_the_list(code: str) -> None:
    off = UnregisterAttendee(acceptance_id="a-1", email="ada@example.org", registration_id="R-1")
    (
        begun(PLAIN)
        .expect_all("register-attendee", "validate-offer")
        .on("register-attendee").replies(REGISTERED)
        .on("validate-offer").refuses(code)
        .business_status("OFFER_INVALID")
        .expect("undo register-attendee", "unregister-attendee", off).replies()
        .compensated()
    )  # fmt: skip


def test_a_full_course_undoes_everything() -> None:
    back = GiveBackCode(acceptance_id="a-1", code="TEN", redemption_id="D-1")
    story = (
        checked(begun(CODED))
        .expect("apply-code").replies(APPLIED)
        .expect("book-place").refuses("course-full", "no place left")
        .business_status("NO_PLACE")
        .expect("undo apply-code", "give-back-code", back).replies()
    )  # fmt: skip
    checks_undone(story).undone("apply-code", "register-attendee", "validate-offer").compensated()


def test_an_offer_withdrawn_at_the_last_moment_gives_the_place_back() -> None:
    back = CancelPlace(acceptance_id="a-1", course="sagas", booking_id="B-1")
    story = (
        checked(begun(PLAIN))
        .expect("book-place").replies(BOOKED)
        .expect("accept-offer").refuses("offer-withdrawn")
        .business_status("OFFER_WITHDRAWN")
        .expect("undo book-place", "cancel-place", back).replies()
    )  # fmt: skip
    checks_undone(story).compensated()


def test_silence_about_the_place_is_undone_by_its_business_key() -> None:
    story = (
        checked(begun(PLAIN))
        .expect("book-place").no_answer(attempts=STEADY.attempts)
        .business_status("NO_PLACE")
        .expect("undo book-place", "cancel-place", CancelPlace(acceptance_id="a-1", course="sagas")).replies()
    )  # fmt: skip
    checks_undone(story).compensated()


def test_an_acceptance_that_is_not_answered_is_asked_for_again_and_never_undone_on_suspicion() -> None:
    (
        checked(begun(PLAIN))
        .expect("book-place").replies(BOOKED)
        .expect("accept-offer").no_answer(attempts=15)
        .stuck_at("accept-offer")
        .undone()
        .retry("accept-offer")
        .expect("accept-offer").replies(ACCEPTED)
        .completed()
    )  # fmt: skip


# --- the approval -----------------------------------------------------------------------------------------------


def test_a_dear_offer_waits_for_its_sponsor_and_goes_on_when_approved() -> None:
    wanted = AskSponsor(acceptance_id="a-1", sponsor="ann", price=Decimal("1990.00"), occasion="first")
    story = (
        checked(begun(DEAR))
        .expect("ask-sponsor", "ask-sponsor", wanted).replies(ASKED)
        .after(timedelta(days=6, hours=23))
        .crash()
        .signal("approval", YES)
        .business_status("WAITING_PLACE")
    )  # fmt: skip
    booked_and_accepted(story, "1990.00", "ann")


def test_a_sponsor_who_is_silent_is_reminded_and_may_still_say_yes() -> None:
    wanted = AskSponsor(acceptance_id="a-1", sponsor="ann", price=Decimal("1990.00"), occasion="reminder")
    story = (
        asked(begun(DEAR))
        .after(timedelta(days=7))
        .expect("remind-sponsor", "ask-sponsor", wanted).replies(REMINDED)
        .business_status("WAITING_REMINDED_APPROVAL")
        .after(timedelta(days=6, hours=23))
        .signal("approval", YES)
    )  # fmt: skip
    booked_and_accepted(story, "1990.00", "ann")


def test_a_sponsor_who_says_no_undoes_everything() -> None:
    story = (
        asked(begun(DEAR))
        .signal("approval", NO)
        .business_status("NOT_APPROVED")
        .expect("undo ask-sponsor", "drop-question", DropQuestion(
            acceptance_id="a-1", occasion="first", question_id="Q-1"
        )).replies()
    )  # fmt: skip
    checks_undone(story).undone("ask-sponsor", "register-attendee", "validate-offer").compensated()


def test_fourteen_days_without_an_answer_undo_everything_and_a_later_yes_is_refused() -> None:
    story = (
        asked(begun(DEAR))
        .after(timedelta(days=7))
        .expect("remind-sponsor").replies(REMINDED)
        .after(timedelta(days=7))
        .business_status("NOT_APPROVED")
        .expect("undo remind-sponsor", "drop-question", DropQuestion(
            acceptance_id="a-1", occasion="reminder", question_id="Q-2"
        )).replies()
        .expect("undo ask-sponsor").replies()
    )  # fmt: skip
    checks_undone(story).compensated().signal("approval", YES, rejected="ended")


def test_an_approval_that_comes_before_it_is_asked_for_counts() -> None:
    story = (
        checked(begun(DEAR))
        .expect("ask-sponsor").answers_later()
        .signal("approval", YES)
        .on("ask-sponsor").replies(ASKED)
    )  # fmt: skip
    booked_and_accepted(story, "1990.00", "ann")


def test_the_same_decision_told_twice_counts_once() -> None:
    (
        asked(begun(DEAR))
        .signal("approval", YES, signal_id="desk-1")
        .expect("book-place").answers_later()
        .signal("approval", NO, signal_id="desk-1")
        .on("book-place").replies(BOOKED)
        .expect("accept-offer", "accept-offer", accepted_at("1990.00", "ann")).replies(ACCEPTED)
        .completed()
    )  # fmt: skip


def test_the_course_may_be_full_by_the_time_of_the_approval() -> None:
    story = (
        asked(begun(DEAR))
        .after(timedelta(days=5))
        .signal("approval", YES)
        .expect("book-place").refuses("course-full")
        .business_status("NO_PLACE")
        .expect("undo ask-sponsor").replies()
    )  # fmt: skip
    checks_undone(story).compensated()


def test_the_customer_may_cancel_while_the_sponsor_thinks() -> None:
    story = (
        asked(begun(DEAR))
        .after(timedelta(days=3))
        .cancel(by="ada", reason="found another training")
        .business_status("CANCELLED")
        .expect("undo ask-sponsor").replies()
    )  # fmt: skip
    checks_undone(story).compensated()


@pytest.mark.parametrize(
    ("price", "discount", "is_asked"),
    [("1000.00", "0.00", False), ("1000.01", "0.00", True), ("1099.00", "99.00", False)],
)
def test_what_is_approved_is_the_price_after_the_discount(
    price: str, discount: str, *, is_asked: bool
) -> None:
    acceptance = msgspec.structs.replace(CODED, price=Decimal(price))
    reply = msgspec.structs.replace(
        APPLIED, discount=Decimal(discount), price=Decimal(price) - Decimal(discount)
    )
    story = checked(begun(acceptance)).expect("apply-code").replies(reply)
    story.expect("ask-sponsor" if is_asked else "book-place")


# --- the definition ---------------------------------------------------------------------------------------------


def test_the_linter_finds_nothing() -> None:
    assert lint(OFFER) == []


def test_the_statuses_are_those_that_the_messages_name() -> None:
    table = STATUSES.transitions or {}
    named = {*table, *(status for after in table.values() for status in after)}
    assert named == set(get_args(AcceptanceStatus))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price": "990.0"}, "two decimals"),
        ({"price": 990.0}, "two decimals"),
        ({"price": "-1.00"}, "between 0.00"),
        ({"email": "ada"}, "email needs an @"),
        ({"offer": ""}, "must not be empty"),
        ({"only_with_discount": True}, "needs a code"),
        ({"voucher": "TEN"}, "unknown field"),
    ],
)
def test_an_acceptance_that_cannot_be_meant_is_refused(change: dict[str, object], says: str) -> None:
    fields = {**msgspec.to_builtins(PLAIN), **change}
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(fields, Acceptance)
