"""Every database of the kit keeps the barrier: a new one joins with a line in `PLACES`."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from amends.testing.barrier_suite import (
    FAULT_SCENARIOS,
    REFUSAL_SCENARIOS,
    SCENARIOS,
    Examined,
    Scenario,
)
from tests.participant.places import PLACES, harmless, new_place


@pytest.fixture(params=PLACES)
async def examined(request: pytest.FixtureRequest) -> AsyncIterator[Examined]:
    place = request.param
    where = new_place(place)

    async def effects() -> int:
        return await asyncio.to_thread(where.effects, place)

    async with PLACES[place](where, harmless) as deliver:
        yield Examined(
            deliver=deliver,
            effects=effects,
            do="add",
            undo="subtract",
            payload=lambda _: {"by": 1},
            refused=lambda _: {"by": -1},
            failing=lambda _: {"by": 0},
        )


@pytest.mark.parametrize(
    "scenario", [*SCENARIOS, *REFUSAL_SCENARIOS, *FAULT_SCENARIOS], ids=lambda scenario: scenario.__name__
)
async def test_every_place_keeps_the_barrier(scenario: Scenario, examined: Examined) -> None:
    await scenario(examined)
