"""Every store of parked records keeps the contract of the port: a new one joins with a line in `STORES`."""

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from amends.adapters.memory.parked import MemoryParkedStore
from amends.adapters.postgres import migrate
from amends.adapters.postgres.parked import PostgresParkedStore
from amends.adapters.postgres.session import connect
from amends.adapters.sqlite.parked import SqliteParkedStore
from amends.ports import StoreCorrupt, StoreHeld, StoreNewer, StoreUnavailable
from amends.ports.parked import ParkedState, ParkedStore
from amends.testing.parked_suite import SCENARIOS, ParkedStoreFactory, Scenario, a_parked
from tests.adapters.parking_process import ABREAST
from tests.adapters.postgres import shared_server, storage
from tests.sharing.processes import running


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
        await second.put([a_parked()])


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


async def test_what_was_acknowledged_outlives_sigkill_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "parked"
    await killed_while_parking(SqliteParkedStore(path), "sqlite", str(path))


async def test_what_was_acknowledged_outlives_sigkill_on_a_server() -> None:
    address = storage.address()
    await migrate(address)
    where = shared_server.server().local_address, address.schema
    await killed_while_parking(PostgresParkedStore(address), "postgres", *where)


async def killed_while_parking(store: ParkedStore, *where: str) -> None:
    async with running("tests.adapters.parking_process", *where) as process:
        await process.heard("kept", times=500)
        process.send(signal.SIGKILL)
        await process.gone()
        acknowledged = [line.split()[1] for line in process.lines("kept")]
    await store.open()
    kept = {each.id for each in await store.find(limit=1_000_000)}
    assert not set(acknowledged) - kept, "each is there that was told to be"
    assert len(kept) < len(acknowledged) + 2 * ABREAST
    await store.close()


async def test_a_batch_is_one_transaction_in_a_file(tmp_path: Path) -> None:
    store = SqliteParkedStore(tmp_path / "parked")
    await store.open()
    before = commits(tmp_path / "parked-wal")
    bad = replace(a_parked(99), state=cast("ParkedState", "lost"))
    *told, refused = await store.put([*map(a_parked, range(50)), bad])
    assert (told, type(refused)) == ([True] * 50, ValueError), "a check of the table refuses the last"
    assert commits(tmp_path / "parked-wal") == before + 1
    await store.close()


def commits(log: Path) -> int:
    """Return how many transactions a write-ahead log holds: their last frames say how large the database is then."""
    content = log.read_bytes()
    frame = 24 + int.from_bytes(content[8:12], "big")
    return sum(content[place + 4 : place + 8] != bytes(4) for place in range(32, len(content), frame))


async def test_a_batch_is_one_transaction_on_a_server() -> None:
    address = storage.address()
    await migrate(address)
    store = PostgresParkedStore(address)
    await store.open()
    assert await store.put([*map(a_parked, range(50))]) == [True] * 50
    link = await connect(address, within=5)
    assert await link.fetchval("SELECT count(DISTINCT xmin::text) FROM parked") == 1
    bad = replace(a_parked(99), saga_id="\0")
    told = await store.put([*map(a_parked, range(50, 60)), bad, *map(a_parked, range(60, 70))])
    assert [type(each) for each in told] == [*[bool] * 10, ValueError, *[bool] * 10]
    assert await link.fetchval("SELECT count(*) FROM parked") == 70
    assert await link.fetchval("SELECT count(DISTINCT xmin::text) FROM parked") < 12, "halves, not each alone"
    link.terminate()
    await store.close()


async def test_two_processes_that_park_the_same_records_wait_for_one_another() -> None:
    address = storage.address()
    await migrate(address)
    one, other = PostgresParkedStore(address), PostgresParkedStore(address)
    await one.open()
    await other.open()
    for number in range(20):
        batch = [*map(a_parked, range(500 * number, 500 * (number + 1)))]
        told = await asyncio.gather(one.put(batch), other.put(batch[::-1]))
        is_new_to_one = [a != b for a, b in zip(told[0], reversed(told[1]), strict=True)]
        assert is_new_to_one == [True] * 500
    await one.close()
    await other.close()
