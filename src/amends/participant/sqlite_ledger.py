"""The barrier in a service's own SQLite database: its rows and the business change commit in one transaction.

Rules:
- `receive` opens the transaction with BEGIN IMMEDIATE, so two deliveries of one command wait for each other, in one
  process or in several; it commits before it returns, and takes everything back when anything raises.
- The connection is in autocommit mode (isolation_level=None): nobody else begins transactions behind its back.
- The handler cannot end the transaction: COMMIT, ROLLBACK and BEGIN are denied to it. What it changed before it
  returned Refused is taken back by a savepoint.
- The durability of the answer is that of the connection: WAL wants synchronous=FULL.

Does not do: decide (barrier), retry a busy database (the caller's busy timeout does).
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from amends.participant.barrier import Answer, Remembered, Standing, State, admit
from amends.participant.handlers import Act, Result
from amends.participant.message import Command, Pair, Refused
from amends.participant.statements import (
    READ_PAIR,
    RECALL_COMMAND,
    REMEMBER_COMMAND,
    REMEMBER_PAIR,
    SETTLE_COMMAND,
    SETTLE_PAIR,
    SQLITE_SCHEMA,
    of_command,
    of_pair,
    of_settled,
    of_settlement,
    of_state,
    remembered_of,
    standing_of,
)


class TransactionDenied(RuntimeError):
    """A handler tried to begin or end a transaction; that is the barrier's alone. Nothing was done."""


class SqliteLedger:
    """The barrier's operations on a connection that is in a transaction."""

    def __init__(self, *, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def claim(self, pair: Pair) -> Standing:
        """What is known of this pair; the transaction alone may write since its beginning."""
        return standing_of(self._connection.execute(READ_PAIR.named, of_pair(pair)).fetchone())

    def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        found = self._connection.execute(RECALL_COMMAND.named, {"command_id": command_id})
        return remembered_of(found.fetchone())

    def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        self._connection.execute(REMEMBER_COMMAND.named, of_command(command, answer))
        self._connection.execute(REMEMBER_PAIR.named, of_state(command, state))

    def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change the answer of a command that was to be answered later, and the pair's state."""
        self._connection.execute(SETTLE_COMMAND.named, of_settlement(command_id, answer))
        self._connection.execute(SETTLE_PAIR.named, of_settled(pair, state))


def create_ledger(connection: sqlite3.Connection) -> None:
    """Make the barrier's two tables, unless they are there."""
    connection.executescript(SQLITE_SCHEMA)


def receive(
    connection: sqlite3.Connection, command: Command, act: Act[sqlite3.Connection, Result], *, needs_do: bool
) -> Answer:
    """Execute the command once, whoever delivers it how often; the answer is durable when this returns."""
    with write_transaction(connection):
        return admit(
            SqliteLedger(connection=connection),
            command,
            lambda: _act_within(connection, command, act),
            needs_do=needs_do,
        )


@contextmanager
def write_transaction(connection: sqlite3.Connection) -> Generator[None]:
    """A transaction with the write lock from its beginning; commits at the end, rolls back when anything raises."""
    if connection.isolation_level is not None:
        message = "open the connection with isolation_level=None; the barrier begins and ends its transactions itself"
        raise ValueError(message)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _act_within(
    connection: sqlite3.Connection, command: Command, act: Act[sqlite3.Connection, Result]
) -> Result:
    connection.execute("SAVEPOINT amends_act")
    result = _act_guarded(connection, command, act)
    if isinstance(result, Refused):
        connection.execute("ROLLBACK TO amends_act")
    connection.execute("RELEASE amends_act")
    return result


def _act_guarded(
    connection: sqlite3.Connection, command: Command, act: Act[sqlite3.Connection, Result]
) -> Result:
    connection.set_authorizer(_deny_transactions)
    try:
        return act(connection, command)
    except sqlite3.DatabaseError as error:
        if "not authorized" not in str(error):
            raise
        message = f"the handler of {command.name} began or ended a transaction; leave that to the barrier"
        raise TransactionDenied(message) from error
    finally:
        connection.set_authorizer(None)


def _deny_transactions(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK
