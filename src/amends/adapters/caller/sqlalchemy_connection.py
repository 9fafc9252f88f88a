"""SQLAlchemy's connections and sessions, over whichever driver for PostgreSQL they have.

Rules: a session's default connection is meant; where a session has several databases, its connection is to be given.
It does not: flush, commit, or know the asynchronous kinds (`sqlalchemy_async_connection.py`).
"""

from collections.abc import Callable
from functools import cache, partial

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.orm import Session, scoped_session

from amends.adapters.caller.faults import explained, not_in_transaction
from amends.adapters.caller.statements import parameters, put_in_inbox
from amends.ports import Deposit


def way(connection: object) -> Callable[[Deposit, str], None] | None:
    """Return how a deposit is made on `connection`; None when it is none of these."""
    match connection:
        case Connection():
            return partial(put, connection)
        case Session() | scoped_session():
            return lambda deposit, schema: put(connection.connection(), deposit, schema)
        case _:
            return None


def put(connection: Connection, deposit: Deposit, schema: str) -> None:
    """Make `deposit` on `connection`.

    Raises:
        NotInTransaction: it commits each statement by itself.
        TypeError: it leads to another kind of database.
    """
    if connection.dialect.name != "postgresql":
        raise TypeError(
            f"the connection leads to {connection.dialect.name}; the store of the sagas is in PostgreSQL, and one "
            "transaction cannot span both"
        )
    if getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise not_in_transaction("leave out isolation_level AUTOCOMMIT")
    with explained(schema):
        connection.execute(_clause(schema), parameters(deposit, schema))


@cache
def _clause(schema: str) -> TextClause:
    return text(put_in_inbox(schema))
