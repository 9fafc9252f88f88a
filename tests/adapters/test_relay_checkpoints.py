"""Every store keeps the checkpoints of what leaves it: a new one joins with a line in `STORES`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amends.adapters.memory import MemoryEventStore
from amends.adapters.postgres import PostgresEventStore
from amends.adapters.sqlite import SqliteEventStore
from amends.ports import ClaimLost
from amends.testing.relay_suite import (
    PERSISTENCE_SCENARIOS,
    SCENARIOS,
    SHARED_SCENARIOS,
    TOPIC,
    RelayedFactory,
    Scenario,
    claimed,
    opened,
)
from tests.adapters.postgres import storage
from tests.adapters.postgres.lines import ask


def memory(_: Path) -> RelayedFactory:
    store = MemoryEventStore()
    return lambda: store


def postgres(_: Path) -> RelayedFactory:
    place = storage.address()
    return lambda: PostgresEventStore(place)


STORES: dict[str, Callable[[Path], RelayedFactory]] = {
    "memory": memory,
    "postgres": postgres,
    "sqlite": lambda folder: lambda: SqliteEventStore(folder / "amends.db"),
}
CASES = [
    *((store, scenario) for scenario in SCENARIOS for store in STORES),
    *((store, scenario) for scenario in PERSISTENCE_SCENARIOS for store in ("postgres", "sqlite")),
    *(("postgres", scenario) for scenario in SHARED_SCENARIOS),
]


@pytest.mark.parametrize(
    ("store", "scenario"), CASES, ids=[f"{store}-{scenario.__name__}" for store, scenario in CASES]
)
async def test_store_keeps_the_contract(store: str, scenario: Scenario, tmp_path: Path) -> None:
    await scenario(STORES[store](tmp_path))


END_CLAIM = """
SELECT count(pg_terminate_backend(pid)) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE '%INTO relay%' AND application_name = $1)
"""


async def test_a_lost_session_loses_the_right_and_claims_it_anew() -> None:
    place = replace(storage.address(), application="amends-lost-relay")
    make = lambda: PostgresEventStore(place)  # noqa: E731  a factory of one line
    async with opened(make) as store, opened(make) as other, claimed(store) as checkpoint:
        await checkpoint.move(7)
        assert await ask(place, END_CLAIM, place.application) == 1
        with pytest.raises(ClaimLost):
            await checkpoint.move(9)
        late = other.relay_checkpoint(TOPIC)
        assert await late.claim(), "the server knows that its holder is gone"
        assert await late.reached() == 7
        assert not await checkpoint.claim()
        await late.close()
        assert await checkpoint.claim(), "it was given up"
        await checkpoint.move(9)
