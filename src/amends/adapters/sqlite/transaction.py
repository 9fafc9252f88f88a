"""A transaction on a connection of its own lane.

Rules: its statements run on the event loop, a few microseconds each; in a thread each of them would wait for the
interpreter's lock. Its commit, which waits for the disk, runs where the lane says.
It does not: take the lane's turn (its callers hold it).
"""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from amends.adapters.sqlite.lane import Lane

T = TypeVar("T")


async def transact(lane: Lane, connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], T]) -> T:
    """Return what `write` returns, once it is durable; when anything raises nothing of it is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = write(connection)
        await lane.run(lambda: connection.execute("COMMIT"))
        return result
    finally:
        # Still true when anything went wrong, a cancellation with a failed commit included.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
