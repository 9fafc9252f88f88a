"""Parked records in a SQLite file of its own, by convention ``STORE.parked`` beside the store's.

Rules: WAL and synchronous=FULL, for the offsets of what is parked are committed. The file is kept by one process at a
time, like the store's. A batch is one transaction: its statements run on the event loop, its commit in a thread of
its own, and so does everything else.
It does not: delete records.
"""

import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from amends.adapters.sqlite import statements
from amends.adapters.sqlite.faults import AsStoreErrors, corrupt, unavailable
from amends.adapters.sqlite.hold import FileHold
from amends.adapters.sqlite.instants import from_microseconds, to_microseconds
from amends.adapters.sqlite.lane import Lane
from amends.adapters.sqlite.migrations import statements_of
from amends.adapters.sqlite.transaction import transact
from amends.ports.intake import Record
from amends.ports.parked import Kept, Parked, ParkedState
from amends.ports.store_errors import StoreNewer

T = TypeVar("T")

APPLICATION_ID: Final = 0x414D4E50
"""Tells a file of parked records ("AMNP") from a store and from another program's database."""
VERSION: Final = 1

_HEADERS = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])


class SqliteParkedStore:
    """`ParkedStore` in the file `path`."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).resolve()
        self._as_store_errors = AsStoreErrors(self._path)
        self._lane: Lane | None = None
        self._connection: sqlite3.Connection | None = None
        self._release: Callable[[], None] | None = None

    async def open(self) -> None:
        lane = Lane(name="amends-parked", inline_limit=0)
        opened: list[tuple[sqlite3.Connection, Callable[[], None]]] = []
        try:
            with self._as_store_errors:
                await lane.run_aside(lambda: opened.append(_open(self._path)))
        except BaseException:
            for _connection, release in opened:
                release()
            lane.stop()
            raise
        (self._connection, self._release), self._lane = opened[0], lane

    async def put(self, batch: Sequence[Parked]) -> Sequence[Kept]:
        async with self._turn() as (lane, connection):
            return await transact(
                lane, connection, lambda within: [self._put(within, each) for each in batch]
            )

    def _put(self, connection: sqlite3.Connection, parked: Parked) -> Kept:
        try:
            with self._as_store_errors:
                return _put(connection, parked)
        except ValueError as error:
            # It undid its own statement; the transaction goes on.
            return error

    async def settle(
        self, parked_id: str, state: ParkedState, *, by: str, note: str, at: datetime, code: str = ""
    ) -> bool:
        values = {"id": parked_id, "state": state, "by": by, "note": note, "code": code}
        return await self._ask(partial(_settle, values={**values, "at": to_microseconds(at)}))

    async def get(self, parked_id: str) -> Parked | None:
        return await self._ask(partial(_get, parked_id=parked_id))

    async def find(
        self,
        *,
        states: Sequence[ParkedState] = (),
        namespace: str = "",
        saga_id: str = "",
        topic: str = "",
        code: str = "",
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[Parked]:
        wanted = {"namespace": namespace, "saga_id": saga_id, "topic": topic, "code": code, "after": after}
        return await self._ask(
            partial(_find, values={**wanted, "states": json.dumps(states), "limit": limit})
        )

    async def counts(self) -> Mapping[ParkedState, int]:
        return await self._ask(_counts)

    async def close(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None and self._release is not None:
            async with lane.turn:
                await lane.run_aside(self._release)
                lane.stop()

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        async with self._turn() as (lane, connection):
            return await lane.run(lambda: question(connection))

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[tuple[Lane, sqlite3.Connection]]:
        lane, connection = self._lane, self._connection
        if lane is None or connection is None:
            raise unavailable(self._path, "it is not open")
        async with lane.turn:
            with self._as_store_errors:
                yield lane, connection


def _open(path: Path) -> tuple[sqlite3.Connection, Callable[[], None]]:
    if path.is_dir():
        raise corrupt(path, "it is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        undo.callback(FileHold(path).release)
        connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        undo.callback(connection.close)
        _make_ready(connection, path)
        return connection, undo.pop_all().close


def _make_ready(connection: sqlite3.Connection, path: Path) -> None:
    (tables,) = connection.execute(statements.COUNT_TABLES).fetchone()
    (program,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and program != APPLICATION_ID:
        raise corrupt(path, "it is a database of another kind, and keeps no parked records")
    if version > VERSION:
        raise StoreNewer(f"{path} was written by a newer version of Amends; install that version.")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_mode = WAL")
    if not tables:
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements_of(statements.PARKED_SCHEMA):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")


def _put(connection: sqlite3.Connection, parked: Parked) -> bool:
    record = parked.record
    until = None if parked.until is None else to_microseconds(parked.until)
    values = (
        *(parked.id, record.topic, record.partition, record.offset, record.timestamp_ms, record.key),
        *(record.value, msgspec.msgpack.encode(record.headers), parked.namespace, parked.saga_id),
        *(parked.code, parked.reason, parked.state, to_microseconds(parked.parked_at), until),
    )
    return connection.execute(statements.PARKED_PUT, values).rowcount == 1


def _settle(connection: sqlite3.Connection, *, values: dict[str, object]) -> bool:
    return connection.execute(statements.PARKED_SETTLE, values).rowcount == 1


def _get(connection: sqlite3.Connection, *, parked_id: str) -> Parked | None:
    row = connection.execute(statements.PARKED_GET, (parked_id,)).fetchone()
    return None if row is None else _parked(row)


def _find(connection: sqlite3.Connection, *, values: dict[str, object]) -> list[Parked]:
    return [_parked(row) for row in connection.execute(statements.PARKED_FIND, values)]


def _counts(connection: sqlite3.Connection) -> dict[ParkedState, int]:
    return dict(connection.execute(statements.PARKED_COUNTS).fetchall())


def _parked(row: Sequence[Any]) -> Parked:
    number, parked_id, topic, partition, offset, timestamp, key, value, headers = row[:9]
    namespace, saga_id, code, reason, state, parked_at, until, settled_at, by, note = row[9:]
    return Parked(
        id=parked_id,
        number=number,
        record=Record(
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp_ms=timestamp,
            key=key,
            value=value,
            headers=_HEADERS.decode(headers),
        ),
        namespace=namespace,
        saga_id=saga_id,
        code=code,
        reason=reason,
        state=state,
        parked_at=from_microseconds(parked_at),
        until=None if until is None else from_microseconds(until),
        settled_at=None if settled_at is None else from_microseconds(settled_at),
        by=by,
        note=note,
    )
