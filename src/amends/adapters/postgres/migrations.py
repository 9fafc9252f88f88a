"""Migrations: numbered files that build the tables, forward only, each applied once and noted with its checksum.

Rules
- All that are missing and their notes are one transaction, under a lock: a crash leaves all or none, and two that
  migrate at the same time wait for one another.
- A store that a newer Amends migrated is refused, never downgraded; one whose notes differ from the files is refused
  as well: it is not what the queries expect.
It does not: go back, or carry data between stores.
"""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import corrupt
from amends.ports.store_errors import StoreNewer, StoreOlder

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
def known_migrations() -> tuple[Migration, ...]:
    """All migrations of this version, in order."""
    folder = files("amends.adapters.postgres") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(int(name[:4]), name.removesuffix(".sql"), (folder / name).read_text(encoding="utf-8"))
        for name in names
    )


async def is_complete(link: Link, address: Address) -> bool:
    """Tell whether all migrations of this version have been applied.

    Raises:
        StoreNewer, StoreCorrupt: the tables are not those of this version.
    """
    return await check_applied(link, address) == len(known_migrations())


async def check_applied(link: Link, address: Address) -> int:
    """Refuse tables that these migrations did not build; return how many of them have been applied.

    Raises:
        StoreNewer: there are migrations that this version does not know.
        StoreCorrupt: they were built by other files of the same numbers.
    """
    applied = await link.fetch(statements.APPLIED_MIGRATIONS)
    known = known_migrations()
    if applied and applied[-1]["number"] > known[-1].number:
        raise StoreNewer(
            f"{address} was written by a newer version of Amends (its schema is {applied[-1]['number']}, this version "
            f"knows {known[-1].number}); install that version, it is never downgraded."
        )
    for migration, note in zip(known, applied, strict=False):
        if (migration.number, migration.name, migration.checksum) != tuple(note):
            raise corrupt(
                address, f"its tables were not built by migration {migration.name} as it is known here"
            )
    return len(applied)


async def check_complete(link: Link, address: Address) -> None:
    """Refuse tables that are still to be migrated.

    Raises:
        StoreOlder: they are.
    """
    applied, known = await check_applied(link, address), known_migrations()
    if applied < len(known):
        raise StoreOlder(
            f"{address} was written by an older version of Amends (its schema is {applied}, this version reads "
            f"{known[-1].number}); open it with this version once to run it, which migrates it, or read it with the "
            "version that wrote it."
        )


async def make_schema(link: Link) -> None:
    """Make the schema when it is not there."""
    async with link.transaction():
        await link.fetchval(statements.LOCK_MIGRATIONS, LOCK_CLASS)
        await link.execute(statements.CREATE_SCHEMA)


async def apply_missing(link: Link, address: Address, *, is_new: bool) -> list[str]:
    """Apply what is missing, everything to a new schema; return the names of what was applied."""
    async with link.transaction():
        await link.fetchval(statements.LOCK_MIGRATIONS, LOCK_CLASS)
        if is_new:
            await link.execute(statements.CREATE_MIGRATION_TABLE)
        missing = known_migrations()[await check_applied(link, address) :]
        for migration in missing:
            await link.execute(migration.script)
            note = (migration.number, migration.name, migration.checksum)
            await link.fetch(statements.RECORD_MIGRATION, *note)
    return [migration.name for migration in missing]
