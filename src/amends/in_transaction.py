"""What an application leaves in its own transaction: a start or a signal, joined with its connection.

Rules: beside `bootstrap`, and like it: an adapter is imported when it is asked for.
It does not: run anything; no orchestrator need be in this process.
"""

import sys
from collections.abc import Coroutine
from typing import Any, TypeVar, overload

from amends.application.caller import signal_deposit, start_deposit
from amends.core.codec import Codec
from amends.core.effect import TraceContext
from amends.definition import Saga
from amends.ports import AwaitedConnection, BlockingConnection
from amends.ports.telemetry import DOING

__all__ = ["signal_in_transaction", "start_in_transaction"]

D = TypeVar("D")


@overload
def start_in_transaction(
    connection: BlockingConnection,
    saga: Saga[D],
    data: D,
    *,
    saga_id: str | None = None,
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> str: ...


@overload
def start_in_transaction(
    connection: AwaitedConnection,
    saga: Saga[D],
    data: D,
    *,
    saga_id: str | None = None,
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> Coroutine[Any, Any, str]: ...


def start_in_transaction(
    connection: object,
    saga: Saga[D],
    data: D,
    *,
    saga_id: str | None = None,
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> str | Coroutine[Any, Any, str]:
    """Start an instance in the transaction that `connection` is in, and return its id; to be awaited where the
    connection's own calls are.

    The instance exists if and only if that transaction commits, and begins at once then. No orchestrator need run in
    this process, or at all just then. `schema` and `namespace` are those of the orchestrator that is to run it. Without
    `at_once` it begins within half a second, and the commit does not wait for others that start something.
    Its trace goes on from the span that is current here, by OpenTelemetry's API, if there is one.

    Raises:
        NotInTransaction: the connection commits each statement by itself.
        DefinitionError, DataUnfit, NotEncodable, SagaIdInvalid: what was given cannot be used; nothing was written.
        TypeError: it is no connection of psycopg, asyncpg or SQLAlchemy to a PostgreSQL.
    """
    from amends.adapters.caller import leave

    deposit = start_deposit(
        saga, data, saga_id=saga_id, namespace=namespace, codec=codec, at_once=at_once, trace=_doing()
    )
    return leave(connection, deposit, schema=schema, returning=deposit.saga_id)


def _doing() -> TraceContext | None:
    """Return what is being done here. Where nobody has imported OpenTelemetry there is no span of it."""
    source = DOING.get()
    if source is not None:
        return source()
    if sys.modules.get("opentelemetry.trace") is None:
        return None
    from amends.adapters.otel.doing import current

    return current()


@overload
def signal_in_transaction(
    connection: BlockingConnection,
    saga_id: str,
    signal: str,
    content: object = None,
    *,
    signal_id: str = "",
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> None: ...


@overload
def signal_in_transaction(
    connection: AwaitedConnection,
    saga_id: str,
    signal: str,
    content: object = None,
    *,
    signal_id: str = "",
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> Coroutine[Any, Any, None]: ...


def signal_in_transaction(
    connection: object,
    saga_id: str,
    signal: str,
    content: object = None,
    *,
    signal_id: str = "",
    schema: str = "amends",
    namespace: str = "default",
    codec: Codec | None = None,
    at_once: bool = True,
) -> Coroutine[Any, Any, None] | None:
    """Tell an instance in the transaction that `connection` is in that something it waits for happened.

    It is told if and only if that transaction commits; the same `signal_id` counts once. Otherwise as
    `start_in_transaction`.
    """
    from amends.adapters.caller import leave

    deposit = signal_deposit(
        saga_id, signal, content, signal_id=signal_id, namespace=namespace, codec=codec, at_once=at_once
    )
    return leave(connection, deposit, schema=schema, returning=None)
