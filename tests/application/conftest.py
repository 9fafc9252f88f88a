"""The stores that the engine's suite runs on; no test waits for ever, and asyncio has nothing to complain about."""

import os
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from amends import memory
from amends.adapters.sqlite import SqliteEventStore
from amends.ports import EventStore
from tests.adapters.postgres import storage
from tests.application.shop import Shop
from tests.application.stores import Remote
from tests.limits import limited

Stores: TypeAlias = Callable[[], EventStore]

LONGEST: Final = float(os.environ.get("AMENDS_TEST_PATIENCE", "30"))
"""Seconds after which a test that waits for what will not come is told so."""
MUCH_TO_DO: Final = frozenset({"test_twenty_thousand_that_wait_leave_memory_and_come_back"})
"""These get three times as long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let no test of this folder wait for ever: a lost wakeup is a failure, not a pause."""
    for item in items:
        if isinstance(item, pytest.Function) and Path(__file__).parent in item.path.parents:
            much = item.originalname in MUCH_TO_DO
            item.obj = limited(item.obj, LONGEST * 3 if much else LONGEST)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """A function that gives the same durable content each time, as after a restart."""
    if request.param == "sqlite":
        # On the loop whatever the disk: what a moment later is true then depends on nobody else (`engine_world.turns`).
        return lambda: SqliteEventStore(tmp_path / "amends.db", inline_limit=inf)
    if request.param == "postgres":
        place = storage.address()
        return lambda: Remote(place)
    kept = memory()
    return lambda: kept


@pytest.fixture
def store(stores: Stores) -> EventStore:
    return stores()


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture(autouse=True)
def asyncio_is_quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No task or future dies with an exception that nobody looked at."""
    yield
    complaints = [record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"]
    assert not complaints, complaints
