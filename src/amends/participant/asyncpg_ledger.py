"""The barrier in a service's own PostgreSQL transaction, by asyncpg.

    database = AsyncpgDatabase(pool)   handlers are async functions that take one of the pool's connections

Rules:
- `receive` opens a transaction of its own, or a savepoint within the one that its caller has opened; then the answer is
  durable when that one commits, and must not go out before.
- Two deliveries of one step meet at the row of their pair: the second waits until the first transaction has ended.
- The transaction is READ COMMITTED, PostgreSQL's own choice. In a stricter one the second delivery fails with
  DatabaseAway instead of waiting, and is sent again.
- A handler must not end the transaction: asyncpg lets it, the command fails with TransactionEnded, but what was
  committed is there.

Does not do: decide (barrier), open connections.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeVar

import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  neither stubs nor a marker

from amends.participant.barrier import Answer, Remembered, Standing, State, admit_async
from amends.participant.execution import DatabaseAway, ended_by, is_passing
from amends.participant.handlers import Act, Handler, Result
from amends.participant.message import Command, Pair, Refused
from amends.participant.statements import (
    CLAIM_PAIR,
    LOCK_SCHEMA,
    POSTGRESQL_SCHEMA,
    RECALL_COMMAND,
    REMEMBER_COMMAND,
    REMEMBER_PAIR,
    SETTLE_COMMAND,
    SETTLE_PAIR,
    Parameters,
    Statement,
    of_command,
    of_pair,
    of_settled,
    of_settlement,
    of_state,
    remembered_of,
    standing_of,
)

_driver: Final[Any] = asyncpg

T = TypeVar("T")


class Connection(Protocol):
    """What is used of asyncpg's connection, which has no types of its own."""

    async def fetchrow(self, query: str, *arguments: object) -> Any: ...

    async def execute(self, query: str, *arguments: object) -> str: ...

    def transaction(self) -> Any: ...

    def is_in_transaction(self) -> bool: ...


class Pool(Protocol):
    """What is used of asyncpg's pool."""

    def acquire(self) -> AbstractAsyncContextManager[Any]: ...


class AsyncpgLedger:
    """The barrier's operations on a connection that is in a transaction."""

    def __init__(self, *, connection: Connection) -> None:
        self._connection = connection

    async def claim(self, pair: Pair) -> Standing:
        """What is known of this pair, whose row is locked from now on."""
        return standing_of(await self._row(CLAIM_PAIR, of_pair(pair)))

    async def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        return remembered_of(await self._row(RECALL_COMMAND, {"command_id": command_id}))

    async def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        await self._row(REMEMBER_COMMAND, of_command(command, answer))
        await self._row(REMEMBER_PAIR, of_state(command, state))

    async def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change the answer of a command that was to be answered later, and the pair's state."""
        await self._row(SETTLE_COMMAND, of_settlement(command_id, answer))
        await self._row(SETTLE_PAIR, of_settled(pair, state))

    async def _row(self, statement: Statement, parameters: Parameters) -> Any:
        return await self._connection.fetchrow(statement.numbered, *statement.arguments(parameters))


async def create_ledger(connection: Connection) -> None:
    """Make the barrier's two tables, unless they are there."""
    async with connection.transaction():
        await connection.execute(LOCK_SCHEMA.numbered)
        await connection.execute(POSTGRESQL_SCHEMA)


async def receive(
    connection: Connection, command: Command, act: Act[Any, Awaitable[Result]], *, needs_do: bool
) -> Answer:
    """Execute the command once, whoever delivers it how often."""
    async with connection.transaction():
        ledger = AsyncpgLedger(connection=connection)
        return await admit_async(
            ledger, command, lambda: _act_within(connection, command, act), needs_do=needs_do
        )


async def _act_within(connection: Connection, command: Command, act: Act[Any, Awaitable[Result]]) -> Result:
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        result = await act(connection, command)
    except BaseException:
        await savepoint.rollback()
        raise
    if not connection.is_in_transaction():
        raise ended_by(command.name)
    await (savepoint.rollback() if isinstance(result, Refused) else savepoint.commit())
    return result


class AsyncpgDatabase:
    """A service's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def execute(self, command: Command, handler: Handler[Any, Awaitable[Result]]) -> Answer:
        """Execute the command once."""
        act = handler.act_on(command)
        return await self._tried(
            lambda connection: receive(connection, command, act, needs_do=handler.needs_do)
        )

    async def recall(self, command_id: str) -> Remembered | None:
        """What this command was answered, if it was here before."""
        return await self._tried(lambda connection: AsyncpgLedger(connection=connection).recall(command_id))

    async def _tried(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            async with self._pool.acquire() as connection:
                return await work(connection)
        except (ConnectionError, TimeoutError) as error:
            raise DatabaseAway(str(error)) from error
        except _driver.PostgresError as error:
            if is_passing(error.sqlstate):
                raise DatabaseAway(str(error)) from error
            raise
