"""What SQLite itself can do in a folder: the limits that the store's own figures are divided by.

Rules: real commits with the store's own durability (WAL, synchronous=FULL) into a bare table without an index, about
a second each; nothing is left behind. It does not: use the store, or say what is good.
"""

import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

SECONDS: Final = 1.0
TRANSITIONS_PER_SAGA: Final = 4
SAGAS_PER_COMMIT: Final = 100
BODY: Final = "x" * 360
"""A happy saga has about 1.4 kB of JSON in four transitions."""


class SqliteLimits(NamedTuple):
    """Best cases of one run on one folder's disk."""

    commits_per_s: float
    """Commits of one row each; a saga that commits per transition takes four."""
    sagas_per_s_100_per_commit: float


def measure_limits(folder: Path) -> SqliteLimits:
    """Measure both limits on the disk below `folder`; takes about two seconds."""
    rows = SAGAS_PER_COMMIT * TRANSITIONS_PER_SAGA
    return SqliteLimits(
        commits_per_s=_commits_per_second(folder, rows=1),
        sagas_per_s_100_per_commit=_commits_per_second(folder, rows=rows) * SAGAS_PER_COMMIT,
    )


def _commits_per_second(folder: Path, *, rows: int) -> float:
    with TemporaryDirectory(dir=folder, prefix="amends-limits-") as scratch:
        connection = sqlite3.connect(Path(scratch) / "limits.db", isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE line (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
            return _count_commits(connection, [(BODY,)] * rows)
        finally:
            connection.close()


def _count_commits(connection: sqlite3.Connection, rows: list[tuple[str]]) -> float:
    commits = 0
    started = time.perf_counter()
    while (spent := time.perf_counter() - started) < SECONDS:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO line (body) VALUES (?)", rows)
        connection.execute("COMMIT")
        commits += 1
    return commits / spent
