"""The barrier in a service's own transaction by SQLAlchemy: ORM sessions and Core connections, PostgreSQL and SQLite.

    database = SqlalchemyDatabase(sessionmaker(engine).begin)             or SqlalchemyDatabase(engine.begin)
    database = AsyncSqlalchemyDatabase(async_sessionmaker(engine).begin)  or AsyncSqlalchemyDatabase(engine.begin)

Handlers get what `begin` gives: a session or a connection.

Rules:
- `receive` works within the transaction that its caller has begun: the answer is durable when that one commits, and
  must not go out before. The two classes do both.
- On PostgreSQL two deliveries of one step meet at the row of their pair: the second waits until the first transaction
  has ended (READ COMMITTED; in a stricter one it fails with DatabaseAway and is sent again). On SQLite the barrier
  begins by taking the one right to write.
- A handler must not end the transaction: after `commit()` or `rollback()` the command fails with TransactionEnded, but
  what was committed is there.

Does not do: decide (barrier), make engines, know other databases (it raises UnknownDialect).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Final, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import TextClause

from amends.participant.barrier import Answer, Remembered, Standing, State, admit, admit_async
from amends.participant.execution import DatabaseAway, ended_by, is_passing
from amends.participant.handlers import Act, Handler, Result
from amends.participant.message import Command, Pair, Refused
from amends.participant.statements import (
    CLAIM_PAIR,
    LOCK_DATABASE,
    LOCK_SCHEMA,
    POSTGRESQL_SCHEMA,
    READ_PAIR,
    RECALL_COMMAND,
    REMEMBER_COMMAND,
    REMEMBER_PAIR,
    SETTLE_COMMAND,
    SETTLE_PAIR,
    SQLITE_SCHEMA,
    Statement,
    of_command,
    of_pair,
    of_settled,
    of_settlement,
    of_state,
    remembered_of,
    schema_statements,
    standing_of,
)

Place: TypeAlias = Session | Connection
AsyncPlace: TypeAlias = AsyncSession | AsyncConnection
P = TypeVar("P", bound=Place)
A = TypeVar("A", bound=AsyncPlace)
T = TypeVar("T")

_CLAIMS: Final[Mapping[str, Statement]] = {"postgresql": CLAIM_PAIR, "sqlite": READ_PAIR}
_SCHEMAS: Final[Mapping[str, tuple[str, ...]]] = {
    "postgresql": (LOCK_SCHEMA.named, *schema_statements(POSTGRESQL_SCHEMA)),
    "sqlite": (*schema_statements(SQLITE_SCHEMA),),
}


class UnknownDialect(ValueError):
    """The barrier's SQL is written for PostgreSQL and SQLite."""


class SqlalchemyLedger:
    """The barrier's operations within a transaction."""

    def __init__(self, *, place: Place) -> None:
        self._place = place

    def claim(self, pair: Pair) -> Standing:
        """What is known of this pair; nobody else may claim it until the transaction ends."""
        connection = _connection(self._place)
        claim = _of_dialect(_CLAIMS, connection.dialect.name)
        _take_right_to_write(connection, pair)
        return standing_of(self._place.execute(_text(claim), of_pair(pair)).first())

    def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        return remembered_of(self._place.execute(_text(RECALL_COMMAND), {"command_id": command_id}).first())

    def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        self._place.execute(_text(REMEMBER_COMMAND), of_command(command, answer))
        self._place.execute(_text(REMEMBER_PAIR), of_state(command, state))

    def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change the answer of a command that was to be answered later, and the pair's state."""
        self._place.execute(_text(SETTLE_COMMAND), of_settlement(command_id, answer))
        self._place.execute(_text(SETTLE_PAIR), of_settled(pair, state))


class AsyncSqlalchemyLedger:
    """The same, awaited."""

    def __init__(self, *, place: AsyncPlace) -> None:
        self._place = place

    async def claim(self, pair: Pair) -> Standing:
        """What is known of this pair; nobody else may claim it until the transaction ends."""
        connection = await _connection_async(self._place)
        claim = _of_dialect(_CLAIMS, connection.dialect.name)
        await connection.run_sync(_take_right_to_write, pair)
        return standing_of((await self._place.execute(_text(claim), of_pair(pair))).first())

    async def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        found = await self._place.execute(_text(RECALL_COMMAND), {"command_id": command_id})
        return remembered_of(found.first())

    async def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        await self._place.execute(_text(REMEMBER_COMMAND), of_command(command, answer))
        await self._place.execute(_text(REMEMBER_PAIR), of_state(command, state))

    async def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change the answer of a command that was to be answered later, and the pair's state."""
        await self._place.execute(_text(SETTLE_COMMAND), of_settlement(command_id, answer))
        await self._place.execute(_text(SETTLE_PAIR), of_settled(pair, state))


def create_ledger(place: Place) -> None:
    """Make the barrier's two tables within the caller's transaction, unless they are there."""
    for statement in _of_dialect(_SCHEMAS, _connection(place).dialect.name):
        place.execute(text(statement))


async def create_ledger_async(place: AsyncPlace) -> None:
    """Make the barrier's two tables within the caller's transaction, unless they are there."""
    for statement in _of_dialect(_SCHEMAS, (await _connection_async(place)).dialect.name):
        await place.execute(text(statement))


def receive(place: P, command: Command, act: Act[P, Result], *, needs_do: bool) -> Answer:
    """Execute the command once, whoever delivers it how often, within the caller's transaction."""
    ledger = SqlalchemyLedger(place=place)
    return admit(ledger, command, lambda: _act_within(place, command, act), needs_do=needs_do)


async def receive_async(
    place: A, command: Command, act: Act[A, Awaitable[Result]], *, needs_do: bool
) -> Answer:
    """Execute the command once, whoever delivers it how often, within the caller's transaction."""
    ledger = AsyncSqlalchemyLedger(place=place)
    return await admit_async(
        ledger, command, lambda: _act_within_async(place, command, act), needs_do=needs_do
    )


def _act_within(place: P, command: Command, act: Act[P, Result]) -> Result:
    savepoint = place.begin_nested()
    with savepoint:
        result = act(place, command)
        if not savepoint.is_active:
            raise ended_by(command.name)
        if isinstance(result, Refused):
            savepoint.rollback()
    return result


async def _act_within_async(place: A, command: Command, act: Act[A, Awaitable[Result]]) -> Result:
    savepoint = place.begin_nested()
    async with savepoint:
        result = await act(place, command)
        if not savepoint.is_active:
            raise ended_by(command.name)
        if isinstance(result, Refused):
            await savepoint.rollback()
    return result


class SqlalchemyDatabase(Generic[P]):
    """A service's database. `begin` begins a transaction and commits it at the end of a `with`."""

    def __init__(self, begin: Callable[[], AbstractContextManager[P]]) -> None:
        self._begin = begin

    async def execute(self, command: Command, handler: Handler[P, Result]) -> Answer:
        """Execute the command once, in a thread."""
        act = handler.act_on(command)
        return await asyncio.to_thread(
            self._tried, lambda place: receive(place, command, act, needs_do=handler.needs_do)
        )

    async def recall(self, command_id: str) -> Remembered | None:
        """What this command was answered, if it was here before."""
        return await asyncio.to_thread(
            self._tried, lambda place: SqlalchemyLedger(place=place).recall(command_id)
        )

    def _tried(self, work: Callable[[P], T]) -> T:
        try:
            with self._begin() as place:
                return work(place)
        except DBAPIError as error:
            if _is_passing(error):
                raise DatabaseAway(str(error.orig)) from error
            raise


class AsyncSqlalchemyDatabase(Generic[A]):
    """A service's database. `begin` begins a transaction and commits it at the end of an `async with`."""

    def __init__(self, begin: Callable[[], AbstractAsyncContextManager[A]]) -> None:
        self._begin = begin

    async def execute(self, command: Command, handler: Handler[A, Awaitable[Result]]) -> Answer:
        """Execute the command once."""
        act = handler.act_on(command)
        return await self._tried(lambda place: receive_async(place, command, act, needs_do=handler.needs_do))

    async def recall(self, command_id: str) -> Remembered | None:
        """What this command was answered, if it was here before."""
        return await self._tried(lambda place: AsyncSqlalchemyLedger(place=place).recall(command_id))

    async def _tried(self, work: Callable[[A], Awaitable[T]]) -> T:
        try:
            async with self._begin() as place:
                return await work(place)
        except DBAPIError as error:
            if _is_passing(error):
                raise DatabaseAway(str(error.orig)) from error
            raise


D = TypeVar("D")


def _of_dialect(choices: Mapping[str, D], name: str) -> D:
    if name not in choices:
        message = f"the barrier's SQL is written for {' and '.join(choices)}, not for {name}"
        raise UnknownDialect(message)
    return choices[name]


def _take_right_to_write(connection: Connection, pair: Pair) -> None:
    """On SQLite, wait for it; where the caller has begun already, what waits is the first statement that writes."""
    if connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        connection.execute(_text(LOCK_DATABASE), of_pair(pair))
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _connection(place: Place) -> Connection:
    return place.connection() if isinstance(place, Session) else place


async def _connection_async(place: AsyncPlace) -> AsyncConnection:
    return await place.connection() if isinstance(place, AsyncSession) else place


def _text(statement: Statement) -> TextClause:
    return text(statement.named)


def _is_passing(error: DBAPIError) -> bool:
    """Whether it passes by itself, as far as the driver's error says so."""
    original: Any = error.orig
    if error.connection_invalidated or is_passing(getattr(original, "sqlstate", None)):
        return True
    return getattr(original, "sqlite_errorname", "").startswith(
        ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL")
    )
