"""Every event store keeps the contract of the port: a new one joins with a line in `STORES`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from amends.adapters.memory import MemoryEventStore
from amends.adapters.sqlite import SqliteEventStore
from amends.testing.event_log_suite import LOG_SCENARIOS
from amends.testing.event_store_lockstep import LockStep
from amends.testing.event_store_suite import (
    PERSISTENCE_SCENARIOS,
    SCENARIOS,
    Scenario,
    StoreFactory,
    opened,
)
from tests.adapters.postgres import storage


def memory(_: Path) -> StoreFactory:
    store = MemoryEventStore()
    return lambda: store


STORES: dict[str, Callable[[Path], StoreFactory]] = {
    "memory": memory,
    "sqlite": lambda folder: lambda: SqliteEventStore(folder / "amends.db"),
    "postgres": storage.stores,
    "postgres-prepared": storage.preparing_stores,
    "sqlite-threaded": lambda folder: lambda: SqliteEventStore(folder / "amends.db", inline_limit=0),
}
PERSISTENT = tuple(name for name in STORES if name != "memory")


@pytest.mark.parametrize("scenario", [*SCENARIOS, *LOG_SCENARIOS], ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("store", STORES)
async def test_store_keeps_the_contract(store: str, scenario: Scenario, tmp_path: Path) -> None:
    await scenario(STORES[store](tmp_path))


@pytest.mark.parametrize("scenario", PERSISTENCE_SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("store", PERSISTENT)
async def test_store_outlives_its_object(store: str, scenario: Scenario, tmp_path: Path) -> None:
    await scenario(STORES[store](tmp_path))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("store", PERSISTENT)
async def test_store_answers_as_the_oracle_does(store: str, seed: int, tmp_path: Path) -> None:
    async with opened(MemoryEventStore) as oracle, opened(STORES[store](tmp_path)) as candidate:
        await LockStep(oracle=oracle, candidate=candidate, seed=seed).run(operations=250)
