"""Every kind of connection, and a business of its own for each test."""

import pytest

from tests.adapters.caller.business import Business, new_business
from tests.adapters.caller.flavours import FLAVOURS, Flavour


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    return FLAVOURS[request.param]


@pytest.fixture
async def business() -> Business:
    return await new_business()
