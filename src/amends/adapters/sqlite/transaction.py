"""A transaction on a connection of its own lane.

Rules: its statements run on the event loop, a few microseconds each; in a thread each of them would wait for the
interpreter's lock. Its commit, which waits for the disk, runs where the lane says.
It does not: take the lane's turn (its callers hold it).
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from amends.adapters.sqlite.lane import Lane

T = TypeVar("T")


async def transact(lane: Lane, connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], T]) -> T:
    """Return what `write` returns, once it is durable; when anything raises nothing of it is."""
    result = _begun(connection, write)
    await lane.run(partial(_commit, connection))
    return result


def transact_here(lane: Lane, connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], T]) -> T:
    """As `transact`, at once: the lane is free."""
    result = _begun(connection, write)
    lane.run_here(partial(_commit, connection))
    return result


def _begun(connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        return write(connection)
    except BaseException:
        _undo(connection)
        raise


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except BaseException:
        _undo(connection)
        raise


def _undo(connection: sqlite3.Connection) -> None:
    # SQLite undoes some of it by itself.
    if connection.in_transaction:
        connection.execute("ROLLBACK")
