"""Every store of parked records keeps the contract of the port: a new one joins with a line in `STORES`."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from amends.adapters.memory.parked import MemoryParkedStore
from amends.adapters.postgres import migrate
from amends.adapters.postgres.parked import PostgresParkedStore
from amends.adapters.sqlite.parked import SqliteParkedStore
from amends.ports import StoreCorrupt, StoreHeld, StoreNewer, StoreUnavailable
from amends.testing.parked_suite import SCENARIOS, ParkedStoreFactory, Scenario, a_parked
from tests.adapters.postgres import storage


def memory(_: Path) -> ParkedStoreFactory:
    store = MemoryParkedStore()
    return lambda: store


def postgres(_: Path) -> ParkedStoreFactory:
    address = storage.address()
    asyncio.run(migrate(address))
    return lambda: PostgresParkedStore(address)


STORES: dict[str, Callable[[Path], ParkedStoreFactory]] = {
    "memory": memory,
    "postgres": postgres,
    "sqlite": lambda folder: lambda: SqliteParkedStore(folder / "amends.db.parked"),
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("store", STORES)
def test_parked_store_keeps_the_contract(store: str, scenario: Scenario, tmp_path: Path) -> None:
    made = STORES[store](tmp_path)

    async def run() -> None:
        await scenario(made)

    asyncio.run(run())


async def test_a_second_process_is_told_who_holds_the_file(tmp_path: Path) -> None:
    first, second = (SqliteParkedStore(tmp_path / "parked") for _ in range(2))
    await first.open()
    with pytest.raises(StoreHeld):
        await second.open()
    await first.close()
    await second.open()
    await second.close()
    with pytest.raises(StoreUnavailable):
        await second.put(a_parked())


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [("application_id = 7", StoreCorrupt), ("user_version = 2", StoreNewer)],
)
async def test_another_database_is_refused(tmp_path: Path, pragma: str, expected: type[Exception]) -> None:
    store = SqliteParkedStore(tmp_path / "parked")
    await store.open()
    await store.close()
    connection = sqlite3.connect(tmp_path / "parked")
    connection.execute(f"PRAGMA {pragma}")
    connection.close()
    with pytest.raises(expected):
        await store.open()
