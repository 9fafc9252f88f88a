"""A schema of its own on the shared server, for each test."""

import pytest

from amends.adapters.postgres import Address
from tests.adapters.postgres import shared_server, storage


@pytest.fixture
def address() -> Address:
    """Where nothing is yet, by the socket."""
    return storage.address()


@pytest.fixture
def network_address() -> Address:
    """Where nothing is yet, by loopback and with a password."""
    return Address.of(shared_server.server().address, schema=shared_server.new_schema())
