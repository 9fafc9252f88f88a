"""A process that parks records side by side until it is killed, and says of each when it was told that it is kept.

python -m tests.adapters.parking_process {sqlite FILE|postgres URL SCHEMA}
"""

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Final

from amends.adapters.postgres import Address
from amends.adapters.postgres.parked import PostgresParkedStore
from amends.adapters.sqlite.parked import SqliteParkedStore
from amends.application.parking import Parking
from amends.ports.parked import ParkedStore
from amends.testing.parked_suite import a_parked

STORES: Final[dict[str, Callable[..., ParkedStore]]] = {
    "sqlite": SqliteParkedStore,
    "postgres": lambda url, schema: PostgresParkedStore(Address.of(url, schema=schema)),
}
ABREAST: Final = 40


async def park(parking: Parking, offsets: Iterator[int]) -> None:
    for offset in offsets:
        parked = a_parked(offset)
        assert await parking.put(parked)
        print("kept", parked.id, flush=True)


async def main(kind: str, *where: str) -> None:
    store = STORES[kind](*where)
    await store.open()
    parking, offsets = Parking(store), itertools.count()
    print("ready", flush=True)
    await asyncio.gather(*(park(parking, offsets) for _ in range(ABREAST)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
