"""A service's SQLite database: one connection, in a thread of its own, so that a commit never holds up the event loop.

Rules: WAL and synchronous=FULL, so what was answered survives a power cut; work runs in the order in which it was asked
for; work that was begun ends, even if the one who asked has gone.

Does not do: SQL of its own beyond the pragmas, transactions (sqlite_ledger has `write_transaction`).
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

BUSY_SECONDS = 10.0


def connect(path: Path) -> sqlite3.Connection:
    """A durable connection in autocommit mode."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class Database:
    """The one connection of a service. `prepare` runs first: it makes the tables."""

    def __init__(self, *, path: Path, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._connection = connect(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        try:
            prepare(self._connection)
        except BaseException:
            self.close()
            raise

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work with the connection and hand back what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)

    def close(self) -> None:
        """Finish what was asked for, then close."""
        self._thread.shutdown(wait=True)
        self._connection.close()
