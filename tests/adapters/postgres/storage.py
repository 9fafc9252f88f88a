"""Storages on the shared server: an address, or a function that makes stores.

It does not: start anything before it is asked for.
"""

from collections.abc import Sequence
from pathlib import Path

from amends.adapters.postgres import Address, PostgresEventStore, PostgresReadModel
from amends.ports import Append
from amends.testing.event_store_suite import StoreFactory
from amends.testing.read_model_suite import ReadModelFactory
from tests.adapters.postgres import shared_server


class Preparing(PostgresEventStore):
    """Prepares each batch that it is given."""

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        return await super().append(self.prepared(batch))


def address() -> Address:
    """Return where nothing is yet, by the socket."""
    return Address.of(shared_server.server().local_address, schema=shared_server.new_schema())


def stores(_: Path | None = None) -> StoreFactory:
    """Return a function that gives a new object over the same new storage each time."""
    place = address()
    return lambda: PostgresEventStore(place)


def preparing_stores(_: Path | None = None) -> StoreFactory:
    """Return a function that gives a new object over the same new storage each time, which prepares each batch."""
    place = address()
    return lambda: Preparing(place)


def read_models(_: Path | None = None) -> ReadModelFactory:
    """Return a function that gives a new object over the same new read model each time."""
    place = address()
    return lambda: PostgresReadModel(place)
