"""The offer demo: acceptances of training offers through four services, dear ones with their sponsor's approval.

    amends demo offer                          from the source checkout
    amends demo offer --json                   one JSON document, exit code 0 only if all is well

Rules: as `examples.running.main` has them. The sponsors' decisions of a case are sent as signals when its acceptance
is where the case says.
"""

import sys
from pathlib import Path

from examples.offer.checks import TOPICS, check
from examples.offer.messages import Received
from examples.offer.saga import OFFER, AcceptanceData
from examples.running.cases import Case
from examples.running.example import Example, Telling
from examples.running.main import main


def acceptance_id(received: Received) -> str:
    return received.acceptance.acceptance_id


def data(received: Received) -> AcceptanceData:
    return AcceptanceData(acceptance=received.acceptance)


def decisions(received: Received) -> tuple[Telling, ...]:
    return tuple(
        Telling(at=said.at, signal="approval", content=said.approval, signal_id=f"decision-{number}")
        for number, said in enumerate(received.decisions, start=1)
    )


EXAMPLE = Example(
    name="offer",
    noun="acceptance",
    services={
        "registration": "examples.offer.participants.registration_service",
        "offers": "examples.offer.participants.offers_service",
        "discounts": "examples.offer.participants.discounts_service",
        "courses": "examples.offer.participants.courses_service",
    },
    seed=Path(__file__).with_name("seed.json"),
    cases=Path(__file__).with_name("cases.jsonl"),
    case=Case[Received],
    key=acceptance_id,
    saga=OFFER,
    data=data,
    check=check,
    topics=TOPICS,
    tells=decisions,
)

if __name__ == "__main__":
    sys.exit(main(EXAMPLE))
