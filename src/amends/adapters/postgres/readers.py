"""The sessions beside the one that writes transitions: a few, opened when there is a question, each for one at a time.

Rules
- They see only what is committed. They cannot write, but for those that are made to: whatever is asked of these must do
  no harm when it is done twice.
- A session that turns out to be lost is replaced, and the question asked once more.
It does not: wait for a server that is away, or hold anything.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.faults import AsStoreErrors, is_lost, unavailable
from amends.adapters.postgres.session import Plans, connect

T = TypeVar("T")


class Readers:
    """At most `most` sessions."""

    def __init__(
        self,
        address: Address,
        *,
        most: int,
        connect_within: float,
        is_reader: bool = True,
        plans: Plans = "auto",
    ) -> None:
        self._address = address
        self._plans: Plans = plans
        self._connect_within = connect_within
        self._as_store_errors = AsStoreErrors(address)
        self._most = most
        self._is_reader = is_reader
        self._room = asyncio.Semaphore(most)
        self._idle: list[Link] = []
        self._is_open = True

    async def ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        """Return the answer.

        Raises:
            StoreUnavailable: closed, or the server does not answer.
        """
        async with self._room:
            if not self._is_open:
                raise unavailable(self._address, "it is not open")
            with self._as_store_errors:
                return await self._asked(question)

    async def close(self) -> None:
        """Wait for the questions that are being asked, and end all sessions. Closing twice is harmless."""
        self._is_open = False
        for _ in range(self._most):
            await self._room.acquire()
        while self._idle:
            await closed(self._idle.pop())
        for _ in range(self._most):
            self._room.release()

    async def _asked(self, question: Callable[[Link], Awaitable[T]]) -> T:
        while self._idle:
            link = self._idle.pop()
            if link.is_closed():
                continue
            try:
                return await self._answered(link, question)
            except Exception as fault:
                if not is_lost(fault):
                    raise
        return await self._answered(await self._connected(), question)

    async def _connected(self) -> Link:
        return await connect(
            self._address,
            within=self._connect_within,
            is_reader=self._is_reader,
            plans=self._plans,
        )

    async def _answered(self, link: Link, question: Callable[[Link], Awaitable[T]]) -> T:
        try:
            answer = await question(link)
        except Exception as fault:
            if is_lost(fault):
                link.terminate()
            else:
                self._idle.append(link)
            raise
        except BaseException:
            # Cancelled in the middle of an answer: what is still on its way belongs to nobody.
            link.terminate()
            raise
        self._idle.append(link)
        return answer


async def closed(link: Link) -> None:
    """End a session with which nothing is lost."""
    try:
        await link.close(timeout=5)
    except Exception:  # noqa: BLE001  whatever it is, the server ends it as well
        link.terminate()
