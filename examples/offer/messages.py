"""What the acceptance of an offer and its four services say to each other: the acceptance, the commands, the replies.

Rules:
- Every message is a frozen value that refuses unknown fields.
- Money is a `Decimal` with exactly two decimals, on the wire a string: `"990.00"`, never a JSON number.
- Every command names the acceptance and, with it, a business key that stays the same when the outcome is unknown:
  acceptance + e-mail, acceptance + offer, acceptance + code, acceptance + course, acceptance + occasion.
- An undo carries what its do replied, or None when no trustworthy answer came; the service then undoes by the business
  key alone.
- Who takes part in a training is an *attendee* here; a participant is a service that executes commands.

Does not do: talk, store, or know what a saga is.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from examples.running.money import money

AcceptanceStatus = Literal[
    "RECEIVED",
    "WAITING_CHECKS",
    "WAITING_DISCOUNT",
    "WAITING_APPROVAL",
    "WAITING_REMINDED_APPROVAL",
    "WAITING_PLACE",
    "WAITING_ACCEPTANCE",
    "ACCEPTED",
    "REGISTRATION_REFUSED",
    "OFFER_INVALID",
    "DISCOUNT_REFUSED",
    "NOT_APPROVED",
    "NO_PLACE",
    "OFFER_WITHDRAWN",
    "CANCELLED",
]
"""Where an acceptance is."""

Occasion = Literal["first", "reminder"]
"""The sponsor is asked, and asked once more."""

APPROVAL_ABOVE = Decimal("1000.00")
"""What costs more than this, after the discount, needs the sponsor's approval."""


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer sent in: this offer, at this price, for this attendee.

    `only_with_discount`: the customer does not want it at the full price.
    """

    acceptance_id: str
    offer: str
    course: str
    attendee: str
    email: str
    sponsor: str
    price: Decimal
    code: str | None = None
    only_with_discount: bool = False

    def __post_init__(self) -> None:
        money(self.price, field="price")
        named = (self.acceptance_id, self.offer, self.course, self.attendee, self.sponsor)
        if not all(named) or "@" not in self.email:
            message = "acceptance_id, offer, course, attendee and sponsor must not be empty, email needs an @"
            raise ValueError(message)
        if self.only_with_discount and self.code is None:
            message = "only_with_discount needs a code"
            raise ValueError(message)


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signal `approval`: what the sponsor decided, and who it was."""

    approved: bool
    by: str


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the sponsor will say, and where the acceptance is when it is said."""

    at: AcceptanceStatus
    approval: Approval


class Received(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An acceptance, and what its sponsor will say to it."""

    acceptance: Acceptance
    decisions: tuple[Decision, ...] = ()


# --- registration service ------------------------------------------------------------------------------------------


class RegisterAttendee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`register-attendee`: refused with `attendee-barred`."""

    acceptance_id: str
    attendee: str
    email: str


class AttendeeRegistered(msgspec.Struct, frozen=True, kw_only=True):
    """The attendee is on the list."""

    registration_id: str


class UnregisterAttendee(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`unregister-attendee`, the undo of `register-attendee`; without a registration_id by acceptance and e-mail."""

    acceptance_id: str
    email: str
    registration_id: str | None = None


class AttendeeUnregistered(msgspec.Struct, frozen=True, kw_only=True):
    """The attendee is off the list: `{}`."""


# --- offers service ------------------------------------------------------------------------------------------------


class HoldOffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`hold-offer`: the offer is valid and nobody else's for now; refused with `offer-unknown`, `offer-expired`,
    `offer-taken`, `offer-differs`.
    """

    acceptance_id: str
    offer: str
    course: str
    price: Decimal

    def __post_init__(self) -> None:
        money(self.price, field="price")


class OfferHeld(msgspec.Struct, frozen=True, kw_only=True):
    """The offer waits for this acceptance."""

    hold_id: str


class FreeOffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`free-offer`, the undo of `hold-offer`; without a hold_id by acceptance and offer."""

    acceptance_id: str
    offer: str
    hold_id: str | None = None


class OfferFreed(msgspec.Struct, frozen=True, kw_only=True):
    """The offer is open to others again: `{}`."""


class AskSponsor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ask-sponsor`: put the price before the sponsor; refused with `sponsor-unknown`."""

    acceptance_id: str
    sponsor: str
    price: Decimal
    occasion: Occasion

    def __post_init__(self) -> None:
        money(self.price, field="price")


class SponsorAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The question lies on the sponsor's desk."""

    question_id: str


class DropQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`drop-question`, the undo of `ask-sponsor`; without a question_id by acceptance and occasion."""

    acceptance_id: str
    occasion: Occasion
    question_id: str | None = None


class QuestionDropped(msgspec.Struct, frozen=True, kw_only=True):
    """The sponsor has nothing to decide any more: `{}`."""


class AcceptOffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`accept-offer`, the point of no return: refused with `offer-withdrawn`, `not-held`."""

    acceptance_id: str
    offer: str
    price: Decimal
    approved_by: str | None

    def __post_init__(self) -> None:
        money(self.price, field="price")


class OfferAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The offer is accepted, at the price that was sent."""

    contract_id: str


# --- discounts service ---------------------------------------------------------------------------------------------


class ApplyCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`apply-code`: refused with `code-unknown`, `code-used`, `code-expired`."""

    acceptance_id: str
    code: str
    price: Decimal

    def __post_init__(self) -> None:
        money(self.price, field="price")


class CodeApplied(msgspec.Struct, frozen=True, kw_only=True):
    """The code is used; `price` is what remains, the offer's price less `discount`."""

    redemption_id: str
    discount: Decimal
    price: Decimal

    def __post_init__(self) -> None:
        money(self.discount, field="discount")
        money(self.price, field="price")


class GiveBackCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`give-back-code`, the undo of `apply-code`; without a redemption_id by acceptance and code."""

    acceptance_id: str
    code: str
    redemption_id: str | None = None


class CodeGivenBack(msgspec.Struct, frozen=True, kw_only=True):
    """The code can be used again: `{}`."""


# --- courses service -----------------------------------------------------------------------------------------------


class BookPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`book-place`: refused with `course-full`, `course-unknown`."""

    acceptance_id: str
    course: str
    registration_id: str


class PlaceBooked(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the training is the attendee's; so many are left."""

    booking_id: str
    places_left: int


class CancelPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cancel-place`, the undo of `book-place`; without a booking_id by acceptance and course."""

    acceptance_id: str
    course: str
    booking_id: str | None = None


class PlaceCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """The place is free again: `{}`."""
