"""Every store that gives up streams keeps the contract of the port: a new one joins with a line in `STORES`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amends.adapters.memory import MemoryEventStore
from amends.adapters.postgres import PostgresEventStore
from amends.adapters.sqlite import SqliteEventStore
from amends.testing.retention_suite import (
    RETENTION_SCENARIOS,
    RetainedFactory,
    RetentionScenario,
    in_lock_step,
    retained,
)
from tests.adapters.postgres import storage


def memory(_: Path) -> RetainedFactory:
    store = MemoryEventStore()
    return lambda: store


def postgres(_: Path) -> RetainedFactory:
    place = storage.address()
    return lambda: PostgresEventStore(place)


STORES: dict[str, Callable[[Path], RetainedFactory]] = {
    "memory": memory,
    "sqlite": lambda folder: lambda: SqliteEventStore(folder / "amends.db"),
    "postgres": postgres,
}


@pytest.mark.parametrize("scenario", RETENTION_SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("store", STORES)
async def test_store_gives_up_and_takes_back(store: str, scenario: RetentionScenario, tmp_path: Path) -> None:
    await scenario(STORES[store](tmp_path))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("store", [name for name in STORES if name != "memory"])
async def test_store_answers_as_the_oracle_does(store: str, seed: int, tmp_path: Path) -> None:
    async with retained(MemoryEventStore) as oracle, retained(STORES[store](tmp_path)) as candidate:
        await in_lock_step(oracle=oracle, candidate=candidate, seed=seed, operations=200)
