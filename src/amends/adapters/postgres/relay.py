"""The relay's checkpoints in the store's tables, and the right to relay, which several processes want.

Rules
- The right is an advisory lock of a session that does nothing else but write the checkpoint: it ends with its holder,
  and a session that was lost writes nothing any more.
- A session that is idle for long is one that the server knows to be there: keep-alives end it when its machine is gone.
It does not: migrate (opening the store does), or wait for a server that is away.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import AsStoreErrors, is_lost
from amends.adapters.postgres.readers import closed
from amends.adapters.postgres.session import connect, facts_of
from amends.ports.store_errors import ClaimLost


class PostgresRelayCheckpoint:
    """`RelayCheckpoint` of one topic; `ask` is the store's way to its readers. At most one connection besides."""

    def __init__(
        self,
        address: Address,
        topic: str,
        *,
        connect_within: float,
        ask: Callable[[Callable[[Link], Awaitable[Any]]], Awaitable[Any]],
    ) -> None:
        self._address = address
        self._topic = topic
        self._connect_within = connect_within
        self._ask = ask
        self._as_store_errors = AsStoreErrors(address)
        self._turn = asyncio.Lock()
        self._link: Link | None = None

    async def claim(self) -> bool:
        async with self._turn:
            if self._link is None or self._link.is_closed():
                self._link = await self._claimed()
            return self._link is not None

    async def reached(self) -> int:
        sequence: int | None = await self._ask(
            lambda link: link.fetchval(statements.RELAY_REACHED, self._topic)
        )
        return sequence or 0

    async def move(self, sequence: int) -> None:
        async with self._turn:
            link = self._link
            if link is None or link.is_closed():
                raise self._lost()
            try:
                with self._as_store_errors:
                    await self._moved(link, sequence)
            except BaseException:
                if link.is_closed():
                    self._link = None
                raise

    async def close(self) -> None:
        async with self._turn:
            link, self._link = self._link, None
            if link is not None:
                await closed(link)

    async def _claimed(self) -> Link | None:
        """Return a session with the right to relay; None: somebody else has it."""
        link = await connect(self._address, within=self._connect_within)
        try:
            with self._as_store_errors:
                facts = await facts_of(link, self._address)
                if await link.fetchval(statements.CLAIM_RELAY, _number(facts.schema or 0, self._topic)):
                    return link
        except BaseException:
            link.terminate()
            raise
        await closed(link)
        return None

    async def _moved(self, link: Link, sequence: int) -> None:
        try:
            await link.fetch(statements.RELAY_MOVE, self._topic, sequence)
        except Exception as fault:
            if is_lost(fault):
                link.terminate()
                raise self._lost() from fault
            raise
        except BaseException:
            # Cancelled in the middle: whether it was written does not matter, it only grows.
            link.terminate()
            raise

    def _lost(self) -> ClaimLost:
        return ClaimLost(f"the right to relay to {self._topic} is not ours; it is claimed anew")


def _number(schema: int, topic: str) -> int:
    """Return what the lock of a topic is called: 64 bits, so that two topics hardly ever share one."""
    digest = hashlib.sha256(f"amends relay/{schema}/{topic}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
