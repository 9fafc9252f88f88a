"""Migrations: numbered files that build the tables, forward only, each applied once and noted with its checksum.

Rules
- All that are missing and their notes are one transaction, under a lock: a crash leaves all or none, and two that
  migrate at the same time wait for one another.
- A store that a newer Amends migrated is refused, never downgraded; one whose notes differ from the files is refused
  as well: it is not what the queries expect.
It does not: go back, or carry data between stores.
"""

import hashlib
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import AsStoreErrors, corrupt
from amends.adapters.postgres.session import connect, facts_of
from amends.ports.store_errors import StoreNewer, StoreOlder

STORE: Final = "migrations"
"""The folder of those of the event store."""
LOCK_CLASS: Final = 0x414D4E44
"""The first half of this program's advisory locks; the second is 0 for migrating and a schema's number for its hold.
A member's own lock has the schema's number first, and its token second."""


class Migration(NamedTuple):
    """One file of `migrations/`: ``0001_event_store.sql``."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


@cache
def known_migrations(folder: str = STORE) -> tuple[Migration, ...]:
    """All migrations of this version in a folder, in order."""
    place = files("amends.adapters.postgres") / folder
    names = sorted(entry.name for entry in place.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(int(name[:4]), name.removesuffix(".sql"), (place / name).read_text(encoding="utf-8"))
        for name in names
    )


async def is_complete(link: Link, address: Address) -> bool:
    """Tell whether all migrations of this version have been applied.

    Raises:
        StoreNewer, StoreCorrupt: the tables are not those of this version.
    """
    return not await check_applied(link, address)


async def check_applied(link: Link, address: Address, folder: str = STORE) -> list[Migration]:
    """Refuse tables that these migrations did not build; return those that are still to be applied, in order.

    What is missing need not be at the end: a number stands for one change, and changes do not build on each other's
    numbers being consecutive.

    Raises:
        StoreNewer: there are migrations that this version does not know.
        StoreCorrupt: they were built by other files of the same numbers.
    """
    applied = [tuple(note) for note in await link.fetch(statements.APPLIED_MIGRATIONS)]
    known = known_migrations(folder)
    if applied and applied[-1][0] > known[-1].number:
        raise StoreNewer(
            f"{address} was written by a newer version of Amends (its schema is {applied[-1][0]}, this version "
            f"knows {known[-1].number}); install that version, it is never downgraded."
        )
    notes = {(each.number, each.name, each.checksum) for each in known}
    for note in applied:
        if note not in notes:
            raise corrupt(address, f"its tables were not built by migration {note[1]} as it is known here")
    numbers = {note[0] for note in applied}
    return [each for each in known if each.number not in numbers]


async def check_complete(link: Link, address: Address) -> None:
    """Refuse tables that are still to be migrated.

    Raises:
        StoreOlder: they are.
    """
    if missing := await check_applied(link, address):
        raise StoreOlder(
            f"{address} was written by an older version of Amends (its schema lacks {missing[0].name}); run amends "
            "migrate, or open it with this version once to run it, or read it with the version that wrote it."
        )


async def make_schema(link: Link) -> None:
    """Make the schema when it is not there."""
    async with link.transaction():
        await link.fetchval(statements.LOCK_MIGRATIONS, LOCK_CLASS)
        await link.execute(statements.CREATE_SCHEMA)


async def apply_missing(link: Link, address: Address, *, is_new: bool, folder: str = STORE) -> list[str]:
    """Apply what is missing, everything to a new schema; return the names of what was applied."""
    async with link.transaction():
        await link.fetchval(statements.LOCK_MIGRATIONS, LOCK_CLASS)
        if is_new:
            await link.execute(statements.CREATE_MIGRATION_TABLE)
        missing = await check_applied(link, address, folder)
        for migration in missing:
            await link.execute(migration.script)
            note = (migration.number, migration.name, migration.checksum)
            await link.fetch(statements.RECORD_MIGRATION, *note)
    return [migration.name for migration in missing]


async def missing(
    address: Address, folder: str = STORE, *, connect_timeout: timedelta = timedelta(seconds=5)
) -> list[str]:
    """Return the migrations that the tables at `address` lack; nothing is held, made or changed.

    Raises:
        StoreNewer, StoreCorrupt: they were not built by this version's migrations.
        StoreUnavailable: the server does not answer.
    """
    link = await connect(address, within=connect_timeout.total_seconds(), is_reader=True)
    try:
        with AsStoreErrors(address):
            is_built = (await facts_of(link, address)).is_built
            lacking = await check_applied(link, address, folder) if is_built else known_migrations(folder)
    finally:
        link.terminate()
    return [migration.name for migration in lacking]
