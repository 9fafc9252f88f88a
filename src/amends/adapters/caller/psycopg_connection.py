"""psycopg's connections, of both kinds.

Rules: nothing else of this adapter imports psycopg. A cursor of the library's own kind is used, whatever the
application has made its connection's default. It does not: commit.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from amends.adapters.caller.faults import explained, not_in_transaction
from amends.adapters.caller.statements import parameters, put_in_inbox_percent
from amends.ports import Deposit

Blocking: TypeAlias = psycopg.Connection[Any]
Awaited: TypeAlias = psycopg.AsyncConnection[Any]


def way(connection: object) -> Callable[[Deposit, str], Awaitable[None] | None] | None:
    """Return how a deposit is made on `connection`; None when it is not psycopg's."""
    match connection:
        case psycopg.Connection():
            return partial(_put, connection)
        case psycopg.AsyncConnection():
            return partial(_put_awaited, connection)
        case _:
            return None


def _put(connection: Blocking, deposit: Deposit, schema: str) -> None:
    _check(connection)
    with explained(schema), psycopg.Cursor(connection) as cursor:
        cursor.execute(put_in_inbox_percent(schema), parameters(deposit, schema))


async def _put_awaited(connection: Awaited, deposit: Deposit, schema: str) -> None:
    _check(connection)
    with explained(schema):
        async with psycopg.AsyncCursor(connection) as cursor:
            await cursor.execute(put_in_inbox_percent(schema), parameters(deposit, schema))


def _check(connection: Blocking | Awaited) -> None:
    """Refuse what would be committed by itself. A block in a connection with autocommit is a transaction, too."""
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        raise not_in_transaction("open a block with connection.transaction(), or leave autocommit off")
