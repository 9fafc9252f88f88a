"""Reservations through the real services of a fleet and a real orchestrator in this process, to their end.

    async with ended(caller, cases) as run: run.states, run.streams, run.amends

Rules: the sagas' store is in memory; each case has to end as it says.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from amends import Orchestrator, http, memory
from amends.application.history import EventView
from examples.reservation.demo import EXAMPLE
from examples.reservation.messages import Reservation
from examples.reservation.saga import RESERVATION
from examples.reservation.streams import read_streams
from examples.running.cases import Case
from tests.examples.running.calls import Caller

State = dict[str, list[dict[str, object]]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is there when all have ended."""

    services: dict[str, State]
    streams: dict[str, list[EventView]]
    amends: Orchestrator

    @property
    def states(self) -> dict[str, object]:
        """What the demo's verdict is given."""
        return {**self.services, "streams": self.streams}


def cases_named(*ids: str) -> tuple[Case[Reservation], ...]:
    return tuple(case for case in EXAMPLE.load() if EXAMPLE.id_of(case) in ids)


@asynccontextmanager
async def ended(caller: Caller, cases: Sequence[Case[Reservation]]) -> AsyncIterator[Run]:
    """Let the services misbehave as asked for, bring the cases to their end."""
    for case in cases:
        for bad in case.misbehave:
            await caller.post(bad.service, "/misbehave", bad.at(EXAMPLE.id_of(case)))
    store = memory()
    participants = {name: http(caller.fleet.commands(name)) for name in EXAMPLE.services}
    async with Orchestrator(sagas=[RESERVATION], store=store, participants=participants) as amends:
        runs = (amends.run(RESERVATION, case.given, saga_id=EXAMPLE.id_of(case)) for case in cases)
        views = await asyncio.gather(*runs)
        for view, case in zip(views, cases, strict=True):
            assert (view.status, view.business_status) == (case.expect.status, case.expect.business_status)
        services = {service: await caller.state(service) for service in EXAMPLE.services}
        yield Run(services=services, streams=await read_streams(store), amends=amends)


def as_json(value: object) -> object:
    """The value as it would come from a document."""
    return msgspec.json.decode(msgspec.json.encode(value))
