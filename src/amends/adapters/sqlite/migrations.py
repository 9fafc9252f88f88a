"""Migrations: numbered files that build the schema, forward only, each applied once and noted with its checksum.

Rules
- A migration and its note are one transaction, so a crash leaves either both or neither.
- A database that a newer Amends migrated is refused, never downgraded; one whose notes differ from the files is
  refused as well: it is not what the queries expect.
It does not: go back, or carry data between stores.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.faults import corrupt
from amends.ports.store_errors import StoreNewer, StoreOlder


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
    folder = files("amends.adapters.sqlite") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(int(name[:4]), name.removesuffix(".sql"), (folder / name).read_text(encoding="utf-8"))
        for name in names
    )


def check_applied(connection: sqlite3.Connection, path: Path) -> tuple[Migration, ...]:
    """Refuse a database that these migrations did not build; return those that are still to be applied.

    Raises:
        StoreNewer: it has migrations that this version does not know.
        StoreCorrupt: it was built by other files of the same numbers.
    """
    applied = {note[0]: note for note in connection.execute(statements.APPLIED_MIGRATIONS).fetchall()}
    known = {migration.number: migration for migration in known_migrations()}
    if applied and (newest := max(applied)) > max(known):
        raise StoreNewer(
            f"{path} was written by a newer version of Amends (its schema is {newest}, this version knows "
            f"{max(known)}); install that version, it is never downgraded."
        )
    for number, (_, name, checksum) in sorted(applied.items()):
        migration = known.get(number)
        if migration is None or (name, checksum) != (migration.name, migration.checksum):
            raise corrupt(path, f"its schema was not built by migration {name} as it is known here")
    return tuple(migration for number, migration in known.items() if number not in applied)


def check_complete(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that is still to be migrated.

    Raises:
        StoreOlder: it is.
    """
    if missing := check_applied(connection, path):
        raise StoreOlder(
            f"{path} was written by an older version of Amends (it lacks {missing[0].name} and what follows); run "
            "amends migrate, or open it with this version once to run it, or read it with the version that wrote it."
        )


def apply_missing(connection: sqlite3.Connection, path: Path, *, is_new: bool) -> list[str]:
    """Apply what is missing, everything to a new database; return the names of what was applied."""
    missing = known_migrations() if is_new else check_applied(connection, path)
    for migration in missing:
        _apply(connection, migration)
    return [migration.name for migration in missing]


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(statements.CREATE_MIGRATION_TABLE)
        for statement in statements_of(migration.script):
            connection.execute(statement)
        note = (migration.number, migration.name, migration.checksum)
        connection.execute(statements.RECORD_MIGRATION, note)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def statements_of(script: str) -> Iterator[str]:
    """Split a script at the ends of statements; `executescript` would commit between them."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
