"""The server goes away under two orchestrators and comes back: they join again, go on by themselves, and say it once.

The server is one of its own, killed and started by the project's script.
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from amends import Orchestrator
from amends.adapters.postgres import Address, PostgresEventStore
from amends.application.service import Service
from servers import postgresql
from tests.adapters.postgres.test_server_killed import kill_all
from tests.application.engine_world import events_of, orchestrator, until
from tests.application.shop import FULFIL, Order, Shop
from tests.sharing.fleet import held, shares

LEASE = timedelta(seconds=1)
MOST_LINES = 12
"""For each of two processes: five roles wait for the store, and go on."""


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="amends-away-"))
    yield folder
    postgresql.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


async def lease_is_over(amends: Orchestrator) -> None:
    """Wait for longer than the lease: nobody else can tell that it is over while the server is away."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(LEASE.total_seconds() * 1.5, over.set_result, None)
    await over


async def test_both_go_on_by_themselves_when_the_server_is_back(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.to_thread(postgresql.start, folder)
    shop = Shop()
    places = [PostgresEventStore(Address.of(server.local_address), lease=LEASE) for _ in range(2)]
    async with (
        asyncio.timeout(150),
        Service(orchestrator(places[0], shop)) as one,
        Service(orchestrator(places[1], shop)) as other,
    ):
        await shares(one.orchestrator, other.orchestrator)
        assert one.is_ready
        ids = [f"o-{number}" for number in range(60)]
        runs = [
            asyncio.create_task((one, other)[n % 2].orchestrator.run(FULFIL, Order(), saga_id=each))
            for n, each in enumerate(ids)
        ]
        await until(lambda: len(shop.named("pay")) > 5)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            await asyncio.to_thread(kill_all, server)
            await until(lambda: not (one.is_ready or other.is_ready), "both to notice")
            await lease_is_over(one.orchestrator)
            lines = len(caplog.records)
            await asyncio.to_thread(postgresql.start, folder, server.port)
            await until(lambda: one.is_ready and other.is_ready, "both to be ready again")
            views = await asyncio.gather(*runs)
        assert {view.status for view in views} == {"completed"}
        await shares(one.orchestrator, other.orchestrator)
        assert held(one.orchestrator).isdisjoint(held(other.orchestrator))
        for saga_id in ids:
            assert (await events_of(places[0], saga_id)).count("SagaCompleted") == 1
        assert lines <= 2 * MOST_LINES, [record.getMessage() for record in caplog.records]


async def test_the_feed_and_the_figures_show_what_others_commit(folder: Path) -> None:
    server = await asyncio.to_thread(postgresql.start, folder)
    shop = Shop()
    places = [PostgresEventStore(Address.of(server.local_address)) for _ in range(2)]
    async with (
        asyncio.timeout(60),
        Service(orchestrator(places[0], shop)) as one,
        Service(orchestrator(places[1], shop)) as other,
    ):
        await shares(one.orchestrator, other.orchestrator)
        feed = await one.feed.follow()
        await other.orchestrator.run(FULFIL, Order())
        assert (await anext(feed)).events[0]["type"] == "SagaStarted"
        counts = [meter.sagas["fulfil"] for meter in (one.meter, other.meter) if "fulfil" in meter.sagas]
        assert [(each.started, each.completed) for each in counts] == [(1, 1)], "by the one that decided it"
        gauges = one.gauges()
        assert (gauges.members, gauges.shards, gauges.sent, gauges.received) == (2, 32, 0, 0)
