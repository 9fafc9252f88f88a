"""Storages on the shared server: an address, or a function that makes stores.

It does not: start anything before it is asked for.
"""

from pathlib import Path

from amends.adapters.postgres import Address, PostgresEventStore, PostgresReadModel
from amends.testing.event_store_suite import StoreFactory
from amends.testing.read_model_suite import ReadModelFactory
from tests.adapters.postgres import shared_server


def address() -> Address:
    """Return where nothing is yet, by the socket."""
    return Address.of(shared_server.server().local_address, schema=shared_server.new_schema())


def stores(_: Path | None = None) -> StoreFactory:
    """Return a function that gives a new object over the same new storage each time."""
    place = address()
    return lambda: PostgresEventStore(place)


def read_models(_: Path | None = None) -> ReadModelFactory:
    """Return a function that gives a new object over the same new read model each time."""
    place = address()
    return lambda: PostgresReadModel(place)
