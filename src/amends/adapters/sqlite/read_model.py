"""The read model in a SQLite file of its own, beside the store's or anywhere else.

Rules
- It can be deleted at any time. A file that is damaged, or was built by another version, is emptied and built anew; a
  file that is no read model is refused, not overwritten.
- WAL and synchronous=NORMAL: a power cut may cost the last rows together with their checkpoint, which are made again.
- Calls run in threads of their own, one that writes and one that reads, so that a search over many rows holds up
  neither the event loop nor the projector.
It does not: hold the file against other processes (whoever holds the store does), or know how rows come about.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.database import damage
from amends.adapters.sqlite.faults import AsStoreErrors, corrupt, unavailable
from amends.adapters.sqlite.instants import from_microseconds, to_microseconds
from amends.adapters.sqlite.lane import Lane
from amends.adapters.sqlite.migrations import statements_of
from amends.core.transitions import Status
from amends.ports.event_store import StreamKey
from amends.ports.read_model import Checkpoint, Count, Place, SagaQuery, SagaSummary

T = TypeVar("T")

APPLICATION_ID: Final = 0x414D4E56
"""Tells a read model ("AMNV") from a store and from another program's database."""
VERSION: Final = 1
"""Of the rows and how they are made; a file of another version is built anew."""
BEFORE_ALL: Final = -(2**62)
BEHIND_ALL: Final = 2**62
"""Microseconds that no instant has."""
OPEN: Final[frozenset[Status]] = frozenset({"running", "compensating", "stuck"})


class _Session(NamedTuple):
    writer: sqlite3.Connection
    reader: sqlite3.Connection
    writing: Lane
    reading: Lane


class SqliteReadModel:
    """`ReadModel` in the file `path`."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).resolve()
        self._as_store_errors = AsStoreErrors(self._path)
        self._session: _Session | None = None

    async def open(self) -> None:
        writing = Lane(name="amends-views-write", inline_limit=0)
        reading = Lane(name="amends-views-read", inline_limit=0)
        opened: list[tuple[sqlite3.Connection, sqlite3.Connection]] = []
        try:
            with self._as_store_errors:
                await writing.run_aside(lambda: opened.append(_open(self._path)))
        except BaseException:
            for connection in opened[0] if opened else ():
                connection.close()
            writing.stop()
            raise
        self._session = _Session(*opened[0], writing, reading)

    async def checkpoint(self) -> Checkpoint:
        return await self._ask(_checkpoint)

    async def claim(self) -> bool:
        # One process has the store, and with it this file.
        self._opened()
        return True

    async def put(self, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
        await self._write(partial(_put, rows=rows, checkpoint=checkpoint))

    async def remove(self, keys: Sequence[StreamKey]) -> None:
        await self._write(partial(_remove, keys=keys))

    async def clear(self) -> None:
        await self._write(_clear)

    async def find(
        self, query: SagaQuery, *, limit: int, after: Place | None = None
    ) -> Sequence[SagaSummary]:
        return await self._ask(partial(_find, query=query, limit=limit, after=after))

    async def counts(self, namespace: str = "") -> Sequence[Count]:
        return await self._ask(partial(_counts, namespace=namespace))

    async def secret(self) -> bytes | None:
        return None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        async with session.writing.turn, session.reading.turn:
            try:
                session.reader.close()
                await session.writing.run_aside(session.writer.close)
            finally:
                session.writing.stop()
                session.reading.stop()

    async def _write(self, write: Callable[[sqlite3.Connection], None]) -> None:
        session = self._opened()
        async with session.writing.turn:
            with self._as_store_errors:
                await session.writing.run(lambda: _transact(session.writer, write))

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        session = self._opened()
        async with session.reading.turn:
            with self._as_store_errors:
                return await session.reading.run(lambda: question(session.reader))

    def _opened(self) -> _Session:
        if self._session is None:
            raise unavailable(self._path, "it is not open")
        return self._session


def _open(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    if path.is_dir():
        raise corrupt(path, "it is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        if not _is_usable(path):
            for file in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))):
                file.unlink(missing_ok=True)
        writer = undo.enter_context(closing(_connect(path)))
        writer.execute("PRAGMA journal_mode = WAL")
        if not writer.execute(statements.COUNT_TABLES).fetchone()[0]:
            _transact(writer, _build)
        reader = undo.enter_context(closing(_connect(path)))
        reader.execute("PRAGMA query_only = ON")
        undo.pop_all()
        return writer, reader


def _is_usable(path: Path) -> bool:
    """Tell whether the file is a read model of this version, or nothing yet. One that is something else is refused."""
    try:
        with closing(_connect(path)) as connection:
            (program,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute(statements.COUNT_TABLES).fetchone()
            if tables and program != APPLICATION_ID:
                raise corrupt(path, "it is a database of another kind, and no read model")
            return not tables or (version == VERSION and not damage(connection))
    except sqlite3.DatabaseError as fault:
        if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT or not _is_marked(path):
            raise
        return False


def _is_marked(path: Path) -> bool:
    """Tell whether a file that SQLite cannot read says that it was a read model; the mark stands in its head."""
    with path.open("rb") as file:
        return file.read(72)[68:] == APPLICATION_ID.to_bytes(4)


def _connect(path: Path) -> sqlite3.Connection:
    # A reader in another process may fold the log back and hold it for a moment.
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _build(connection: sqlite3.Connection) -> None:
    for statement in statements_of(statements.VIEWS_SCHEMA):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _transact(connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        write(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _put(connection: sqlite3.Connection, *, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
    connection.executemany(statements.VIEWS_PUT, [_values(row) for row in rows])
    connection.execute(statements.VIEWS_MOVE_CHECKPOINT, checkpoint)


def _remove(connection: sqlite3.Connection, *, keys: Sequence[StreamKey]) -> None:
    connection.executemany(statements.VIEWS_REMOVE, keys)


def _clear(connection: sqlite3.Connection) -> None:
    connection.execute(statements.VIEWS_CLEAR)
    connection.execute(statements.VIEWS_CLEAR_CHECKPOINT)


def _checkpoint(connection: sqlite3.Connection) -> Checkpoint:
    row = connection.execute(statements.VIEWS_CHECKPOINT).fetchone()
    return Checkpoint(0, "") if row is None else Checkpoint(*row)


def _counts(connection: sqlite3.Connection, *, namespace: str) -> list[Count]:
    if namespace:
        return [Count(*row) for row in connection.execute(statements.VIEWS_COUNTS, (namespace,))]
    return [Count(*row) for row in connection.execute(statements.VIEWS_COUNTS_OF_ALL)]


def _find(
    connection: sqlite3.Connection, *, query: SagaQuery, limit: int, after: Place | None
) -> list[SagaSummary]:
    only_open = bool(query.statuses) and OPEN.issuperset(query.statuses)
    match query.newest_first, only_open:
        case True, True:
            sql = statements.VIEWS_FIND_OPEN_NEWEST
        case True, False:
            sql = statements.VIEWS_FIND_NEWEST
        case False, True:
            sql = statements.VIEWS_FIND_OPEN_OLDEST
        case _:
            sql = statements.VIEWS_FIND_OLDEST
    earliest = BEFORE_ALL if query.started_from is None else to_microseconds(query.started_from)
    latest = BEHIND_ALL if query.started_before is None else to_microseconds(query.started_before)
    place: tuple[int, str, str] = (BEHIND_ALL if query.newest_first else BEFORE_ALL, "", "")
    if after is not None:
        place = (to_microseconds(after.started_at), after.namespace, after.id)
        # SQLite enters the index by the plain bounds, not by the place: without this each page walks over those before.
        if query.newest_first:
            latest = min(latest, place[0] + 1)
        else:
            earliest = max(earliest, place[0])
    values = (
        query.namespace,
        query.saga,
        query.version,
        json.dumps(query.statuses) if query.statuses else None,
        query.business_status,
        query.paused,
        earliest,
        latest,
        BEFORE_ALL if query.updated_from is None else to_microseconds(query.updated_from),
        BEHIND_ALL if query.updated_before is None else to_microseconds(query.updated_before),
        query.id_prefix,
        *place,
        limit,
    )
    return [_row(found) for found in connection.execute(sql, values)]


def _values(row: SagaSummary) -> tuple[str | int | None, ...]:
    return (
        row.namespace,
        row.id,
        row.saga,
        row.version,
        row.status,
        row.business_status,
        row.paused,
        row.position,
        row.sequence,
        to_microseconds(row.started_at),
        to_microseconds(row.updated_at),
        None if row.ended_at is None else to_microseconds(row.ended_at),
        json.dumps(row.stuck),
        row.cause,
    )


def _row(values: tuple[Any, ...]) -> SagaSummary:
    namespace, saga_id, saga, version, status, business, paused, position, sequence, *rest = values
    started_at, updated_at, ended_at, stuck, cause = rest
    return SagaSummary(
        namespace=namespace,
        id=saga_id,
        saga=saga,
        version=version,
        status=status,
        business_status=business,
        paused=bool(paused),
        position=position,
        sequence=sequence,
        started_at=from_microseconds(started_at),
        updated_at=from_microseconds(updated_at),
        ended_at=None if ended_at is None else from_microseconds(ended_at),
        stuck=tuple(json.loads(stuck)),
        cause=cause,
    )
