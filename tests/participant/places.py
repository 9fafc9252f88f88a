"""One counting service in every database of the kit: each do and undo leaves a row, in the barrier's transaction.

    async with PLACES["asyncpg"](where, harmless) as deliver: ...

Rules: a payload `{"by": 1}` succeeds, by a negative number it is refused, by 0 it fails, by `LATER` it answers later,
all after the row was written. `finish` concludes such a do within a transaction of its own. `hook` runs in the handler,
behind all that.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import asyncpg  # type: ignore[import-untyped]
import msgspec
import psycopg
from sqlalchemy import String, create_engine, func, insert, select
from sqlalchemy.engine import Connection as SqlalchemyConnection
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from amends.participant import (
    Answer,
    Command,
    Later,
    Pair,
    Refused,
    Succeeded,
    asyncpg_ledger,
    conclude,
    conclude_async,
    do,
    psycopg_ledger,
    undo,
)
from amends.participant.asyncpg_ledger import AsyncpgLedger
from amends.participant.barrier import AsyncLedger, Ledger
from amends.participant.database import Database
from amends.participant.execution import CommandDatabase
from amends.participant.handlers import Handler, Result, handlers
from amends.participant.psycopg_ledger import AsyncPsycopgLedger, PsycopgLedger
from amends.participant.sqlalchemy_ledger import (
    AsyncSqlalchemyDatabase,
    AsyncSqlalchemyLedger,
    SqlalchemyDatabase,
    SqlalchemyLedger,
    create_ledger as create_ledger_sqlalchemy,
    create_ledger_async as create_ledger_sqlalchemy_async,
)
from amends.participant.sqlite_ledger import SqliteLedger, create_ledger as create_ledger_sqlite
from tests.adapters.postgres import shared_server

S = TypeVar("S")
R = TypeVar("R")


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: int


class Finish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    saga_id: str
    refuses: bool = False


class Count(msgspec.Struct, frozen=True):
    count: int


EFFECT = "CREATE TABLE IF NOT EXISTS effect (id text, step text NOT NULL, direction text NOT NULL)"
WRITE = "INSERT INTO effect (id, step, direction) VALUES ({0}, {0}, {0})"
COUNT = "SELECT count(*) FROM effect"
STANDING = "SELECT sum(CASE direction WHEN 'do' THEN 1 ELSE -1 END) FROM effect"


@dataclass(frozen=True)
class Where:
    """A file for SQLite, an address for PostgreSQL that leads to a schema of its own."""

    file: str
    server: str

    def effects(self, place: str) -> int:
        """How many effects stand."""
        if place.startswith("sqlite"):
            connection = sqlite3.connect(self.file)
            try:
                return int(connection.execute(STANDING).fetchone()[0] or 0)
            finally:
                connection.close()
        with psycopg.connect(self.server) as session:
            row = session.execute(STANDING).fetchone()
            assert row is not None
            return int(row[0] or 0)


def new_place(place: str) -> Where:
    """Where nothing is yet."""
    file = str(Path(tempfile.mkdtemp(prefix="amends-kit-"), "service.db"))
    if place.startswith("sqlite"):
        return Where(file, "")
    server, schema = shared_server.server().local_address, shared_server.new_schema()
    with psycopg.connect(server) as session:
        session.execute(f"CREATE SCHEMA {schema}".encode())
    return Where(file, f"{server}&options=-csearch_path%3D{schema}")


Hook: TypeAlias = Callable[[], None]


def harmless() -> None:
    """A handler without a surprise."""


LATER = 100
STEP = "examined"


def judged(change: Change, count: int, hook: Hook) -> Result:
    hook()
    if change.by == 0:
        raise ZeroDivisionError
    if change.by == LATER:
        return Later()
    return Refused("negative", "it must not be negative") if change.by < 0 else Succeeded(Count(count))


def conclusion(finish: Finish) -> tuple[Pair, Succeeded[str] | Refused]:
    no = Refused("changed-its-mind", "after a long time")
    return Pair("default", finish.saga_id, STEP), no if finish.refuses else Succeeded("at last")


def told(answer: Answer | None) -> Result:
    return Succeeded(None if answer is None else answer.body.decode())


def plain(
    write: Callable[[S, Command], int], ledger: Callable[[S], Ledger], hook: Hook
) -> Mapping[str, Handler[S, Result]]:
    """Handlers that write and judge."""

    def act(place: S, command: Command, change: Change) -> Result:
        return judged(change, write(place, command), hook)

    def finish(place: S, command: Command, finish: Finish) -> Result:
        return told(conclude(ledger(place), *conclusion(finish)))

    return handlers(do("add", Change, act), undo("subtract", Change, act), do("finish", Finish, finish))


def awaited(
    write: Callable[[S, Command], Awaitable[int]], ledger: Callable[[S], AsyncLedger], hook: Hook
) -> Mapping[str, Handler[S, Awaitable[Result]]]:
    """Handlers that write, wait and judge."""

    async def act(place: S, command: Command, change: Change) -> Result:
        return judged(change, await write(place, command), hook)

    async def finish(place: S, command: Command, finish: Finish) -> Result:
        return told(await conclude_async(ledger(place), *conclusion(finish)))

    return handlers(do("add", Change, act), undo("subtract", Change, act), do("finish", Finish, finish))


class Delivering(Generic[S, R]):
    """A service as the suite wants it, which also says what it remembers."""

    def __init__(self, database: CommandDatabase[S, R], by_name: Mapping[str, Handler[S, R]]) -> None:
        self.recall = database.recall
        self._database, self._by_name = database, by_name

    async def __call__(self, command: Command) -> Answer:
        return await self._database.execute(command, self._by_name[command.name])


def delivering(database: CommandDatabase[S, R], by_name: Mapping[str, Handler[S, R]]) -> Delivering[Any, Any]:
    return Delivering(database, by_name)


def values(command: Command) -> tuple[str, str, str]:
    return command.command_id, command.step, command.direction


Place: TypeAlias = Callable[[Where, Hook], AbstractAsyncContextManager[Delivering[Any, Any]]]


@asynccontextmanager
async def sqlite(where: Where, hook: Hook) -> AsyncGenerator[Delivering[Any, Any]]:
    def prepare(connection: sqlite3.Connection) -> None:
        create_ledger_sqlite(connection)
        connection.execute(EFFECT)

    def write(connection: sqlite3.Connection, command: Command) -> int:
        connection.execute(WRITE.format("?"), values(command))
        return int(connection.execute(COUNT).fetchone()[0])

    database = Database(path=Path(where.file), prepare=prepare)
    try:
        yield delivering(database, plain(write, lambda place: SqliteLedger(connection=place), hook))
    finally:
        database.close()


@asynccontextmanager
async def by_psycopg(where: Where, hook: Hook) -> AsyncGenerator[Delivering[Any, Any]]:
    def write(connection: psycopg.Connection[Any], command: Command) -> int:
        connection.execute(WRITE.format("%s").encode(), values(command))
        row = connection.execute(COUNT).fetchone()
        assert row is not None
        return int(row[0])

    with psycopg.connect(where.server) as connection:
        psycopg_ledger.create_ledger(connection)
        connection.execute(EFFECT)
    database = psycopg_ledger.PsycopgDatabase(lambda: psycopg.connect(where.server))
    yield delivering(database, plain(write, lambda place: PsycopgLedger(connection=place), hook))


@asynccontextmanager
async def by_psycopg_async(where: Where, hook: Hook) -> AsyncGenerator[Delivering[Any, Any]]:
    async def write(connection: psycopg.AsyncConnection[Any], command: Command) -> int:
        await connection.execute(WRITE.format("%s").encode(), values(command))
        row = await (await connection.execute(COUNT)).fetchone()
        assert row is not None
        return int(row[0])

    @asynccontextmanager
    async def connect() -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
        async with await psycopg.AsyncConnection.connect(where.server) as connection:
            yield connection

    async with connect() as connection:
        await psycopg_ledger.create_ledger_async(connection)
        await connection.execute(EFFECT)
    database = psycopg_ledger.AsyncPsycopgDatabase(connect)
    yield delivering(database, awaited(write, lambda place: AsyncPsycopgLedger(connection=place), hook))


@asynccontextmanager
async def by_asyncpg(where: Where, hook: Hook) -> AsyncGenerator[Delivering[Any, Any]]:
    async def write(connection: Any, command: Command) -> int:
        await connection.execute(WRITE.format("$1").replace("$1, $1, $1", "$1, $2, $3"), *values(command))
        return int(await connection.fetchval(COUNT))

    pool: Any = await asyncpg.create_pool(where.server, min_size=0, max_size=8)
    try:
        async with pool.acquire() as connection:
            await asyncpg_ledger.create_ledger(connection)
            await connection.execute(EFFECT)
        yield delivering(
            asyncpg_ledger.AsyncpgDatabase(pool),
            awaited(write, lambda place: AsyncpgLedger(connection=place), hook),
        )
    finally:
        await asyncio.wait_for(pool.close(), 10)


class Tables(DeclarativeBase):
    pass


class Effect(Tables):
    __tablename__ = "effect"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    step: Mapped[str]
    direction: Mapped[str]


COUNTED = select(func.count()).select_from(Effect)


def an_effect(command: Command) -> Effect:
    return Effect(id=command.command_id, step=command.step, direction=command.direction)


def an_insert(command: Command) -> Any:
    return insert(Effect).values(id=command.command_id, step=command.step, direction=command.direction)


def write_orm(session: Session, command: Command) -> int:
    session.add(an_effect(command))
    return session.scalars(COUNTED).one()


def write_core(connection: SqlalchemyConnection, command: Command) -> int:
    connection.execute(an_insert(command))
    return connection.scalars(COUNTED).one()


async def write_orm_async(session: AsyncSession, command: Command) -> int:
    session.add(an_effect(command))
    return (await session.scalars(COUNTED)).one()


async def write_core_async(connection: AsyncConnection, command: Command) -> int:
    await connection.execute(an_insert(command))
    return (await connection.scalars(COUNTED)).one()


def sqlalchemy_ledger(place: Session | SqlalchemyConnection) -> Ledger:
    return SqlalchemyLedger(place=place)


def sqlalchemy_ledger_async(place: AsyncSession | AsyncConnection) -> AsyncLedger:
    return AsyncSqlalchemyLedger(place=place)


def sqlalchemy_place(url: Callable[[Where], str], *, orm: bool) -> Place:
    @asynccontextmanager
    async def place(where: Where, hook: Hook) -> AsyncGenerator[Delivering[Any, Any]]:
        engine = create_engine(url(where), pool_size=8)
        with sessionmaker(engine).begin() as session:
            create_ledger_sqlalchemy(session)
        Tables.metadata.create_all(engine)
        if orm:
            yield delivering(
                SqlalchemyDatabase(sessionmaker(engine).begin),
                plain(write_orm, sqlalchemy_ledger, hook),
            )
        else:
            yield delivering(
                SqlalchemyDatabase(engine.begin),
                plain(write_core, sqlalchemy_ledger, hook),
            )
        engine.dispose()

    return place


def sqlalchemy_async_place(engine_of: Callable[[Where], AsyncEngine], *, orm: bool) -> Place:
    @asynccontextmanager
    async def place(where: Where, hook: Hook) -> AsyncGenerator[Delivering[Any, Any]]:
        engine = engine_of(where)
        async with engine.begin() as connection:
            await create_ledger_sqlalchemy_async(connection)
            await connection.run_sync(Tables.metadata.create_all)
        if orm:
            sessions = async_sessionmaker(engine).begin
            yield delivering(
                AsyncSqlalchemyDatabase(sessions),
                awaited(write_orm_async, sqlalchemy_ledger_async, hook),
            )
        else:
            yield delivering(
                AsyncSqlalchemyDatabase(engine.begin),
                awaited(write_core_async, sqlalchemy_ledger_async, hook),
            )
        await engine.dispose()

    return place


def by_server(where: Where) -> str:
    return where.server.replace("postgresql:", "postgresql+psycopg:")


def engine_of_psycopg(where: Where) -> AsyncEngine:
    return create_async_engine(by_server(where), pool_size=8)


def engine_of_asyncpg(where: Where) -> AsyncEngine:
    connect: Any = asyncpg.connect
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(where.server), pool_size=8
    )


def by_file(where: Where) -> str:
    return f"sqlite:///{where.file}"


PLACES: dict[str, Place] = {
    "sqlite": sqlite,
    "sqlite-sqlalchemy-session": sqlalchemy_place(by_file, orm=True),
    "sqlite-sqlalchemy-connection": sqlalchemy_place(by_file, orm=False),
    "psycopg": by_psycopg,
    "psycopg-async": by_psycopg_async,
    "asyncpg": by_asyncpg,
    "sqlalchemy-session": sqlalchemy_place(by_server, orm=True),
    "sqlalchemy-connection": sqlalchemy_place(by_server, orm=False),
    "sqlalchemy-async-session": sqlalchemy_async_place(engine_of_asyncpg, orm=True),
    "sqlalchemy-async-connection": sqlalchemy_async_place(engine_of_psycopg, orm=False),
}
ON_A_SERVER = tuple(place for place in PLACES if not place.startswith("sqlite"))
