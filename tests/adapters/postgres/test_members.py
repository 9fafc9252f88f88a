"""Members of one store: leases, fencing, shards, and a log that several write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.ports import (
    SHARDS,
    InboxRow,
    Logged,
    RemoveIndex,
    SetIndex,
    StoreFenced,
    StreamKey,
    shard_of,
)
from amends.ports.event_store import Handled
from amends.ports.shared_store import News
from amends.testing.event_store_suite import NOON, A, B, an_append, transitions_of
from tests.adapters.postgres.lines import ask, session, tell

OPEN = SetIndex(NOON, outstanding=True)
AN_HOUR = timedelta(hours=1)
OVERDUE = "UPDATE member SET expires_at = now() - interval '1 second' WHERE name = '{name}'"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'one' AND wait_event_type = 'Lock'"
SHARDS_OF = """
SELECT namespace, saga_id, shard, get_byte(sha256(convert_to(namespace || '/' || saga_id, 'UTF8')), 0) % 64
FROM open_instance
"""
ROWS = """
SELECT concat_ws(
    ' ',
    (SELECT count(*) FROM stream),
    (SELECT count(*) FROM transition),
    (SELECT count(*) FROM open_instance),
    (SELECT count(*) FROM open_instance WHERE wake_at IS NULL)
)
"""


class Two:
    """Two members, `one` and `other`, that renew only when they are told to."""

    def __init__(self, address: Address, one: PostgresEventStore, other: PostgresEventStore) -> None:
        self.address = address
        self.one = one
        self.other = other

    async def fence_one(self) -> None:
        await tell(self.address, OVERDUE.format(name="one"))
        await self.other.membership().renew()


@pytest.fixture
async def two(address: Address) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        stores: list[PostgresEventStore] = []
        for name in ("one", "other"):
            place = Address.of(f"{_url(address)}&application_name={name}", schema=address.schema)
            store = PostgresEventStore(place, lease=AN_HOUR)
            await store.open()
            stack.push_async_callback(store.close)
            stores.append(store)
        yield Two(address, *stores)


def _url(address: Address) -> str:
    return f"postgresql://{address.user}@/{address.database}?host={address.host}&port={address.port}"


async def test_every_shard_has_one_holder_and_only_free_ones_are_claimed(two: Two) -> None:
    one, other = two.one.membership(), two.other.membership()
    standing = await one.renew()
    assert (standing.members, standing.held, standing.free) == (2, frozenset(), SHARDS)
    assert standing.look_again is not None
    assert timedelta(minutes=59) < standing.look_again <= AN_HOUR
    claims = await asyncio.gather(one.claim(40), other.claim(40))
    assert claims[0] | claims[1] <= frozenset(range(SHARDS))
    assert claims[0].isdisjoint(claims[1])
    await asyncio.gather(one.claim(64), other.claim(64))
    held = [(await each.renew()).held for each in (one, other)]
    assert held[0].isdisjoint(held[1])
    assert held[0] | held[1] == frozenset(range(SHARDS))
    await one.release([*held[0]][:3])
    assert (await other.renew()).free == 3
    assert len(await other.claim(64)) == 3


async def test_a_shard_is_what_the_servers_function_says(two: Two) -> None:
    keys = [StreamKey("ναμέ", f"é-{number}") for number in range(50)]
    await two.one.append([an_append(key, index=OPEN) for key in keys])
    await two.one.write_all_late_rows()
    async with session(two.address) as link:
        rows = await link.fetch(SHARDS_OF)
    shards = {key: shard_of(key) for key in keys}
    assert {StreamKey(row[0], row[1]): row[2] for row in rows} == shards
    assert {StreamKey(row[0], row[1]): row[3] for row in rows} == shards
    some = {shard_of(key) for key in keys[:5]}
    due = await two.one.membership().due(some, NOON)
    assert {row.key for row in due} == {key for key in keys if shard_of(key) in some}
    assert await two.one.membership().next_wake(some) == NOON
    outstanding = await two.one.membership().outstanding(some, limit=2)
    rest = await two.one.membership().outstanding(some, after=outstanding[-1].key)
    assert [row.key for row in (*outstanding, *rest)] == sorted(row.key for row in due)


async def test_a_member_whose_lease_is_over_is_fenced_and_stores_nothing(two: Two) -> None:
    assert list(await two.one.append([an_append(A, index=OPEN)])) == [True]
    await two.one.membership().claim(10)
    await two.fence_one()
    assert (await two.other.membership().renew()).free == SHARDS
    before = await ask(two.address, ROWS)
    ended = an_append(A, 2, index=RemoveIndex())
    for batch in (
        [an_append(A, 2)],
        [an_append(B, index=OPEN)],
        [ended],
        [an_append(A, 2), an_append(B)],
        [ended, an_append(B, index=OPEN)],
    ):
        with pytest.raises(StoreFenced):
            await two.one.append(batch)
    with pytest.raises(StoreFenced):
        await two.one.reindex(A, SetIndex(None, outstanding=False))
    with pytest.raises(StoreFenced):
        await two.one.membership().renew()
    assert await two.one.membership().claim(5) == frozenset()
    assert await ask(two.address, ROWS) == before
    assert list(await two.other.append([an_append(A, 2)])) == [True]


async def test_who_joins_anew_has_a_greater_token_and_goes_on(two: Two) -> None:
    await two.one.membership().claim(10)
    tokens = "SELECT array_agg(token ORDER BY token) FROM member WHERE name = 'one'"
    (first,) = await ask(two.address, tokens)
    await two.fence_one()
    await two.one.membership().join()
    _, second = await ask(two.address, tokens)
    assert second > first
    assert (await two.one.membership().renew()).held == frozenset()
    assert list(await two.one.append([an_append(A)])) == [True]


async def test_what_was_asked_for_before_joining_anew_is_not_written_after(two: Two) -> None:
    """An append that waits for its turn behind the joining still has the token that it was asked with."""
    await two.fence_one()
    join = asyncio.create_task(two.one.membership().join())
    await asyncio.sleep(0)
    append = asyncio.create_task(two.one.append([an_append(A)]))
    await join
    with pytest.raises(StoreFenced):
        await append
    assert list(await two.one.append([an_append(A)])) == [True]


async def test_an_append_in_progress_is_waited_for_by_who_takes_over(two: Two) -> None:
    await two.one.append([an_append(A, index=OPEN)])
    await two.one.write_all_late_rows()
    async with session(two.address) as link:
        async with link.transaction():
            await link.fetchval("SELECT 1 FROM open_instance FOR UPDATE")
            append = asyncio.create_task(two.one.append([an_append(A, 2, index=OPEN)]))
            while not await ask(two.address, WAITS):
                pass
            await two.fence_one()
            assert (await two.other.membership().renew()).members == 1, "its lease is over"
            assert await ask(two.address, "SELECT count(*) FROM member WHERE fenced") == 0
        assert list(await append) == [True]
    await two.other.membership().renew()
    assert await ask(two.address, "SELECT count(*) FROM member WHERE fenced") == 1
    with pytest.raises(StoreFenced):
        await two.one.append([an_append(A, 3)])


async def test_the_log_of_two_writers_leaves_nothing_out(two: Two) -> None:
    """Under load, with batches that are rolled back in between: their sequences stay gaps for ever."""
    each, writers = 60, 4
    read: list[Logged] = []
    await two.one.append([an_append(A)])

    async def write(store: PostgresEventStore, name: str) -> None:
        for position in range(1, each + 1):
            own = an_append(StreamKey("default", name), position, index=OPEN)
            # One that loses: the first statement is rolled back and its sequences with it.
            verdicts = await store.append([own, an_append(A, note="loses")] if position % 5 == 0 else [own])
            assert list(verdicts) in ([True], [True, False])

    async def follow() -> None:
        while len(read) < each * writers * 2 + 1:
            read.extend(await two.one.log(after=read[-1].sequence if read else 0, limit=50))

    stores = [two.one, two.other] * writers
    async with asyncio.timeout(60):
        await asyncio.gather(follow(), *(write(store, f"w-{n}") for n, store in enumerate(stores)))
    assert read == list(await two.other.log(limit=10_000))
    sequences = [logged.sequence for logged in read]
    assert sequences[-1] - sequences[0] >= len(sequences), "there are gaps"


async def test_the_log_stops_before_what_may_still_come(two: Two) -> None:
    insert = (
        "WITH guard AS (SELECT token FROM member ORDER BY token LIMIT 1 FOR KEY SHARE) "
        "INSERT INTO transition (stream, position, events, recorded_at, body) "
        "SELECT -1, $1::integer, 1, now(), '[]' FROM guard"
    )
    await two.one.append([an_append(A)])
    async with session(two.address) as link:
        await link.execute("INSERT INTO stream SELECT -1, 'default', 'slow'")
        for position, is_kept in ((1, True), (2, False)):
            transaction = link.transaction()
            await transaction.start()
            await link.fetch(insert, position)
            behind = an_append(StreamKey("default", f"behind-{position}"))
            await two.one.append([behind])
            known = len(await two.other.log())
            assert behind.transition not in [logged.transition for logged in await two.other.log()]
            await (transaction.commit() if is_kept else transaction.rollback())
            found = [logged.transition for logged in await two.other.log()]
            assert len(found) == known + 1 + is_kept
            assert found[-1] == behind.transition


async def test_a_long_transaction_of_another_program_does_not_hold_the_log_up(two: Two) -> None:
    await two.one.append([an_append(A)])
    async with session(two.address) as link, link.transaction():
        await link.execute("CREATE TEMPORARY TABLE mine (a integer)")
        # Loses, so there is a gap.
        assert list(await two.one.append([an_append(A), an_append(B)])) == [False, True]
        log = [logged.transition for logged in await two.other.log()]
        assert log == transitions_of([an_append(A), an_append(B)])


async def test_a_row_of_the_inbox_is_put_once_and_leaves_with_what_followed(two: Two) -> None:
    inbox = two.one.inbox()
    number, second = await inbox.numbers(2)
    row = InboxRow(number, A, "signal", b'{"signal": "go"}', is_awaited=True)
    other = InboxRow(second, A, "signal", b'{"signal": "stop"}', is_awaited=False)
    await inbox.put([row, other])
    await inbox.put([row])
    shard = {shard_of(A)}
    assert list(await two.other.inbox().waiting(shard, in_hand=(), limit=10)) == [row, other]
    assert list(await two.other.inbox().waiting(shard, in_hand={number}, limit=10)) == [other]
    assert list(await two.other.inbox().waiting({63 - shard_of(A)}, in_hand=(), limit=10)) == []
    answer = Handled(number, b'{"position": 1}')
    stored = an_append(A)
    await two.other.append([type(stored)(stored.transition, stored.index, answer)])
    assert list(await inbox.answers([number, second])) == [answer]
    await inbox.put([row])
    assert list(await two.other.inbox().waiting(shard, in_hand=(), limit=10)) == [other], "it was answered"
    await inbox.forget([number])
    await two.other.inbox().park([(second, "nobody knows it")])
    assert list(await two.other.inbox().waiting(shard, in_hand=(), limit=10)) == []
    assert await ask(two.address, "SELECT parked FROM inbox") == "nobody knows it"


async def test_who_waits_for_an_answer_is_called_when_what_followed_is_stored(two: Two) -> None:
    heard: asyncio.Queue[News] = asyncio.Queue()
    two.one.listen(lambda news, _shards: heard.put_nowait(news))
    await two.one.membership().renew()
    inbox = two.one.inbox()
    (number,) = await inbox.numbers(1)
    await inbox.put([InboxRow(number, A, "start", b"{}", is_awaited=True)])
    begins = an_append(A, index=OPEN)
    await two.other.append([type(begins)(begins.transition, OPEN, Handled(number, b"true"))])
    async with asyncio.timeout(20):
        while await heard.get() != "answers":
            pass
    assert list(await inbox.answers([number])) == [Handled(number, b"true")]


async def test_every_row_of_the_inbox_gets_what_is_its_own(two: Two) -> None:
    inbox = two.one.inbox()
    numbers = await inbox.numbers(6)
    await inbox.put([InboxRow(number, A, "signal", b"{}", is_awaited=True) for number in numbers])
    answers = [Handled(number, b'{"of": %d}' % number) for number in numbers]
    appends = [an_append(A), an_append(B)]
    await two.other.append(
        [
            type(append)(append.transition, append.index, answer)
            for append, answer in zip(appends, reversed(answers[:2]), strict=True)
        ]
    )
    await two.other.inbox().settle([answers[3], answers[2]])
    found = await inbox.answers(numbers)
    assert sorted(found, key=lambda answer: answer.number) == answers[:4]
    await two.other.inbox().park([(numbers[5], "no time"), (numbers[4], "no place")])
    assert [await inbox.why_parked(number) for number in numbers[4:]] == ["no place", "no time"]


async def test_what_lost_or_was_fenced_leaves_its_row_in_the_inbox(two: Two) -> None:
    inbox = two.one.inbox()
    (number,) = await inbox.numbers(1)
    await inbox.put([InboxRow(number, A, "signal", b"{}", is_awaited=True)])
    await two.other.append([an_append(A, note="first")])
    late = an_append(A, note="second")
    handled = type(late)(late.transition, late.index, Handled(number, b"{}"))
    assert list(await two.other.append([handled, an_append(B)])) == [False, True]
    await two.fence_one()
    with pytest.raises(StoreFenced):
        await two.one.append([type(late)(an_append(A, 2).transition, late.index, Handled(number, b"{}"))])
    assert await ask(two.address, "SELECT count(*) FROM inbox") == 1
    assert await ask(two.address, "SELECT count(*) FROM inbox_answer") == 0


async def test_a_member_that_renews_does_not_drag_its_former_versions_along(address: Address) -> None:
    """Every batch would walk over them. A place on a page is used again once the version there was cleared away.

    That is not while anybody's transaction is under way that is older, be it another test's: then it is tried again.
    """
    async with asyncio.timeout(60):
        while await _place_after(address, renewals=40) > 25:
            await tell(address, f"DROP SCHEMA {address.schema} CASCADE")


async def _place_after(address: Address, *, renewals: int) -> float:
    """Return which version's place on its page the first member of a new store has come to."""
    store = PostgresEventStore(address, lease=AN_HOUR)
    await store.open()
    for _ in range(renewals):
        await store.membership().renew()
    place = await ask(address, "SELECT (ctid::text::point)[1] FROM member")
    await store.close()
    return float(place)
