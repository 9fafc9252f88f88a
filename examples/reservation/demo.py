"""The reservation demo: products reserved and paid through three services, and the audit of it all from the events.

    amends demo reservation                    from the source checkout
    amends demo reservation --json             one JSON document, exit code 0 only if all is well

Rules: as `examples.running.main` has them. When the sagas have ended, the audit rebuilds from their streams what every
service must hold, and compares.
"""

import sys
from pathlib import Path

from examples.reservation.checks import TOPICS, check
from examples.reservation.messages import Reservation
from examples.reservation.saga import RESERVATION
from examples.reservation.streams import streams_in
from examples.running.cases import Case
from examples.running.example import Example, States
from examples.running.main import main


def reservation_id(reservation: Reservation) -> str:
    return reservation.reservation_id


def data(reservation: Reservation) -> Reservation:
    return reservation


async def streams(store: Path) -> States:
    return {"streams": await streams_in(store)}


EXAMPLE = Example(
    name="reservation",
    noun="reservation",
    services={
        "reservations": "examples.reservation.participants.reservations_service",
        "products": "examples.reservation.participants.products_service",
        "payments": "examples.reservation.participants.payments_service",
    },
    seed=Path(__file__).with_name("seed.json"),
    cases=Path(__file__).with_name("cases.jsonl"),
    case=Case[Reservation],
    key=reservation_id,
    saga=RESERVATION,
    data=data,
    check=check,
    topics=TOPICS,
    witness=streams,
)

if __name__ == "__main__":
    sys.exit(main(EXAMPLE))
