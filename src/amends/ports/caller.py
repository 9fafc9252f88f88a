"""The caller's connection: what an application holds when it starts or signals a saga inside its own transaction.

Rules: the protocols name just enough to tell the kinds of connection apart, so that a type checker knows which call is
awaited, and no driver must be installed for it. Whoever takes a connection uses it as it is: it neither commits nor
rolls back, and changes no setting.
It does not: know a driver, or SQL.
"""

from collections.abc import Awaitable
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias


class NotInTransaction(Exception):
    """The connection is in no transaction, so nothing would hold the start and the business change together."""


class BlockingConnection(Protocol):
    """A connection whose calls are not awaited: psycopg's, and SQLAlchemy's `Connection` and `Session`."""

    def execute(self, statement: Any, /) -> object:
        """Run a statement."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class AsyncConnection(Protocol):
    """A connection whose calls are awaited: asyncpg's, psycopg's and SQLAlchemy's asynchronous ones."""

    def execute(self, statement: Any, /) -> Awaitable[object]:
        """Run a statement."""
        ...

    def close(self) -> Awaitable[None]:
        """End it."""
        ...


class PooledConnection(Protocol):
    """What asyncpg's pool lends: it passes everything on to a connection, and declares nothing of it."""

    def __getattr__(self, attr: str, /) -> Any: ...


AwaitedConnection: TypeAlias = AsyncConnection | PooledConnection


class Deposit(NamedTuple):
    """A start or a signal, as it is left in the inbox of a store."""

    namespace: str
    saga_id: str
    kind: Literal["start", "signal"]
    body: bytes
    """Its members, as a JSON document."""
    at_once: bool
    """Whether its holder is told at the commit; otherwise it is found at the next look."""
