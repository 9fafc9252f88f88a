"""Connections that break: what was committed is told truthfully, nothing is written twice, and it goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.ports import (
    DefinitionNote,
    EventStore,
    RemoveIndex,
    SetIndex,
    StoreUnavailable,
    StreamKey,
)
from amends.testing.event_store_suite import NOON, A, B, C, an_append, opened, transitions_of
from tests.adapters.postgres.lines import CuttableLine, ask, session
from tests.adapters.postgres.storage import Preparing

END_ALL = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'amends %' AND "
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
OPEN = SetIndex(NOON, outstanding=True)


@pytest.fixture
async def line(network_address: Address) -> AsyncIterator[CuttableLine]:
    line = CuttableLine(network_address)
    yield line
    await line.close()


@pytest.fixture(params=[PostgresEventStore, Preparing], ids=["", "prepared"])
async def store(line: CuttableLine, request: pytest.FixtureRequest) -> AsyncIterator[EventStore]:
    async with opened_at(await line.open(), request.param) as store:
        yield store


def opened_at(
    address: Address, kind: type[PostgresEventStore] = PostgresEventStore
) -> AbstractAsyncContextManager[EventStore]:
    return opened(lambda: kind(address, connect_timeout=timedelta(seconds=20)))


async def end_sessions(address: Address) -> int:
    """End the store's sessions, as an administrator or a failing network would."""
    mine = (
        "EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_stat_activity.pid AND l.locktype = 'advisory' AND "
        f"l.objid = '{address.schema}'::regnamespace::oid)"
    )
    return int(await ask(address, END_ALL + mine))


async def test_an_ended_session_is_opened_again(store: EventStore, network_address: Address) -> None:
    await store.append([an_append(A)])
    for position in range(2, 6):
        assert await end_sessions(network_address) == 1
        assert list(await store.append([an_append(A, position, index=OPEN)])) == [True]
    assert await end_sessions(network_address) == 1
    await store.reindex(A, SetIndex(None, outstanding=False))
    assert await end_sessions(network_address) == 1
    await store.note_definitions([DefinitionNote("order", 1, "x")])
    assert [row.wake_at for row in await store.open_instances()] == [None]
    assert len(await store.read(A)) == 5


async def test_a_lost_reader_is_replaced(store: EventStore, network_address: Address) -> None:
    await store.append([an_append(A)])
    assert len(await store.read(A)) == 1
    # All of the address's sessions but the one that asks: writer and readers alike.
    await ask(
        network_address,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%'",
        "FROM transition",
    )
    assert len(await store.read(A)) == 1


async def test_a_question_whose_answer_was_lost_is_asked_again(store: EventStore, line: CuttableLine) -> None:
    asked = StreamKey("default", "note-asked")
    await store.append([an_append(asked)])
    for cuts in range(3):
        assert len(await store.read(asked)) == 1
        assert line.cuts == cuts
        line.cut_answer_to = b"note-asked"


@pytest.mark.parametrize("first", [True, False], ids=["begins a stream", "goes on with one"])
async def test_a_commit_whose_answer_was_lost_counts_once(
    store: EventStore, line: CuttableLine, *, first: bool
) -> None:
    await store.append([an_append(B)])
    batch = [an_append(A if first else B, 1 if first else 2, note="note-lost", index=OPEN), an_append(C)]
    line.cut_answer_to = b"note-lost"
    assert list(await store.append(batch)) == [True, True]
    assert line.cuts == 1, "the line was cut"
    assert list(await store.read(C)) == transitions_of([batch[1]])
    assert len(await store.log()) == 3, "nothing is there twice"
    assert list(await store.append([an_append(C, 1, note="another")])) == [False], "the place is taken"


async def test_what_never_arrived_is_written(store: EventStore, line: CuttableLine) -> None:
    batch = [an_append(A, note="note-lost", index=OPEN), an_append(C)]
    line.cut_question = b"note-lost"
    assert list(await store.append(batch)) == [True, True]
    assert line.cuts == 1, "the line was cut"
    assert [each.transition for each in await store.log()] == transitions_of(batch)


async def test_losers_stay_losers_when_the_answer_was_lost(store: EventStore, line: CuttableLine) -> None:
    taken = an_append(B, note="first")
    await store.append([taken])
    batch = [
        an_append(A, note="note-lost"),
        an_append(B, note="second"),
        an_append(B, 2),
        an_append(A, note="again"),
    ]
    line.cut_answer_to = b"note-lost"
    # Cut the first time, when the batch fails for its loser.
    assert list(await store.append(batch)) == [True, False, False, False]
    line.cut_answer_to = b"note-lost"
    assert list(await store.append([an_append(A, 2, note="note-lost"), an_append(B, note="third")])) == [
        True,
        False,
    ]
    assert line.cuts == 2
    assert list(await store.read(B)) == transitions_of([taken])
    assert len(await store.read(A)) == 2


async def test_a_batch_that_could_not_be_settled_is_settled_by_the_next(
    store: EventStore, line: CuttableLine, network_address: Address
) -> None:
    """The answer is lost and the server cannot be reached: only when it can be, is known what was stored."""
    await store.append([an_append(B)])
    batch = [an_append(A, note="note-lost", index=OPEN), an_append(B, 2)]
    line.cut_answer_to = b"note-lost"
    line.is_closed_to_new = True
    with pytest.raises(StoreUnavailable):
        await store.append(batch)
    assert await ask(network_address, "SELECT count(*) FROM transition") == 3, "it was committed"
    with pytest.raises(StoreUnavailable):
        await store.append(batch)
    line.is_closed_to_new = False
    assert list(await store.append([an_append(C)])) == [True], "something else comes first"
    assert list(await store.append(batch)) == [True, True], "it is told truthfully"
    assert list(await store.append(batch)) == [False, False], "and once"
    assert len(await store.log()) == 4
    assert [row.key for row in await store.open_instances()] == [A]


async def test_an_own_session_that_the_server_still_knows_is_ended(
    store: EventStore, line: CuttableLine
) -> None:
    """The way back is cut, and the server does not hear of it: it would keep the hold for half a minute."""
    await store.append([an_append(A)])
    line.keeps_server_side = True
    line.cut_answer_to = b"note-lost"
    assert list(await store.append([an_append(A, 2, note="note-lost")])) == [True]
    assert line.cuts == 1
    assert len(await store.read(A)) == 2


async def test_what_another_wrote_meanwhile_stands(
    store: EventStore, line: CuttableLine, network_address: Address
) -> None:
    await store.append([an_append(A)])
    line.is_closed_to_new = True
    await end_sessions(network_address)
    with pytest.raises(StoreUnavailable):
        await store.append([an_append(A, 2)])
    async with opened_at(network_address) as other:
        assert list(await other.append([an_append(A, 2, note="theirs")])) == [True]
        line.is_closed_to_new = False
        assert list(await store.append([an_append(A, 2)])) == [False], "theirs stands"
    assert list(await store.append([an_append(A, 3, index=RemoveIndex())])) == [True]


async def test_a_cancelled_append_is_settled_before_the_next(
    store: EventStore, network_address: Address
) -> None:
    """An append that hangs on a lock of somebody else's and is given up by its caller."""
    await store.append([an_append(A, index=OPEN)])
    assert isinstance(store, PostgresEventStore)
    await store.write_all_late_rows()
    async with session(network_address) as link, link.transaction():
        await link.fetchval("SELECT 1 FROM open_instance FOR UPDATE")
        append = asyncio.ensure_future(store.append([an_append(A, 2, index=RemoveIndex())]))
        while not await ask(network_address, WAITING):  # noqa: ASYNC110  only the server knows when
            await asyncio.sleep(0)
        append.cancel()
        with pytest.raises(asyncio.CancelledError):
            await append
        # The server still works on it; it must not be committed behind the back of the next.
        assert list(await store.append([an_append(StreamKey("default", "next"))])) == [True]
    assert len(await store.read(A)) == 1
    assert list(await store.append([an_append(A, 2)])) == [True]
