"""Every kind of connection that an application may hold, behind one face: open it, change something, commit or not.

Rules: each is made as its library's users make it, with one transaction on it. What is given to Amends is `connection`,
the library's own object. It does not: commit by itself; what is not committed is rolled back at the end.
"""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from typing import Any, NamedTuple

import asyncpg  # type: ignore[import-untyped]
import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker


class Application(NamedTuple):
    """An application in a transaction."""

    connection: Any
    execute: Callable[[str], Awaitable[None]]
    commit: Callable[[], Awaitable[None]]
    rollback: Callable[[], Awaitable[None]]


Opened = AbstractAsyncContextManager[Application]
Flavour = Callable[[str], Opened]


async def settled(made: object) -> Any:
    """Return what `made` comes to, whether or not it is awaited for."""
    return await made if inspect.isawaitable(made) else made


def application(
    connection: Any, statement: Callable[[str], Any] = str, transaction: Any = None
) -> Application:
    """Return an application on `connection`; its transaction is the connection's own unless there is another."""
    ends = connection if transaction is None else transaction

    async def execute(query: str) -> None:
        await settled(connection.execute(statement(query)))

    async def commit() -> None:
        await settled(ends.commit())

    async def rollback() -> None:
        await settled(ends.rollback())

    return Application(connection, execute, commit, rollback)


@asynccontextmanager
async def on_psycopg(url: str) -> AsyncGenerator[Application]:
    with closing(psycopg.connect(url)) as connection:
        yield application(connection)


@asynccontextmanager
async def on_async_psycopg(url: str) -> AsyncGenerator[Application]:
    connection = await psycopg.AsyncConnection.connect(url)
    try:
        yield application(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def on_asyncpg(url: str) -> AsyncGenerator[Application]:
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield application(connection, transaction=transaction)
    finally:
        await connection.close()


@asynccontextmanager
async def on_asyncpg_pool(url: str) -> AsyncGenerator[Application]:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield application(connection, transaction=transaction)


@asynccontextmanager
async def on_sqlalchemy_connection(url: str) -> AsyncGenerator[Application]:
    engine = blocking_engine(url)
    try:
        with engine.connect() as connection:
            yield application(connection, text)
    finally:
        engine.dispose()


@asynccontextmanager
async def on_sqlalchemy_session(url: str) -> AsyncGenerator[Application]:
    engine = blocking_engine(url)
    try:
        with Session(engine) as session:
            yield application(session, text)
    finally:
        engine.dispose()


@asynccontextmanager
async def on_sqlalchemy_scoped_session(url: str) -> AsyncGenerator[Application]:
    engine = blocking_engine(url)
    session = scoped_session(sessionmaker(engine))
    try:
        yield application(session, text)
    finally:
        session.remove()
        engine.dispose()


@asynccontextmanager
async def on_sqlalchemy_async_connection(url: str) -> AsyncGenerator[Application]:
    engine = async_engine(url, "asyncpg")
    try:
        async with engine.connect() as connection:
            yield application(connection, text)
    finally:
        await engine.dispose()


@asynccontextmanager
async def on_sqlalchemy_async_session(url: str) -> AsyncGenerator[Application]:
    engine = async_engine(url, "psycopg")
    try:
        async with AsyncSession(engine) as session:
            yield application(session, text)
    finally:
        await engine.dispose()


@asynccontextmanager
async def on_sqlalchemy_async_scoped_session(url: str) -> AsyncGenerator[Application]:
    engine = async_engine(url, "asyncpg")
    session: async_scoped_session[AsyncSession] = async_scoped_session(
        async_sessionmaker(engine), scopefunc=lambda: "one"
    )
    try:
        yield application(session, text)
    finally:
        await session.remove()
        await engine.dispose()


def blocking_engine(url: str, **options: Any) -> Engine:
    return create_engine(dialect(url, "psycopg"), **options)


def async_engine(url: str, driver: str, **options: Any) -> AsyncEngine:
    return create_async_engine(dialect(url, driver), **options)


def dialect(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


FLAVOURS: dict[str, Flavour] = {
    "psycopg": on_psycopg,
    "psycopg-async": on_async_psycopg,
    "asyncpg": on_asyncpg,
    "asyncpg-pool": on_asyncpg_pool,
    "sqlalchemy-connection": on_sqlalchemy_connection,
    "sqlalchemy-session": on_sqlalchemy_session,
    "sqlalchemy-scoped-session": on_sqlalchemy_scoped_session,
    "sqlalchemy-async-connection": on_sqlalchemy_async_connection,
    "sqlalchemy-async-session": on_sqlalchemy_async_session,
    "sqlalchemy-async-scoped-session": on_sqlalchemy_async_scoped_session,
}
