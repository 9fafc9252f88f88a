"""The booking demo: real bookings, through three real services, to their end, and the failed ones undone.

    amends demo booking                        from the source checkout
    amends demo booking --json                 one JSON document, exit code 0 only if all is well

Rules: what a demo is, `examples/running/main.py` says.
"""

import sys
from pathlib import Path

from examples.booking.checks import TOPICS, check
from examples.booking.messages import BookingCreated
from examples.booking.saga import BOOKING, BookingData
from examples.running.cases import Case
from examples.running.example import Example, Post
from examples.running.main import main


def booking_id(booking: BookingCreated) -> str:
    return booking.booking_id


def data(booking: BookingCreated) -> BookingData:
    return BookingData(booking=booking)


def made(booking: BookingCreated) -> tuple[Post, ...]:
    """The booking exists before its saga."""
    return (Post(service="booking", path="/bookings", body=booking),)


EXAMPLE = Example(
    name="booking",
    noun="booking",
    services={
        name: f"examples.booking.participants.{name}_service" for name in ("booking", "product", "payment")
    },
    seed=Path(__file__).with_name("seed.json"),
    cases=Path(__file__).with_name("bookings.jsonl"),
    case=Case[BookingCreated],
    key=booking_id,
    saga=BOOKING,
    data=data,
    check=check,
    topics=TOPICS,
    before=made,
    kafka=Path(__file__).with_name("kafka.yaml"),
)

if __name__ == "__main__":
    sys.exit(main(EXAMPLE))
