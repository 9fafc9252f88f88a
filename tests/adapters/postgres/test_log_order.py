"""The log of several writers: nothing is passed over, whatever the order of numbers, sequences and commits.

Rules: writers are plain sessions, each held where it is to be held; they do what the statement of an append does, one
after the other. It does not: look at gaps that stay (`test_members.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.log_order import LogOrder
from amends.ports import Logged
from amends.testing.event_store_suite import A, an_append, opened
from tests.adapters.postgres.lines import session

TAKE_NUMBER = "SELECT token FROM member ORDER BY token LIMIT 1 FOR KEY SHARE"
INSERT = (
    "INSERT INTO transition (stream, position, events, recorded_at, body) VALUES (-1, $1, 1, now(), '[]')"
)


class Writer:
    """A transaction that stores one transition of an instance of its own making."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._transaction = link.transaction()

    async def take_number(self) -> None:
        """Begin, as far as the transaction's number."""
        await self._transaction.start()
        await self._link.fetch(TAKE_NUMBER)

    async def take_sequence(self, position: int) -> None:
        await self._link.fetch(INSERT, position)

    async def commit(self) -> None:
        await self._transaction.commit()

    async def give_up(self) -> None:
        await self._transaction.rollback()


@asynccontextmanager
async def writers(address: Address, number: int) -> AsyncIterator[list[Writer]]:
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(session(address)) for _ in range(number)]
        await links[0].execute("INSERT INTO stream SELECT -1, 'default', 'raced'")
        yield [Writer(link) for link in links]


def positions(found: Sequence[Logged]) -> list[int]:
    return [logged.transition.position for logged in found]


async def test_who_has_its_number_first_and_its_sequence_last_hides_nobody(address: Address) -> None:
    """The first has the older number and commits; no number is known then that is as new as the second's."""
    async with opened(lambda: PostgresEventStore(address)) as store, writers(address, 2) as (first, second):
        await store.append([an_append(A)])
        (begun,) = await store.log()
        await first.take_number()
        await second.take_number()
        await second.take_sequence(1)
        await first.take_sequence(2)
        await first.commit()
        assert positions(await store.log(after=begun.sequence)) == [], "the second may still come between"
        await second.commit()
        assert positions(await store.log(after=begun.sequence)) == [1, 2]


async def test_what_was_seen_before_does_not_end_a_newer_number(address: Address) -> None:
    """As above, and the first look is when another transaction, older than both, is still under way."""
    async with (
        opened(lambda: PostgresEventStore(address)) as store,
        writers(address, 3) as (oldest, first, second),
    ):
        await store.append([an_append(A)])
        (begun,) = await store.log()
        await oldest.take_number()
        await first.take_number()
        await second.take_number()
        await second.take_sequence(1)
        await first.take_sequence(2)
        await first.commit()
        assert positions(await store.log(after=begun.sequence)) == []
        await oldest.commit()
        assert positions(await store.log(after=begun.sequence)) == []
        await second.commit()
        assert positions(await store.log(after=begun.sequence)) == [1, 2]


class Late:
    """A session whose first answer comes when it is let go."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.has_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def fetch(self, query: str, *arguments: object) -> Sequence[Any]:
        found = await self._link.fetch(query, *arguments)
        self.has_asked.set()
        await self.may_answer.wait()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_an_answer_of_before_is_not_read_with_what_was_learnt_since(
    address: Address, *, is_kept: bool
) -> None:
    """Of two questions at once the later is answered first, and knows that all gaps are dead: it saw them filled."""
    async with (
        opened(lambda: PostgresEventStore(address)) as store,
        session(address) as slow,
        session(address) as quick,
        writers(address, 2) as (first, second),
    ):
        await store.append([an_append(A)])
        (begun,) = await store.log()
        order, late = LogOrder(), Late(slow)
        await first.take_number()
        await first.take_sequence(1)
        await second.take_number()
        await second.take_sequence(2)
        await second.commit()
        early = asyncio.create_task(order.piece(cast("Link", late), after=begun.sequence, limit=10))
        await late.has_asked.wait()
        await (first.commit() if is_kept else first.give_up())
        wanted = [1, 2] if is_kept else [2]
        assert positions(await order.piece(quick, after=begun.sequence, limit=10)) == wanted
        late.may_answer.set()
        assert positions(await early) == wanted
