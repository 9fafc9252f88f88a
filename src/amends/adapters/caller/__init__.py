"""Starts and signals on an application's own connection to the PostgreSQL that has the store.

Rules: what is left is one row in the store's inbox, written by one statement in the transaction that the connection is
in; so it is there if and only if the application's change is. A library is imported when the application has imported
it, and one module knows it. It does not: open a connection, commit, roll back, or change a setting of the session.
"""

import sys
from collections.abc import Awaitable, Callable, Coroutine
from importlib import import_module
from typing import Any, Final, TypeVar

from amends.ports import Deposit

__all__ = ["leave"]

R = TypeVar("R")

_MODULES: Final = {
    "psycopg": "psycopg_connection",
    "asyncpg": "asyncpg_connection",
    "sqlalchemy": "sqlalchemy_connection",
    "sqlalchemy.ext.asyncio": "sqlalchemy_async_connection",
}
"""Which module of this adapter knows a library's connections."""


def leave(connection: object, deposit: Deposit, *, schema: str, returning: R) -> R | Coroutine[Any, Any, R]:
    """Make `deposit` on `connection`; return `returning`, or what is to be awaited for it.

    Raises:
        TypeError: it is no connection that is known here.
        NotInTransaction: it commits each statement by itself.
        ValueError: no store can have that schema.
    """
    waited = _way(connection)(deposit, schema)
    return returning if waited is None else _after(waited, returning)


async def _after(waited: Awaitable[None], returning: R) -> R:
    await waited
    return returning


def _way(connection: object) -> Callable[[Deposit, str], Awaitable[None] | None]:
    """Return how a deposit is made. An object of a library's can only be there when that library is imported."""
    for library, module in _MODULES.items():
        if sys.modules.get(library) is not None:
            way = import_module(f"{__name__}.{module}").way(connection)
            if way is not None:
                return way  # type: ignore[no-any-return]
    kind = type(connection)
    raise TypeError(
        f"{kind.__module__}.{kind.__qualname__} is no connection that a saga can be started on: give one of psycopg, "
        "asyncpg or SQLAlchemy"
    )
