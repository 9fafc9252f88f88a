"""A service's SQLite database: one connection, in a thread of its own, so that a commit never holds up the event loop.

Rules: WAL and synchronous=FULL, so what was answered survives a power cut; work runs in the order in which it was asked
for; work that was begun ends, even if the one who asked has gone.

Does not do: SQL of its own beyond the pragmas, transactions (sqlite_ledger has them).
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

from amends.participant.barrier import Answer, Remembered
from amends.participant.execution import DatabaseAway
from amends.participant.handlers import Handler, Result
from amends.participant.message import Command
from amends.participant.sqlite_ledger import SqliteLedger, receive

T = TypeVar("T")

SqliteHandler: TypeAlias = Handler[sqlite3.Connection, Result]

BUSY_SECONDS = 10.0

# The database is there, but busy, full or unreadable for the moment; the lowest byte is the kind of error.
_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


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

    async def execute(self, command: Command, handler: SqliteHandler) -> Answer:
        """Execute the command once, whoever delivers it how often."""
        act = handler.act_on(command)
        return await self._tried(
            lambda connection: receive(connection, command, act, needs_do=handler.needs_do)
        )

    async def recall(self, command_id: str) -> Remembered | None:
        """What this command was answered, if it was here before."""
        return await self._tried(lambda connection: SqliteLedger(connection=connection).recall(command_id))

    async def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self.run(work)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in _AWAY:
                raise DatabaseAway(str(error)) from error
            raise

    def close(self) -> None:
        """Finish what was asked for, then close."""
        self._thread.shutdown(wait=True)
        self._connection.close()
