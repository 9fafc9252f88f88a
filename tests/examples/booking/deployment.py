"""One deployment of the booking process: a process with a store, some versions of the saga, and services in memory.

    python -m tests.examples.booking.deployment --store saga.db --versions 1 --start 1=b-1 --start 1=b-2 --silent

Rules:
- `--versions` says which definitions it has: `1`, `2`, or `changed` (version 1 with another timeout, but not another
  number).
- With `--silent` nobody answers about a payment: the bookings stay at WAITING_PAYMENT, and this process says `waiting`
  and stays until it is killed.
- Without it, it prints each booking as it ended (`Ended`, JSON) and ends itself.
- A definition that is refused, or a booking that cannot be run, is told on standard error, with exit code 1.
"""

import argparse
import asyncio
import copy
import dataclasses
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from amends import AmendsError, Orchestrator, Saga, SagaUnknown, Step, local, sequence, sqlite
from amends.ports import Transport
from examples.booking.messages import PaymentCompleted, ProductReserved, RequestPayment
from examples.booking.saga import (
    BOOKING,
    cancel_booking,
    confirm_booking,
    request_all_stock,
    request_payment,
)
from examples.booking.version_2 import BOOKING_2, PointsCredited
from tests.examples.booking.bookings import PAID, data, reserved


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """One booking at its end."""

    id: str
    version: int
    business_status: str
    steps: tuple[str, ...]


def with_timeout(step: Step[Any, Any], timeout: timedelta) -> Step[Any, Any]:
    """The same step, another timeout."""
    twin = copy.copy(step)
    # A step's own constructor has overloads, which a generic copy does not fit.
    object.__setattr__(twin, "timeout", timeout)
    return twin


CHANGED = dataclasses.replace(
    BOOKING,
    body=sequence(
        cancel_booking,
        request_all_stock,
        with_timeout(request_payment, timedelta(seconds=9)),
        confirm_booking,
    ),
)
DEFINITIONS: dict[str, Saga[Any]] = {"1": BOOKING, "2": BOOKING_2, "changed": CHANGED}


def services(asked: asyncio.Queue[str] | None) -> dict[str, Transport]:
    """What answers to the commands of all versions; with `asked`, payments are only noted there."""

    async def pay(payment: RequestPayment) -> PaymentCompleted:
        if asked is not None:
            asked.put_nowait(payment.booking_id)
            await asyncio.Event().wait()
        return PAID

    def reserve(_payload: object) -> ProductReserved:
        return reserved("desk")

    def credit(_payload: object) -> PointsCredited:
        return PointsCredited(balance=12)

    return {
        "booking": local({"confirm-booking": _done, "cancel-booking": _done}),
        "product": local({"request-stock": reserve, "release-stock": _done}),
        "payment": local({"request-payment": pay, "refund-payment": _done}),
        "loyalty": local({"credit-points": credit, "withdraw-points": _done}),
    }


def _done(_payload: object) -> dict[str, str]:
    return {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the deployment; the exit code."""
    parser = argparse.ArgumentParser(prog="deployment")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--versions", nargs="+", choices=DEFINITIONS, required=True)
    parser.add_argument("--start", action="append", default=[], metavar="VERSION=ID")
    parser.add_argument("--wait", action="append", default=[], metavar="ID")
    parser.add_argument("--silent", action="store_true")
    parsed = parser.parse_args(arguments)
    try:
        return asyncio.run(_run(parsed))
    except AmendsError as error:
        return _refused(error)


def _refused(error: AmendsError) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return 1


async def _run(parsed: argparse.Namespace) -> int:
    asked: asyncio.Queue[str] | None = asyncio.Queue() if parsed.silent else None
    orchestrator = Orchestrator(
        sagas=[DEFINITIONS[version] for version in parsed.versions],
        store=sqlite(parsed.store),
        participants=services(asked),
    )
    async with orchestrator as amends:
        ids: list[str] = list(parsed.wait)
        for pair in parsed.start:
            version, saga_id = pair.split("=", 1)
            await amends.start(DEFINITIONS[version], data("desk", booking_id=saga_id), saga_id=saga_id)
            ids.append(saga_id)
        if asked is not None:
            await _stay(asked, ids)
        return max([await _tell(amends, saga_id) for saga_id in ids])


async def _stay(asked: asyncio.Queue[str], ids: Sequence[str]) -> None:
    """Wait until each booking has asked for its payment, then for ever."""
    missing = set(ids)
    while missing:
        missing.discard(await asked.get())
    print("waiting", flush=True)
    await asyncio.Event().wait()


async def _tell(amends: Orchestrator, saga_id: str) -> int:
    try:
        end = await amends.wait(saga_id)
    except SagaUnknown as error:
        return _refused(error)
    steps = tuple(step.path for step in end.steps)
    told = Ended(id=end.id, version=end.version, business_status=end.business_status, steps=steps)
    print(msgspec.json.encode(told).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
