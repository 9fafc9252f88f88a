"""All processes of the server are killed under load: what was acknowledged is there, without a gap, and it goes on.

The server is one of its own, started and started again by the project's script.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from amends import Orchestrator
from amends.adapters.postgres import Address, PostgresEventStore
from amends.ports import KeepIndex, RemoveIndex, SetIndex, StoreUnavailable, StreamKey
from amends.testing.event_store_suite import NOON, an_append, opened
from servers import postgresql
from tests.application.engine_world import events_of
from tests.application.shop import FULFIL, SAGAS, Order, Shop

WRITERS = 40
KILLS = 2
BETWEEN = 1_500
"""Acknowledged transitions before each kill."""
SCRIPT = Path(__file__).resolve().parents[3] / "servers" / "postgres"


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="amends-killed-"))
    yield folder
    postgresql.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


def kill_all(server: postgresql.Server) -> None:
    """Kill the postmaster and every process that it started: each by its number."""
    postmaster = server.pid
    family = [postmaster, *children_of(postmaster)]
    os.kill(postmaster, signal.SIGSTOP)
    family += [child for child in children_of(postmaster) if child not in family]
    for process in family:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    while server.is_running:
        pass


def children_of(parent: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(number) for number in found.stdout.split()]


class Load:
    """Writers that each go on with a stream of their own, and know what was acknowledged."""

    def __init__(self, store: PostgresEventStore) -> None:
        self._store = store
        self.acknowledged = [0] * WRITERS
        self.refusals = 0
        self.is_over = False
        self.news = asyncio.Condition()

    async def write(self, number: int) -> None:
        key = StreamKey("default", f"writer-{number}")
        while not self.is_over:
            position = self.acknowledged[number] + 1
            change = (SetIndex(NOON, outstanding=True), KeepIndex(), RemoveIndex())[position % 3]
            try:
                assert list(await self._store.append([an_append(key, position, index=change)])) == [True]
            except StoreUnavailable:
                self.refusals += 1
                await asyncio.sleep(0)
                continue
            async with self.news:
                self.acknowledged[number] = position
                self.news.notify_all()

    async def until(self, total: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: sum(self.acknowledged) >= total)


async def test_nothing_that_was_acknowledged_is_lost(folder: Path) -> None:
    server = await asyncio.to_thread(postgresql.start, folder)
    place = Address.of(server.address)
    async with asyncio.timeout(120), opened(lambda: PostgresEventStore(place)) as store:
        assert isinstance(store, PostgresEventStore)
        load = Load(store)
        writers = [asyncio.create_task(load.write(number)) for number in range(WRITERS)]
        for kill in range(1, KILLS + 1):
            await load.until(kill * BETWEEN)
            await asyncio.to_thread(kill_all, server)
            assert (await asyncio.to_thread(postgresql.start, folder, server.port)).port == server.port
        await load.until(KILLS * BETWEEN + 500)
        load.is_over = True
        await asyncio.gather(*writers)
        assert load.refusals > 0, "the server was away"
        for number, acknowledged in enumerate(load.acknowledged):
            stored = await store.read(StreamKey("default", f"writer-{number}"))
            assert [each.position for each in stored] == list(range(1, acknowledged + 1))
        sequences = [each.sequence for each in await store.log(limit=100_000)]
        assert sequences == sorted(set(sequences))
        assert len(sequences) == sum(load.acknowledged)


async def test_the_engine_waits_for_a_killed_server_and_goes_on_by_itself(folder: Path) -> None:
    server = await asyncio.to_thread(postgresql.start, folder)
    shop = Shop()
    store = PostgresEventStore(Address.of(server.local_address))
    async with (
        asyncio.timeout(120),
        Orchestrator(sagas=SAGAS, store=store, participants=shop.bindings()) as amends,
    ):
        ids = [f"o-{number}" for number in range(200)]
        runs = [asyncio.create_task(amends.run(FULFIL, Order(), saga_id=saga_id)) for saga_id in ids]
        while len(shop.named("pay")) < 20:  # noqa: ASYNC110  the shop has no signal for it
            await asyncio.sleep(0)
        await asyncio.to_thread(kill_all, server)
        late = asyncio.create_task(amends.run(FULFIL, Order(), saga_id="late"))
        await asyncio.to_thread(postgresql.start, folder, server.port)
        views = await asyncio.gather(*runs, late)
        assert {view.status for view in views} == {"completed"}
        for saga_id in (*ids, "late"):
            assert (await events_of(store, saga_id)).count("SagaCompleted") == 1


def test_the_script_starts_stops_and_removes(folder: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = run("start", str(folder))
    assert run("start", str(folder)) == told, "once more does nothing"
    first, second = told.splitlines()
    for url in (first, second):
        assert asyncio.run(kept_at(url)) >= 0
    written = asyncio.run(kept_at(first))
    run("stop", str(folder))
    run("stop", str(folder))
    with pytest.raises(StoreUnavailable):
        asyncio.run(kept_at(first))
    again = run("start", str(folder)).splitlines()
    assert asyncio.run(kept_at(again[0])) == written + 1, "what it kept is there again"
    run("remove", str(folder))
    assert not folder.exists()
    with pytest.raises(StoreUnavailable):
        asyncio.run(kept_at(again[1]))
    wrong = subprocess.run([str(SCRIPT), "begin"], capture_output=True, check=False)
    assert wrong.returncode == 1
    assert b"usage" in wrong.stderr


async def kept_at(url: str) -> int:
    """Write one transition more; return how many there were."""
    async with opened(lambda: PostgresEventStore(Address.of(url))) as store:
        there = len(await store.log())
        assert list(await store.append([an_append(StreamKey("default", str(there)))])) == [True]
        return there
