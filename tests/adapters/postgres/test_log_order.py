"""The log of several writers: nothing is passed over, whatever the order of numbers, sequences and commits.

Rules: writers are plain sessions, each held where it is to be held; they do what the statement of an append does, one
after the other. It does not: look at gaps that stay (`test_members.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.log_order import LogOrder
from amends.application.feed import Feed
from amends.application.follower import Followed, Follower
from amends.ports import EventStore, Logged
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

    def another(self) -> "Writer":
        return Writer(self._link)


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


class Interrupted:
    """A session: something is done when it has answered for the first time what contains `word`."""

    def __init__(self, link: Link, word: str, what: Callable[[], Awaitable[None]]) -> None:
        self._link, self._word = link, word
        self._waiting = [what]

    async def fetchrow(self, query: str, *arguments: object) -> Any:
        found = await self._link.fetchrow(query, *arguments)
        if self._word in query and self._waiting:
            await self._waiting.pop()()
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


def follower_of(store: EventStore) -> Follower:
    """One that looks for others' commits all the time."""
    return Follower(store, rest=0, poll=0.01)


@asynccontextmanager
async def one_under_way(address: Address) -> AsyncIterator[tuple[EventStore, int, Writer]]:
    """A store, the place before what is under way, and who is under way: somebody else is done behind it."""
    async with opened(lambda: PostgresEventStore(address)) as store, writers(address, 2) as (first, second):
        await store.append([an_append(A)])
        (begun,) = await store.log()
        await first.take_number()
        await first.take_sequence(1)
        await second.take_number()
        await second.take_sequence(2)
        await second.commit()
        yield store, begun.sequence, first


async def test_a_feed_from_now_on_has_what_was_under_way(address: Address) -> None:
    async with one_under_way(address) as (store, _, first), asyncio.timeout(20):
        following = await Feed(store, follower_of(store), namespace="default").follow()
        await first.commit()
        assert [(await anext(following)).position for _ in range(2)] == [1, 2]


class FromNowOn:
    """A listener that begins where it is told that the log ends."""

    name = "from-now-on"

    def __init__(self) -> None:
        self.begun, self.done = asyncio.Event(), asyncio.Event()
        self.taken: list[int] = []

    async def begin(self, end: int) -> int:
        self.begun.set()
        return end

    async def take(self, piece: Sequence[Followed]) -> None:
        self.taken += [followed.transition.position for followed in piece]
        if self.taken[-1] == 2:
            self.done.set()


async def test_a_listener_from_now_on_has_what_was_under_way(address: Address) -> None:
    async with one_under_way(address) as (store, _, first), asyncio.timeout(20):
        follower, listener = follower_of(store), FromNowOn()
        await follower.start(listener)
        await listener.begun.wait()
        await first.commit()
        await listener.done.wait()
        await follower.stop()
        assert listener.taken == [1, 2]


async def test_from_now_on_is_before_the_first_gap_that_may_be_filled(address: Address) -> None:
    async with one_under_way(address) as (store, place, first):
        assert await store.settled_end() == place < await store.log_end()
        await first.commit()
        assert await store.settled_end() == await store.log_end()


async def test_a_gap_that_stays_does_not_hold_back_who_begins(address: Address) -> None:
    """The first gap is dead before anybody asks: it is one when there is another that may still be filled."""
    async with opened(lambda: PostgresEventStore(address)) as store, writers(address, 2) as (first, second):
        await first.take_number()
        await first.take_sequence(1)
        await first.give_up()
        await store.append([an_append(A)])
        end = await store.settled_end()
        assert end == await store.log_end()
        third = first.another()
        await third.take_number()
        await third.take_sequence(1)
        await second.take_number()
        await second.take_sequence(2)
        await second.commit()
        assert await store.settled_end() == end
        await third.give_up()
        assert await store.settled_end() == await store.log_end() > end


async def test_who_is_done_in_a_moment_is_waited_for(address: Address) -> None:
    """So nobody begins early only because others write all the time."""
    async with one_under_way(address) as (store, _, first), session(address) as link:
        done = Interrupted(link, "pg_locks", first.commit)
        assert await LogOrder().settled_end(cast("Link", done)) == await store.log_end()


async def test_who_does_not_write_transitions_holds_nobody_back(address: Address) -> None:
    async with (
        opened(lambda: PostgresEventStore(address)) as store,
        writers(address, 1) as (gone,),
        session(address) as other,
        other.transaction(),
    ):
        await other.fetch("SELECT pg_current_xact_id()")
        await gone.take_number()
        await gone.take_sequence(1)
        await gone.give_up()
        await store.append([an_append(A)])
        assert await store.settled_end() == await store.log_end()
