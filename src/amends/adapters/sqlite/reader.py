"""A store file that is only read, whoever holds it: nothing is locked, written, migrated or created.

Rules
- Each answer shows what was committed when it was asked for, also while another process writes.
- The schema must be this version's: an older file is migrated when it is opened to run, not here.
- Where the folder cannot be written to and no process has the file open, it is read as a file that does not change.
It does not: check the whole file for damage, or retry.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from amends.adapters.sqlite import reading, statements
from amends.adapters.sqlite.database import APPLICATION_ID
from amends.adapters.sqlite.faults import AsStoreErrors, corrupt, unavailable
from amends.adapters.sqlite.lane import Lane
from amends.adapters.sqlite.migrations import check_applied, check_complete
from amends.ports.event_store import DefinitionNote, Logged, OpenInstance, StreamKey, Transition

T = TypeVar("T")

_NOT_SHARED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


class SqliteStoreReader:
    """`StoreReader` of the file `path`."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).resolve()
        self._as_store_errors = AsStoreErrors(self._path)
        self._session: tuple[sqlite3.Connection, Lane] | None = None

    async def open(self) -> None:
        lane = Lane(name="amends-sqlite-reader", inline_limit=0)
        opened: list[sqlite3.Connection] = []
        try:
            with self._as_store_errors:
                await lane.run_aside(lambda: opened.append(_open(self._path)))
        except BaseException:
            for connection in opened:
                connection.close()
            lane.stop()
            raise
        self._session = opened[0], lane

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        found: list[Transition] = []
        while True:
            rest = None if limit is None else limit - len(found)
            piece, is_last = await self._ask(partial(reading.read_piece, key=key, after=after, limit=rest))
            found += piece
            if is_last:
                return found
            after = piece[-1].position

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        return await self._ask(partial(reading.log_piece, after=after, limit=limit))

    async def log_end(self) -> int:
        return await self._ask(reading.log_end)

    async def definitions(self) -> Sequence[DefinitionNote]:
        return await self._ask(reading.definitions)

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        return await self._ask(partial(reading.open_instances, after=after, limit=limit))

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            connection, lane = session
            async with lane.turn:
                connection.close()
            lane.stop()

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if self._session is None:
            raise unavailable(self._path, "it is not open")
        connection, lane = self._session
        async with lane.turn:
            with self._as_store_errors:
                return await lane.run(lambda: question(connection))


def _open(path: Path) -> sqlite3.Connection:
    connection = look(path)
    try:
        check_complete(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def look(path: Path) -> sqlite3.Connection:
    """Open a store file, of whatever age, only to read it."""
    if path.is_dir():
        raise corrupt(path, "it is a folder")
    if not path.exists():
        raise corrupt(path, "there is no such file")
    try:
        return _checked(path, "mode=ro")
    except sqlite3.OperationalError as fault:
        # Without write access SQLite cannot make the files that it shares with a writer. There is none, for it would
        # have made them.
        if fault.sqlite_errorcode & 0xFF not in _NOT_SHARED or _has_log(path):
            raise
        return _checked(path, "mode=ro&immutable=1")


def _has_log(path: Path) -> bool:
    return path.with_name(f"{path.name}-wal").exists()


def _checked(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{options}", uri=True, timeout=1, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        _check_is_store(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_is_store(connection: sqlite3.Connection, path: Path) -> None:
    (tables,) = connection.execute(statements.COUNT_TABLES).fetchone()
    (program,) = connection.execute("PRAGMA application_id").fetchone()
    if not tables or program != APPLICATION_ID:
        raise corrupt(path, "it is a database of another program" if tables else "it is empty")
    check_applied(connection, path)
