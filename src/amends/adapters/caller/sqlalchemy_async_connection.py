"""SQLAlchemy's asynchronous connections and sessions; they run what the blocking ones run.

Rules: apart from the blocking ones, because it cannot be imported where greenlet is not there.
It does not: flush, or commit.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

from amends.adapters.caller.sqlalchemy_connection import put
from amends.ports import Deposit

AwaitedSession: TypeAlias = AsyncSession | async_scoped_session[Any]


def way(connection: object) -> Callable[[Deposit, str], Awaitable[None]] | None:
    """Return how a deposit is made on `connection`; None when it is none of these."""
    match connection:
        case AsyncConnection():
            return partial(_put, connection)
        case AsyncSession() | async_scoped_session():
            return partial(_put_by_session, connection)
        case _:
            return None


async def _put(connection: AsyncConnection, deposit: Deposit, schema: str) -> None:
    await connection.run_sync(put, deposit, schema)


async def _put_by_session(session: AwaitedSession, deposit: Deposit, schema: str) -> None:
    await _put(await session.connection(), deposit, schema)
