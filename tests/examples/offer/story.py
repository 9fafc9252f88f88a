"""The words of a story about one acceptance: what the customer sent, what each service answers when it says yes.

    checked(begun()).expect("book-place", book(PLAIN))…

Rules: replies are what the services of `examples.offer` send; stories go on from `begun` or from one another.
"""

from decimal import Decimal

import msgspec

from amends.testing import Scenario, given
from examples.offer.messages import (
    Acceptance,
    AttendeeRegistered,
    CodeApplied,
    OfferAccepted,
    OfferHeld,
    PlaceBooked,
    SponsorAsked,
)
from examples.offer.saga import OFFER, AcceptanceData

REGISTERED = AttendeeRegistered(registration_id="R-1")
HELD = OfferHeld(hold_id="H-1")
APPLIED = CodeApplied(redemption_id="D-1", discount=Decimal("99.00"), price=Decimal("891.00"))
ASKED = SponsorAsked(question_id="Q-1")
REMINDED = SponsorAsked(question_id="Q-2")
BOOKED = PlaceBooked(booking_id="B-1", places_left=3)
ACCEPTED = OfferAccepted(contract_id="C-1")

PLAIN = Acceptance(
    acceptance_id="a-1",
    offer="sagas-ada",
    course="sagas",
    attendee="Ada",
    email="ada@example.org",
    sponsor="ann",
    price=Decimal("990.00"),
)
CODED = msgspec.structs.replace(PLAIN, code="TEN")
ONLY_CODED = msgspec.structs.replace(CODED, only_with_discount=True)
DEAR = msgspec.structs.replace(PLAIN, price=Decimal("1990.00"))

Story = Scenario[AcceptanceData]


def begun(acceptance: Acceptance) -> Story:
    return given(OFFER, AcceptanceData(acceptance=acceptance), saga_id=acceptance.acceptance_id)


def checked(story: Story) -> Story:
    """The attendee is registered while the offer is checked."""
    return (
        story.expect_all("register-attendee", "validate-offer")
        .business_status("WAITING_CHECKS")
        .on("validate-offer").replies(HELD)
        .on("register-attendee").replies(REGISTERED)
    )  # fmt: skip


def asked(story: Story) -> Story:
    """The sponsor has the question and thinks."""
    return (
        checked(story)
        .expect("ask-sponsor").replies(ASKED)
        .waits_for("approval")
        .business_status("WAITING_APPROVAL")
        .nothing_outstanding()
    )  # fmt: skip


def checks_undone(story: Story) -> Story:
    """Registration and hold go back, each by the id that its do replied."""
    return (
        story.expect_all("undo register-attendee", "undo validate-offer")
        .on("undo register-attendee").replies()
        .on("undo validate-offer").replies()
    )  # fmt: skip
