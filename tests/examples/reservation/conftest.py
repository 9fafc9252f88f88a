"""The three services, started for one test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from examples.reservation.demo import EXAMPLE
from examples.running.fleet import Fleet
from tests.examples.running.calls import Caller


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    fleet = Fleet(directory=tmp_path, services=EXAMPLE.services, seed=EXAMPLE.seed)
    async with fleet, ClientSession() as client:
        yield Caller(fleet, client)
