"""A participant inside the orchestrator's process, with a real database: what was done stands in a file of SQLite.

    transport = LedgerTransport(Ledger(path), answers=True)

Rules
- A command acts once, however often it comes: its id is the key of the row that says so, and stock and money move in
  the same transaction. Many that come together share a commit, which is durable before any of them is answered.
- Several processes may have the same file.
- With `answers=False` every command is accepted for a later answer that never comes: so a backlog is made.
- One order in ten cannot be paid.
It does not: undo by itself.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Refused, Succeeded
from amends.participant.database import connect
from amends.participant.sqlite_ledger import write_transaction

STOCK: Final = 100_000_000
MONEY: Final = 10_000_000_000
MOVES: Final[dict[str, tuple[str, int]]] = {
    "reserve-inventory": ("stock", -2),
    "release-inventory": ("stock", 2),
    "process-payment": ("money", -3980),
    "refund-payment": ("money", 3980),
    "ship-order": ("shipped", 1),
}
"""What a command moves, and by how much."""
REPLIES: Final[dict[str, bytes]] = {
    "reserve-inventory": b'{"reservation_id":"r"}',
    "process-payment": b'{"payment_id":"p"}',
    "refund-payment": b'{"payment_id":"p"}',
    "ship-order": b'{"tracking":"t"}',
}
POOR: Final = "0"
"""The last digit of the ids of those who cannot pay."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS effect (command_id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
BEGIN_WITH: Final = (("stock", STOCK), ("money", MONEY), ("shipped", 0))
MOST_TOGETHER: Final = 1_000


class Ledger:
    """One connection to the file."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.executescript(SCHEMA)
        self._connection.executemany("INSERT INTO total VALUES (?, ?) ON CONFLICT DO NOTHING", BEGIN_WITH)
        self._waiting: list[tuple[str, str, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def act(self, command_id: str, name: str) -> None:
        """Do what the command says, unless it was done; return when that is durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((command_id, name, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            await asyncio.to_thread(self._commit, [(command_id, name) for command_id, name, _done in batch])
            for _command_id, _name, done in batch:
                if not done.done():
                    done.set_result(None)

    def _commit(self, batch: Sequence[tuple[str, str]]) -> None:
        with write_transaction(self._connection):
            for command_id, name in batch:
                row = self._connection.execute(
                    "INSERT INTO effect VALUES (?, ?) ON CONFLICT DO NOTHING", (command_id, name)
                )
                if row.rowcount:
                    total, by = MOVES[name]
                    self._connection.execute("UPDATE total SET value = value + ? WHERE name = ?", (by, total))


class LedgerTransport:
    """Takes commands to the ledger."""

    def __init__(self, ledger: Ledger, *, answers: bool) -> None:
        self._ledger = ledger
        self._answers = answers

    async def send(self, command: SendCommand) -> Answer | Accepted:
        if not self._answers:
            return Accepted()
        if command.name == "process-payment" and command.saga_id.endswith(POOR):
            return Refused("declined", "insufficient funds")
        await self._ledger.act(command.command_id, command.name)
        return Succeeded(REPLIES.get(command.name, b"null"))

    async def close(self) -> None:
        """Nothing to release."""


def totals(path: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Return how often each command acted, and what is left of stock and money."""
    with closing(sqlite3.connect(path)) as connection:
        acted = dict(connection.execute("SELECT name, count(*) FROM effect GROUP BY name"))
        left = dict(connection.execute("SELECT name, value FROM total"))
    return acted, left


def wrong_in_ledger(path: Path, sagas: int) -> list[str]:
    """Tell what does not add up when `sagas` have ended, numbered from 1."""
    acted, left = totals(path)
    poor = sagas // 10
    expected = {
        "reserve-inventory": sagas,
        "release-inventory": poor,
        "process-payment": sagas - poor,
        "ship-order": sagas - poor,
    }
    wrong = [
        f"{name} acted {acted.get(name, 0)} times, {number} were due"
        for name, number in expected.items()
        if acted.get(name, 0) != number
    ]
    due = {
        "stock": STOCK - 2 * (sagas - poor),
        "money": MONEY - 3980 * (sagas - poor),
        "shipped": sagas - poor,
    }
    return [
        *wrong,
        *(f"{name} is {left[name]}, {value} was due" for name, value in due.items() if left[name] != value),
    ]
