"""News between the processes of one store: one channel of the server, named after the schema.

Rules: a call is one word and, for the inbox, the shards. Calls are made in transactions of their own, several at a
time; one that is lost costs time, never more.
It does not: listen (the member's session does), or carry anything that counts.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.readers import Readers
from amends.ports.shared_store import News
from amends.ports.store_errors import StoreError

LONGEST: Final = 63
"""Bytes of a channel's name."""


def channel_of(address: Address) -> str:
    """Return the channel of a store."""
    return f"amends_{address.schema}"[:LONGEST]


def read_call(payload: str) -> tuple[News, frozenset[int] | None] | None:
    """Return what a call says; None when it is no word of ours."""
    match payload.split():
        case ["leases"]:
            return "leases", None
        case ["answers"]:
            return "answers", None
        case ["inbox", *numbers]:
            return "inbox", frozenset(int(number) for number in numbers if number.isdigit()) or None
        case _:
            return None


class Caller:
    """Makes calls in `sessions`, soon."""

    def __init__(self, address: Address, sessions: Readers) -> None:
        self._channel = channel_of(address)
        self._sessions = sessions
        self._words: set[str] = set()
        self._shards: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def answers(self) -> None:
        """Say that somebody was answered."""
        self._words.add("answers")
        self._soon()

    def inbox(self, shards: Iterable[int]) -> None:
        """Say that the inbox has something for these."""
        self._shards.update(shards)
        self._soon()

    def leases(self) -> None:
        """Say that leases have changed."""
        self._words.add("leases")
        self._soon()

    async def stop(self) -> None:
        """Wait until what was to be said is said."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _soon(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._call(), name="amends-calls")

    async def _call(self) -> None:
        while self._words or self._shards:
            words = [*self._words]
            if self._shards:
                words.append(" ".join(["inbox", *map(str, sorted(self._shards))]))
            self._words.clear()
            self._shards.clear()
            # Not told is not lost: everybody looks from time to time.
            with suppress(StoreError):
                await self._sessions.ask(partial(_say, channel=self._channel, words=words))


async def _say(link: Link, *, channel: str, words: list[str]) -> None:
    await link.fetch(statements.NOTIFY, channel, words)
