"""SQLAlchemy's connections and sessions, of both kinds, over whichever driver for PostgreSQL they have.

Rules: nothing else of this adapter imports SQLAlchemy. The asynchronous kinds run the same code. A session's default
connection is meant: where a session has several databases, give it the connection.
It does not: flush, or commit.
"""

from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any, TypeAlias

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from amends.adapters.caller.faults import explained, not_in_transaction
from amends.adapters.caller.statements import parameters, put_in_inbox
from amends.ports import Deposit

AwaitedSession: TypeAlias = AsyncSession | async_scoped_session[Any]


def way(connection: object) -> Callable[[Deposit, str], Awaitable[None] | None] | None:
    """Return how a deposit is made on `connection`; None when it is not SQLAlchemy's."""
    match connection:
        case Connection():
            return partial(_put, connection)
        case Session() | scoped_session():
            return lambda deposit, schema: _put(connection.connection(), deposit, schema)
        case AsyncConnection():
            return partial(_put_awaited, connection)
        case AsyncSession() | async_scoped_session():
            return partial(_put_by_session, connection)
        case _:
            return None


def _put(connection: Connection, deposit: Deposit, schema: str) -> None:
    if connection.dialect.name != "postgresql":
        raise TypeError(
            f"the connection leads to {connection.dialect.name}; the store of the sagas is in PostgreSQL, and one "
            "transaction cannot span both"
        )
    if getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise not_in_transaction("leave out isolation_level AUTOCOMMIT")
    with explained(schema):
        connection.execute(_clause(schema), parameters(deposit, schema))


async def _put_awaited(connection: AsyncConnection, deposit: Deposit, schema: str) -> None:
    await connection.run_sync(_put, deposit, schema)


async def _put_by_session(session: AwaitedSession, deposit: Deposit, schema: str) -> None:
    await _put_awaited(await session.connection(), deposit, schema)


@cache
def _clause(schema: str) -> TextClause:
    return text(put_in_inbox(schema))
