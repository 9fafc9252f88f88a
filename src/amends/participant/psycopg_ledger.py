"""The barrier in a service's own PostgreSQL transaction, by psycopg, synchronous or asynchronous.

    database = PsycopgDatabase(pool.connection)             handlers are plain functions, run in threads
    database = AsyncPsycopgDatabase(async_pool.connection)  handlers are async functions

Rules:
- `receive` opens a transaction of its own, or a savepoint within the one that its caller has opened; then the answer is
  durable when that one commits, and must not go out before.
- Two deliveries of one step meet at the row of their pair: the second waits until the first transaction has ended.
- The transaction is READ COMMITTED, PostgreSQL's own choice. In a stricter one the second delivery fails with
  DatabaseAway instead of waiting, and is sent again.
- A handler must not end the transaction; psycopg denies it `commit()` and `rollback()`.

Does not do: decide (barrier), hold connections (give it a pool's `connection`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.rows import tuple_row

from amends.participant.barrier import Answer, Remembered, Standing, State, admit, admit_async
from amends.participant.execution import DatabaseAway, is_passing
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
    of_command,
    of_pair,
    of_settled,
    of_settlement,
    of_state,
    remembered_of,
    standing_of,
)

Connection: TypeAlias = psycopg.Connection[Any]
AsyncConnection: TypeAlias = psycopg.AsyncConnection[Any]
T = TypeVar("T")


class PsycopgLedger:
    """The barrier's operations on a connection that is in a transaction."""

    def __init__(self, *, connection: Connection) -> None:
        self._rows = connection.cursor(row_factory=tuple_row)

    def claim(self, pair: Pair) -> Standing:
        """What is known of this pair, whose row is locked from now on."""
        return standing_of(self._rows.execute(CLAIM_PAIR.formatted, of_pair(pair)).fetchone())

    def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        found = self._rows.execute(RECALL_COMMAND.formatted, {"command_id": command_id})
        return remembered_of(found.fetchone())

    def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        self._rows.execute(REMEMBER_COMMAND.formatted, of_command(command, answer))
        self._rows.execute(REMEMBER_PAIR.formatted, of_state(command, state))

    def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change the answer of a command that was to be answered later, and the pair's state."""
        self._rows.execute(SETTLE_COMMAND.formatted, of_settlement(command_id, answer))
        self._rows.execute(SETTLE_PAIR.formatted, of_settled(pair, state))


class AsyncPsycopgLedger:
    """The same, awaited."""

    def __init__(self, *, connection: AsyncConnection) -> None:
        self._rows = connection.cursor(row_factory=tuple_row)

    async def claim(self, pair: Pair) -> Standing:
        """What is known of this pair, whose row is locked from now on."""
        await self._rows.execute(CLAIM_PAIR.formatted, of_pair(pair))
        return standing_of(await self._rows.fetchone())

    async def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        await self._rows.execute(RECALL_COMMAND.formatted, {"command_id": command_id})
        return remembered_of(await self._rows.fetchone())

    async def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        await self._rows.execute(REMEMBER_COMMAND.formatted, of_command(command, answer))
        await self._rows.execute(REMEMBER_PAIR.formatted, of_state(command, state))

    async def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change the answer of a command that was to be answered later, and the pair's state."""
        await self._rows.execute(SETTLE_COMMAND.formatted, of_settlement(command_id, answer))
        await self._rows.execute(SETTLE_PAIR.formatted, of_settled(pair, state))


def create_ledger(connection: Connection) -> None:
    """Make the barrier's two tables, unless they are there."""
    with connection.transaction():
        connection.execute(LOCK_SCHEMA.formatted)
        connection.execute(POSTGRESQL_SCHEMA.encode())


async def create_ledger_async(connection: AsyncConnection) -> None:
    """Make the barrier's two tables, unless they are there."""
    async with connection.transaction():
        await connection.execute(LOCK_SCHEMA.formatted)
        await connection.execute(POSTGRESQL_SCHEMA.encode())


def receive(
    connection: Connection, command: Command, act: Act[Connection, Result], *, needs_do: bool
) -> Answer:
    """Execute the command once, whoever delivers it how often."""
    with connection.transaction():
        ledger = PsycopgLedger(connection=connection)
        return admit(ledger, command, lambda: _act_within(connection, command, act), needs_do=needs_do)


async def receive_async(
    connection: AsyncConnection,
    command: Command,
    act: Act[AsyncConnection, Awaitable[Result]],
    *,
    needs_do: bool,
) -> Answer:
    """Execute the command once, whoever delivers it how often."""
    async with connection.transaction():
        ledger = AsyncPsycopgLedger(connection=connection)
        return await admit_async(
            ledger, command, lambda: _act_within_async(connection, command, act), needs_do=needs_do
        )


def _act_within(connection: Connection, command: Command, act: Act[Connection, Result]) -> Result:
    with connection.transaction() as savepoint:
        result = act(connection, command)
        if not isinstance(result, Refused):
            return result
        raise psycopg.Rollback(savepoint)
    return result


async def _act_within_async(
    connection: AsyncConnection, command: Command, act: Act[AsyncConnection, Awaitable[Result]]
) -> Result:
    async with connection.transaction() as savepoint:
        result = await act(connection, command)
        if not isinstance(result, Refused):
            return result
        raise psycopg.Rollback(savepoint)
    return result


class PsycopgDatabase:
    """A service's database. `connect` gives a connection for the length of a `with`: a pool's `connection`."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._connect = connect

    async def execute(self, command: Command, handler: Handler[Connection, Result]) -> Answer:
        """Execute the command once, in a thread."""
        act = handler.act_on(command)
        return await asyncio.to_thread(
            self._tried, lambda connection: receive(connection, command, act, needs_do=handler.needs_do)
        )

    async def recall(self, command_id: str) -> Remembered | None:
        """What this command was answered, if it was here before."""
        return await asyncio.to_thread(
            self._tried, lambda connection: PsycopgLedger(connection=connection).recall(command_id)
        )

    def _tried(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._connect() as connection:
                return work(connection)
        except psycopg.Error as error:
            if _is_passing(error):
                raise DatabaseAway(str(error)) from error
            raise


class AsyncPsycopgDatabase:
    """A service's database. `connect` gives a connection for the length of an `async with`: a pool's `connection`."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        self._connect = connect

    async def execute(self, command: Command, handler: Handler[AsyncConnection, Awaitable[Result]]) -> Answer:
        """Execute the command once."""
        act = handler.act_on(command)
        return await self._tried(
            lambda connection: receive_async(connection, command, act, needs_do=handler.needs_do)
        )

    async def recall(self, command_id: str) -> Remembered | None:
        """What this command was answered, if it was here before."""
        return await self._tried(
            lambda connection: AsyncPsycopgLedger(connection=connection).recall(command_id)
        )

    async def _tried(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            async with self._connect() as connection:
                return await work(connection)
        except psycopg.Error as error:
            if _is_passing(error):
                raise DatabaseAway(str(error)) from error
            raise


def _is_passing(error: psycopg.Error) -> bool:
    """Whether it passes by itself; an operational error without a code is one of the connection."""
    lost = error.sqlstate is None and isinstance(error, psycopg.OperationalError)
    return lost or is_passing(error.sqlstate)
