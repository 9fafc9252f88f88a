"""The relay's checkpoints in the store's own file, so that log and checkpoints are of one backup.

Rules: one process holds the file, so the right to relay is always there to be had. Writing takes turns with the
store's own writes; whoever relays writes seldom.
It does not: open the file, or know what leaves.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from amends.adapters.sqlite import statements


class SqliteRelayCheckpoint:
    """`RelayCheckpoint` of one topic; `ask` and `change` are the store's ways to its file."""

    def __init__(
        self,
        topic: str,
        *,
        ask: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]],
        change: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]],
    ) -> None:
        self._topic = topic
        self._ask = ask
        self._change = change

    async def claim(self) -> bool:
        return True

    async def reached(self) -> int:
        sequence: int = await self._ask(partial(_reached, topic=self._topic))
        return sequence

    async def move(self, sequence: int) -> None:
        await self._change(partial(_move, topic=self._topic, sequence=sequence))

    async def close(self) -> None:
        """There is nothing to let go of."""


def _reached(connection: sqlite3.Connection, *, topic: str) -> int:
    row = connection.execute(statements.RELAY_REACHED, (topic,)).fetchone()
    return 0 if row is None else int(row[0])


def _move(connection: sqlite3.Connection, *, topic: str, sequence: int) -> None:
    connection.execute(statements.RELAY_MOVE, (topic, sequence))
