"""One desk, one service and the order's own services for a module's tests; all of them real processes."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.order.cases import SEED, SERVICES
from examples.running.fleet import Fleet
from tests.delivery.api import serving as s

KEY = "a-key-of-sixteen-characters"


@pytest.fixture(scope="module")
def desk() -> Iterator[str]:
    with s.desk() as url:
        yield url


@pytest.fixture(scope="module")
def service(desk: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[s.Serving]:
    """The errands, behind a key."""
    folder = tmp_path_factory.mktemp("service")
    config = s.configuration(folder, desk=desk, lines=["server:", f"  api-keys: {KEY}"])
    with s.serving(folder, config=config) as running:
        yield running


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """The order's services, looked after by a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fleet")
    thread.start()

    async def started() -> Fleet:
        made = Fleet(directory=folder, services=SERVICES, seed=SEED)
        await made.start()
        return made

    try:
        running = asyncio.run_coroutine_threadsafe(started(), loop).result(timeout=60)
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(running.stop(), loop).result(timeout=60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class Orders:
    """The order saga as a service, and its own services."""

    serving: s.Serving
    fleet: Fleet


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    folder = tmp_path_factory.mktemp("orders")
    with fleet(folder / "fleet") as services:
        lines = [f"  {name}: {services.commands(name)}" for name in SERVICES]
        config = folder / "application.yaml"
        config.write_text("\n".join(["microservices:", *lines, ""]))
        with s.serving(folder, config=config, sagas=["examples.order.saga:ORDER"]) as running:
            yield Orders(running, services)
