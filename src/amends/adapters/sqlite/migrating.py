"""Migrating a store file without running on it, and saying what it lacks without touching it.

Rules: migrating is what opening does, and takes hold of the file for that moment; looking takes no hold and writes
nothing. A file that is not there lacks everything. They do not: go back.
"""

import asyncio
from contextlib import closing
from pathlib import Path

from amends.adapters.sqlite.database import open_database
from amends.adapters.sqlite.faults import AsStoreErrors
from amends.adapters.sqlite.migrations import check_applied, known_migrations
from amends.adapters.sqlite.reader import look


async def migrate(path: Path) -> list[str]:
    """Bring the file at `path` up to date, making it when it is not there; return what was applied.

    Raises:
        StoreError: as when a store is opened: `StoreHeld` while a process runs on it.
    """
    return await asyncio.to_thread(_migrated, path)


async def missing(path: Path) -> list[str]:
    """Return the migrations that the file at `path` lacks.

    Raises:
        StoreNewer, StoreCorrupt: it was not built by this version's migrations.
    """
    return await asyncio.to_thread(_missing, path)


def _migrated(path: Path) -> list[str]:
    database = open_database(path.resolve())
    database.release()
    return database.applied


def _missing(path: Path) -> list[str]:
    path = path.resolve()
    if not path.exists() or not path.stat().st_size:
        return [migration.name for migration in known_migrations()]
    with AsStoreErrors(path), closing(look(path)) as connection:
        return [migration.name for migration in check_applied(connection, path)]
