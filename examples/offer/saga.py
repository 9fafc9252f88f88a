"""The acceptance of a training offer: register the attendee beside checking the offer, apply the discount code, have a
dear one approved by its sponsor, book the place, accept.

    saga = OFFER;  data = AcceptanceData(acceptance=acceptance);  signal "approval" with an Approval

Read it from the end: `OFFER` is the process, what stands above it are its words.

Rules:
- Each do is undone by its business key; what the do replied is sent along when it is known.
- A discount code that is used up, unknown or silent means the full price, unless the customer wants no full price.
- What costs more than `APPROVAL_ABOVE` waits for a person: the sponsor has a week, is reminded, and has another week. A
  no, or no answer in 14 days, undoes everything. The wait is a row in the store; nothing runs meanwhile.
- The place is booked after the approval, so nobody holds a place for 14 days; the course may be full by then.
- Accepting is the point of no return. An offer that was withdrawn meanwhile undoes everything, the place too.

Does not do: talk to the services (bindings do), ask the sponsor (a service does), or decide what happens when (the
engine does).
"""

from datetime import timedelta
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from amends import (
    Command,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Statuses,
    Step,
    parallel,
    sequence,
    tolerate,
    wait_for,
    when,
)
from examples.offer.messages import (
    APPROVAL_ABOVE,
    Acceptance,
    AcceptOffer,
    ApplyCode,
    Approval,
    AskSponsor,
    AttendeeRegistered,
    AttendeeUnregistered,
    BookPlace,
    CancelPlace,
    CodeApplied,
    CodeGivenBack,
    DropQuestion,
    FreeOffer,
    GiveBackCode,
    HoldOffer,
    Occasion,
    OfferAccepted,
    OfferFreed,
    OfferHeld,
    PlaceBooked,
    PlaceCancelled,
    QuestionDropped,
    RegisterAttendee,
    SponsorAsked,
    UnregisterAttendee,
)
from examples.running.money import ZERO

REGISTRATION = Participant("registration")
OFFERS = Participant("offers")
DISCOUNTS = Participant("discounts")
COURSES = Participant("courses")

PROMPT = timedelta(seconds=1)
"""How long one answer is waited for."""
STEADY = RetryPolicy(attempts=10, first=timedelta(milliseconds=500), cap=timedelta(seconds=3))
"""A do is tried for half a minute: the pauses outlast a service that starts again."""
BRIEF = RetryPolicy(attempts=5, first=timedelta(milliseconds=500), cap=timedelta(seconds=2))
"""A discount is not worth more than some seconds."""
PATIENT = RetryPolicy(attempts=15, first=timedelta(milliseconds=250), cap=timedelta(seconds=30))
"""An undo, and the acceptance itself, must have an answer."""
A_WEEK = timedelta(days=7)
"""How long the sponsor has until the reminder, and after it."""

# --- data ----------------------------------------------------------------------------------------------------------


class AcceptanceData(msgspec.Struct, frozen=True, kw_only=True):
    """What the saga works on; the rest comes with its steps."""

    acceptance: Acceptance
    registration_id: str = ""
    discount: Decimal = ZERO
    approved_by: str | None = None

    @property
    def id(self) -> str:
        """The business key of all commands."""
        return self.acceptance.acceptance_id

    @property
    def price(self) -> Decimal:
        """What the training costs after the discount."""
        return self.acceptance.price - self.discount


# --- registration --------------------------------------------------------------------------------------------------


def register(data: AcceptanceData) -> Command[AttendeeRegistered]:
    wanted = data.acceptance
    attendee = RegisterAttendee(acceptance_id=data.id, attendee=wanted.attendee, email=wanted.email)
    return Command("register-attendee", attendee)


def unregister(data: AcceptanceData, rollback: Rollback[AttendeeRegistered]) -> Command[AttendeeUnregistered]:
    known = rollback.reply.registration_id if rollback.reply else None
    off = UnregisterAttendee(acceptance_id=data.id, email=data.acceptance.email, registration_id=known)
    return Command("unregister-attendee", off)


def registered(data: AcceptanceData, reply: AttendeeRegistered) -> AcceptanceData:
    return replace(data, registration_id=reply.registration_id)


register_attendee = Step(
    "register-attendee",
    REGISTRATION,
    do=register,
    undo=unregister,
    merge=registered,
    retry=STEADY,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_CHECKS",
    refused="REGISTRATION_REFUSED",
)

# --- the offer -----------------------------------------------------------------------------------------------------


def hold(data: AcceptanceData) -> Command[OfferHeld]:
    wanted = data.acceptance
    offer = HoldOffer(acceptance_id=data.id, offer=wanted.offer, course=wanted.course, price=wanted.price)
    return Command("hold-offer", offer)


def free(data: AcceptanceData, rollback: Rollback[OfferHeld]) -> Command[OfferFreed]:
    known = rollback.reply.hold_id if rollback.reply else None
    return Command("free-offer", FreeOffer(acceptance_id=data.id, offer=data.acceptance.offer, hold_id=known))


def accept(data: AcceptanceData) -> Command[OfferAccepted]:
    offer = AcceptOffer(
        acceptance_id=data.id,
        offer=data.acceptance.offer,
        price=data.price,
        approved_by=data.approved_by,
    )
    return Command("accept-offer", offer)


validate_offer = Step(
    "validate-offer",
    OFFERS,
    do=hold,
    undo=free,
    retry=STEADY,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_CHECKS",
    refused="OFFER_INVALID",
)
accept_offer = Step(
    "accept-offer",
    OFFERS,
    do=accept,
    kind="pivot",
    retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_ACCEPTANCE",
    refused="OFFER_WITHDRAWN",
)

# --- discount ------------------------------------------------------------------------------------------------------


def has_code(data: AcceptanceData) -> bool:
    return data.acceptance.code is not None


def full_price_will_do(data: AcceptanceData) -> bool:
    return not data.acceptance.only_with_discount


def apply(data: AcceptanceData) -> Command[CodeApplied]:
    wanted = data.acceptance
    code = ApplyCode(acceptance_id=data.id, code=wanted.code or "", price=wanted.price)
    return Command("apply-code", code)


def give_back(data: AcceptanceData, rollback: Rollback[CodeApplied]) -> Command[CodeGivenBack]:
    known = rollback.reply.redemption_id if rollback.reply else None
    code = GiveBackCode(acceptance_id=data.id, code=data.acceptance.code or "", redemption_id=known)
    return Command("give-back-code", code)


def discounted(data: AcceptanceData, applied: CodeApplied) -> AcceptanceData:
    return replace(data, discount=applied.discount)


apply_code = Step(
    "apply-code",
    DISCOUNTS,
    do=apply,
    undo=give_back,
    merge=discounted,
    retry=BRIEF,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_DISCOUNT",
    refused="DISCOUNT_REFUSED",
)

# --- approval ------------------------------------------------------------------------------------------------------


def needs_approval(data: AcceptanceData) -> bool:
    return data.price > APPROVAL_ABOVE


def question(data: AcceptanceData, occasion: Occasion) -> Command[SponsorAsked]:
    asked = AskSponsor(
        acceptance_id=data.id, sponsor=data.acceptance.sponsor, price=data.price, occasion=occasion
    )
    return Command("ask-sponsor", asked)


def question_dropped(
    data: AcceptanceData, rollback: Rollback[SponsorAsked], occasion: Occasion
) -> Command[QuestionDropped]:
    known = rollback.reply.question_id if rollback.reply else None
    return Command("drop-question", DropQuestion(acceptance_id=data.id, occasion=occasion, question_id=known))


def ask(data: AcceptanceData) -> Command[SponsorAsked]:
    return question(data, "first")


def drop(data: AcceptanceData, rollback: Rollback[SponsorAsked]) -> Command[QuestionDropped]:
    return question_dropped(data, rollback, "first")


def remind(data: AcceptanceData) -> Command[SponsorAsked]:
    return question(data, "reminder")


def drop_reminder(data: AcceptanceData, rollback: Rollback[SponsorAsked]) -> Command[QuestionDropped]:
    return question_dropped(data, rollback, "reminder")


def says_yes(_data: AcceptanceData, approval: Approval) -> bool:
    return approval.approved


def approved(data: AcceptanceData, approval: Approval) -> AcceptanceData:
    return replace(data, approved_by=approval.by)


ask_sponsor = Step(
    "ask-sponsor",
    OFFERS,
    do=ask,
    undo=drop,
    retry=STEADY,
    undo_retry=PATIENT,
    timeout=PROMPT,
    refused="NOT_APPROVED",
)
remind_sponsor = Step(
    "remind-sponsor",
    OFFERS,
    do=remind,
    undo=drop_reminder,
    retry=STEADY,
    undo_retry=PATIENT,
    timeout=PROMPT,
    refused="NOT_APPROVED",
)
last_week = wait_for(
    "approval",
    Approval,
    timeout=A_WEEK,
    accept=says_yes,
    merge=approved,
    waiting="WAITING_REMINDED_APPROVAL",
    refused="NOT_APPROVED",
    name="approval-after-reminder",
)
approval_in_time = wait_for(
    "approval",
    Approval,
    timeout=A_WEEK,
    accept=says_yes,
    merge=approved,
    otherwise=sequence(remind_sponsor, last_week),
    waiting="WAITING_APPROVAL",
    refused="NOT_APPROVED",
)

# --- place ---------------------------------------------------------------------------------------------------------


def book(data: AcceptanceData) -> Command[PlaceBooked]:
    place = BookPlace(
        acceptance_id=data.id, course=data.acceptance.course, registration_id=data.registration_id
    )
    return Command("book-place", place)


def cancel_place(data: AcceptanceData, rollback: Rollback[PlaceBooked]) -> Command[PlaceCancelled]:
    known = rollback.reply.booking_id if rollback.reply else None
    place = CancelPlace(acceptance_id=data.id, course=data.acceptance.course, booking_id=known)
    return Command("cancel-place", place)


book_place = Step(
    "book-place",
    COURSES,
    do=book,
    undo=cancel_place,
    retry=STEADY,
    undo_retry=PATIENT,
    timeout=PROMPT,
    waiting="WAITING_PLACE",
    refused="NO_PLACE",
)

# --- the process ---------------------------------------------------------------------------------------------------

STATUSES = Statuses(
    started="RECEIVED",
    completed="ACCEPTED",
    cancelled="CANCELLED",
    transitions={
        "RECEIVED": ("WAITING_CHECKS", "CANCELLED"),
        "WAITING_CHECKS": (
            "WAITING_DISCOUNT",
            "WAITING_APPROVAL",
            "WAITING_PLACE",
            "REGISTRATION_REFUSED",
            "OFFER_INVALID",
            "NOT_APPROVED",
            "CANCELLED",
        ),
        "WAITING_DISCOUNT": (
            "WAITING_APPROVAL",
            "WAITING_PLACE",
            "DISCOUNT_REFUSED",
            "NOT_APPROVED",
            "CANCELLED",
        ),
        "WAITING_APPROVAL": ("WAITING_REMINDED_APPROVAL", "WAITING_PLACE", "NOT_APPROVED", "CANCELLED"),
        "WAITING_REMINDED_APPROVAL": ("WAITING_PLACE", "NOT_APPROVED", "CANCELLED"),
        "WAITING_PLACE": ("WAITING_ACCEPTANCE", "NO_PLACE", "CANCELLED"),
        "WAITING_ACCEPTANCE": ("ACCEPTED", "OFFER_WITHDRAWN", "CANCELLED"),
    },
)

OFFER = Saga(
    "offer-acceptance",
    version=1,
    data=AcceptanceData,
    deadline=timedelta(days=30),
    statuses=STATUSES,
    body=sequence(
        parallel(register_attendee, validate_offer),
        when(has_code, tolerate(apply_code, only_when=full_price_will_do)),
        when(needs_approval, sequence(ask_sponsor, approval_in_time)),
        book_place,
        accept_offer,
    ),
)
