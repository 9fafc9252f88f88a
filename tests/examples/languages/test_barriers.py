"""The services in Go, Java and TypeScript keep the barrier: the same suite as the kit's, over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession

from amends.testing.barrier_http import over_http
from amends.testing.barrier_suite import REFUSAL_SCENARIOS, SCENARIOS, Examined, Payload, Scenario
from tests.examples.languages.served import served


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the suite has to know of a service."""

    service: str
    do: str
    undo: str
    payload: Payload
    refused: Payload


TOLD = {
    "go": Told(
        service="inventory",
        do="reserve-inventory",
        undo="release-inventory",
        payload=lambda saga_id: {"order_id": saga_id, "sku": "kettle", "quantity": 1},
        refused=lambda saga_id: {"order_id": saga_id, "sku": "toaster", "quantity": 2},
    ),
    "java": Told(
        service="payment",
        do="process-payment",
        undo="refund-payment",
        payload=lambda saga_id: {"order_id": saga_id, "account": "ada", "cents": 100},
        refused=lambda saga_id: {"order_id": saga_id, "account": "bob", "cents": 11},
    ),
    "typescript": Told(
        service="shipping",
        do="ship-order",
        undo="cancel-shipment",
        payload=lambda saga_id: {"order_id": saga_id, "country": "DE"},
        refused=lambda saga_id: {"order_id": saga_id, "country": "AQ"},
    ),
}


@pytest.fixture(params=TOLD)
async def examined(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Examined]:
    told = TOLD[request.param]
    async with served(tmp_path, [request.param]) as services, ClientSession() as client:
        service = services[told.service]

        async def effects() -> int:
            return (await service.state())["standing"]

        yield Examined(
            deliver=over_http(client, f"{service.url}/commands"),
            effects=effects,
            do=told.do,
            undo=told.undo,
            payload=told.payload,
            refused=told.refused,
        )


async def test_a_service_keeps_the_barrier(examined: Examined) -> None:
    for scenario in (*SCENARIOS, *REFUSAL_SCENARIOS):
        await in_a_saga_of_its_own(scenario, examined)


async def in_a_saga_of_its_own(scenario: Scenario, examined: Examined) -> None:
    try:
        await scenario(examined)
    except AssertionError as error:
        error.add_note(f"in the scenario {scenario.__name__}")
        raise
