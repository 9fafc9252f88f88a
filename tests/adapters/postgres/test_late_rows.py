"""Index rows come late: those of short instances never, and whatever breaks, none is missing when it is needed."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from amends.adapters.postgres import Address, PostgresEventStore, PostgresStoreReader
from amends.adapters.postgres.late_rows import MOST_KEPT, LateRows
from amends.adapters.postgres.looks import Looks
from amends.adapters.postgres.prepared_batch import PreparedBatch
from amends.adapters.postgres.writer import LATE_AT_ONCE, StoreWriter
from amends.ports import (
    SHARDS,
    Append,
    OpenInstance,
    RemoveIndex,
    SetIndex,
    StoreFenced,
    StoreUnavailable,
    StreamKey,
    shard_of,
)
from amends.testing.event_store_suite import NOON, A, B, C, an_append
from tests.adapters.postgres.lines import CuttableLine, ask, session, tell

AN_HOUR = timedelta(hours=1)
OPEN = SetIndex(NOON, outstanding=True)
LATER = SetIndex(NOON + AN_HOUR, outstanding=True)
WAITS = SetIndex(None, outstanding=False)
ENDED = RemoveIndex()
ROWS = "SELECT array_agg(saga_id ORDER BY saga_id) FROM open_instance"
DEAD = "UPDATE member SET expires_at = now() - interval '1 second' WHERE name LIKE 'amends %' AND token = {token}"
IN_THE_WAY = "SELECT count(*) FROM pg_stat_activity WHERE $1::integer = ANY (pg_blocking_pids(pid))"
MISSING = "SELECT count(*) FROM shard WHERE indexed IS NOT NULL"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


class Places:
    """Writers and stores on one schema, that are closed at the end."""

    def __init__(self, address: Address, stack: AsyncExitStack) -> None:
        self.address = address
        self._stack = stack

    async def writer(self, address: Address | None = None) -> StoreWriter:
        writer = StoreWriter(address or self.address, connect_within=20, lease=AN_HOUR)
        await writer.open()
        self._stack.push_async_callback(writer.close)
        return writer

    async def store(self) -> PostgresEventStore:
        store = PostgresEventStore(self.address, lease=AN_HOUR)
        await store.open()
        self._stack.push_async_callback(store.close)
        return store

    async def reader(self) -> PostgresStoreReader:
        reader = PostgresStoreReader(self.address)
        await reader.open()
        self._stack.push_async_callback(reader.close)
        return reader

    async def rows(self) -> list[str]:
        """Return whose rows are in the table."""
        return list(await ask(self.address, ROWS) or [])

    async def fence(self, gone: StoreWriter, by: PostgresEventStore) -> None:
        """Have a member that is not heard of any more fenced."""
        await tell(self.address, DEAD.format(token=gone.token))
        await by.membership().renew()


@pytest.fixture
def places(address: Address, stack: AsyncExitStack) -> Places:
    return Places(address, stack)


async def append(writer: StoreWriter, *batch: Append) -> None:
    assert await writer.append(batch, writer.token) == [True] * len(batch)


async def test_an_instance_that_ends_soon_never_has_a_row(places: Places) -> None:
    writer = await places.writer()
    await append(writer, an_append(A, index=OPEN), an_append(B, index=OPEN))
    await append(writer, an_append(A, 2, index=LATER))
    await append(
        writer, an_append(A, 3, index=ENDED), an_append(B, 2, index=ENDED), an_append(C, index=ENDED)
    )
    assert await places.rows() == []
    assert len(writer.late) == 0


async def test_what_is_still_open_at_the_second_look_gets_its_row(places: Places) -> None:
    writer = await places.writer()
    await append(writer, an_append(A, index=OPEN))
    assert await writer.write_late_rows() is False
    assert await places.rows() == []
    await append(writer, an_append(A, 2, index=LATER), an_append(B, index=OPEN))
    await writer.write_late_rows()
    assert await places.rows() == ["a"]
    assert await ask(places.address, "SELECT wake_at FROM open_instance") == LATER.wake_at
    await writer.write_late_rows()
    assert await places.rows() == ["a", "b"]
    await append(writer, an_append(A, 3, index=ENDED), an_append(B, 2, index=OPEN))
    assert await places.rows() == ["b"]


async def test_what_waits_with_no_command_out_has_its_row_at_once(places: Places) -> None:
    """It is no short one, and memory is not to grow with those that wait."""
    writer = await places.writer()
    await append(writer, an_append(A, index=WAITS), an_append(B, index=OPEN), an_append(C, index=OPEN))
    assert await places.rows() == ["a"]
    await append(writer, an_append(B, 2, index=WAITS))
    assert await places.rows() == ["a", "b"]
    assert len(writer.late) == 1
    await append(writer, an_append(B, 3, index=ENDED), an_append(C, 2, index=ENDED))
    assert await places.rows() == ["a"]
    assert len(writer.late) == 0


async def test_what_is_asked_for_is_answered_from_both(places: Places) -> None:
    store = await places.store()
    rests = SetIndex(LATER.wake_at, outstanding=False)
    await store.append([an_append(A, index=rests)])
    await store.append([an_append(B, index=OPEN), an_append(C, index=SetIndex(None, outstanding=True))])
    assert await places.rows() == ["a"]
    a, b, c = (
        OpenInstance(key=key, wake_at=row.wake_at, outstanding=row.outstanding)
        for key, row in ((A, rests), (B, OPEN), (C, SetIndex(None, outstanding=True)))
    )
    assert list(await store.open_instances()) == [a, b, c]
    assert list(await store.open_instances(limit=2)) == [a, b]
    assert list(await store.open_instances(after=A)) == [b, c]
    assert list(await store.due(NOON)) == [b]
    assert list(await store.due(NOON + AN_HOUR)) == [b, a]
    assert list(await store.due(NOON + AN_HOUR, limit=1)) == [b]
    assert await store.next_wake() == NOON
    of_all = frozenset(range(SHARDS))
    assert list(await store.membership().outstanding(of_all)) == [b, c]
    assert list(await store.membership().outstanding(of_all, after=B)) == [c]
    await store.reindex(B, SetIndex(None, outstanding=False))
    assert list(await store.membership().outstanding(of_all)) == [c]
    assert await store.membership().next_wake(of_all) == NOON + AN_HOUR
    await store.write_all_late_rows()
    assert list(await store.open_instances(after=A)) == [
        OpenInstance(key=B, wake_at=None, outstanding=False),
        c,
    ]


async def test_what_a_member_began_before_it_died_has_its_row_when_its_shards_are_leased(
    places: Places,
) -> None:
    gone = await places.writer()
    assert len(await gone.claim(SHARDS, gone.token)) == SHARDS
    short, unborn = StreamKey("default", "short"), StreamKey("default", "unborn")
    await append(gone, an_append(A, index=LATER), an_append(short, index=OPEN), an_append(unborn))
    await append(gone, an_append(A, 2), an_append(short, 2, index=ENDED), an_append(B, index=OPEN))
    heir = await places.store()
    await places.fence(gone, heir)
    assert await places.rows() == []
    early = [OpenInstance(key=key, wake_at=NOON, outstanding=True) for key in (A, B)]
    assert list(await heir.open_instances()) == early, "seen before anybody has leased the shards"
    assert list(await (await places.reader()).open_instances(after=A)) == early[1:]
    assert await ask(places.address, MISSING) == SHARDS
    await heir.membership().claim(SHARDS)
    assert await ask(places.address, MISSING) == 0
    assert await places.rows() == ["a", "b"]
    assert list(await heir.membership().outstanding(frozenset(range(SHARDS)))) == early
    await heir.append([an_append(A, 3, index=ENDED)])
    assert await places.rows() == ["b"]


async def test_what_is_missing_stays_known_until_somebody_leases_the_shard(places: Places) -> None:
    """Also where the next one dies that leased it, before it could write what is missing."""
    first = await places.writer()
    await first.claim(SHARDS, first.token)
    await append(first, an_append(A, index=OPEN))
    second, heir = await places.writer(), await places.store()
    await places.fence(first, heir)
    await tell(places.address, f"UPDATE shard SET token = {second.token}")  # noqa: S608
    await append(second, an_append(B, index=OPEN))
    await places.fence(second, heir)
    await heir.membership().claim(SHARDS)
    assert await places.rows() == ["a", "b"]


async def test_others_that_live_keep_their_own(places: Places) -> None:
    gone, living = await places.writer(), await places.writer()
    await gone.claim(10, gone.token)
    await living.claim(SHARDS, living.token)
    shards = await ask(places.address, "SELECT array_agg(number) FROM shard WHERE token = $1", gone.token)
    keys = [StreamKey("default", f"s-{number}") for number in range(60)]
    lost = [key for key in keys if shard_of(key) in shards]
    kept = [key for key in keys if shard_of(key) not in shards]
    await append(gone, *(an_append(key, index=OPEN) for key in lost))
    await append(living, *(an_append(key, index=OPEN) for key in kept))
    heir = await places.store()
    await places.fence(gone, heir)
    await heir.membership().claim(SHARDS)
    assert await places.rows() == sorted(key.saga_id for key in lost)
    assert [row.key for row in await heir.open_instances()] == sorted(keys)


async def test_who_lets_a_shard_go_writes_its_rows_first(places: Places) -> None:
    store = await places.store()
    await store.membership().claim(SHARDS)
    await store.append([an_append(A, index=OPEN)])
    await store.membership().release([1])
    assert await places.rows() == ["a"]


async def test_who_leaves_writes_its_rows_first(places: Places) -> None:
    store = PostgresEventStore(places.address)
    await store.open()
    await store.append([an_append(A, index=LATER)])
    await store.close()
    assert await places.rows() == ["a"]
    assert await ask(places.address, "SELECT count(*) FROM member") == 0


async def test_who_cannot_write_its_rows_does_not_leave(places: Places) -> None:
    writer = StoreWriter(places.address, connect_within=0.2, lease=AN_HOUR)
    await writer.open()
    await writer.claim(SHARDS, writer.token)
    await append(writer, an_append(A, index=OPEN))
    async with session(places.address) as link, link.transaction():
        await link.execute("LOCK TABLE open_instance IN ACCESS EXCLUSIVE MODE")
        await writer.close()
    assert await places.rows() == []
    heir = await places.store()
    await places.fence(writer, heir)
    await heir.membership().claim(SHARDS)
    assert await places.rows() == ["a"]


async def test_a_row_that_somebody_holds_does_not_hold_up_the_lease(places: Places) -> None:
    store = await places.store()
    await store.append([an_append(A, index=OPEN)])
    async with session(places.address) as link:
        async with link.transaction():
            await link.execute("INSERT INTO open_instance VALUES ('default', 'a', NULL, false, 0)")
            holder = await link.fetchval("SELECT pg_backend_pid()")
            write = asyncio.create_task(store.write_all_late_rows())
            while not await ask(places.address, IN_THE_WAY, holder):
                pass
            async with asyncio.timeout(20):
                await store.membership().renew()
            assert not write.done()
        await write
    assert await ask(places.address, "SELECT wake_at FROM open_instance") == NOON


async def test_who_was_fenced_writes_no_row_and_forgets_them(places: Places) -> None:
    gone = await places.writer()
    await gone.claim(SHARDS, gone.token)
    await append(gone, an_append(A, index=OPEN), an_append(B, index=OPEN))
    heir = await places.store()
    await places.fence(gone, heir)
    await heir.membership().claim(SHARDS)
    await heir.append([an_append(A, 2, index=ENDED)])
    for write in (gone.write_late_rows, gone.write_all_late_rows):
        with pytest.raises(StoreFenced):
            await write()
    await gone.join()
    await gone.write_all_late_rows()
    assert await places.rows() == ["b"]


async def test_a_row_is_kept_although_the_answer_to_its_beginning_was_lost(
    places: Places, network_address: Address, stack: AsyncExitStack
) -> None:
    line = CuttableLine(network_address)
    stack.push_async_callback(line.close)
    writer = await places.writer(await line.open())
    batch = [an_append(A, note="note-lost", index=LATER), an_append(B, index=ENDED)]
    line.cut_answer_to = b"note-lost"
    line.is_closed_to_new = True
    with pytest.raises(StoreUnavailable):
        await writer.append(batch, writer.token)
    line.is_closed_to_new = False
    # Not with its caller, but with whatever comes next.
    await writer.write_all_late_rows()
    assert await ask(network_address, ROWS) == ["a"]
    assert await ask(network_address, "SELECT wake_at FROM open_instance") == LATER.wake_at


async def test_a_row_that_may_have_been_written_is_taken_away_with_its_instance(
    places: Places, network_address: Address, stack: AsyncExitStack
) -> None:
    line = CuttableLine(network_address)
    stack.push_async_callback(line.close)
    writer = await places.writer(await line.open())
    key, other = StreamKey("default", "key-asked"), StreamKey("default", "other")
    await append(writer, an_append(key, index=OPEN), an_append(other, index=OPEN))
    line.cut_answer_to = b"key-asked"
    line.is_closed_to_new = True
    with pytest.raises(StoreUnavailable):
        await writer.write_all_late_rows()
    line.is_closed_to_new = False
    assert await ask(network_address, ROWS) == ["key-asked", "other"], "it was"
    assert len(writer.late) == 2
    await append(writer, an_append(key, 2, index=ENDED), an_append(other, 2, index=LATER))
    assert len(writer.late) == 0
    assert await ask(network_address, ROWS) == ["other"]
    assert await ask(network_address, "SELECT wake_at FROM open_instance") == LATER.wake_at


async def test_rows_that_the_server_refused_are_here_alone(places: Places) -> None:
    writer = await places.writer()
    await append(writer, an_append(A, index=OPEN))
    await tell(places.address, "ALTER TABLE open_instance ADD CONSTRAINT never CHECK (wake_at IS NULL)")
    with pytest.raises(Exception, match="never"):
        await writer.write_all_late_rows()
    assert writer.late.has_alone(A)
    await tell(places.address, "ALTER TABLE open_instance DROP CONSTRAINT never")
    await writer.write_all_late_rows()
    assert await places.rows() == ["a"]


async def test_what_was_prepared_before_a_row_was_written_is_prepared_anew(places: Places) -> None:
    store = await places.store()
    await store.append([an_append(A, index=OPEN)])
    batch = store.prepared([an_append(A, 2, index=ENDED), an_append(B, index=OPEN)])
    assert isinstance(batch, PreparedBatch)
    await store.write_all_late_rows()
    assert list(await store.append(batch)) == [True, True]
    assert await places.rows() == []


async def test_what_goes_on_after_its_end_has_its_row_at_once(places: Places) -> None:
    """By the log it has ended, so nobody would find it there."""
    writer = await places.writer()
    await append(writer, an_append(A, index=OPEN))
    await append(writer, an_append(A, 2, index=ENDED))
    await append(writer, an_append(A, 3, index=OPEN))
    await append(writer, an_append(B, index=OPEN), an_append(B, 2, index=ENDED), an_append(B, 3, index=OPEN))
    await append(writer, an_append(C))
    await append(writer, an_append(C, 2, index=OPEN))
    assert await places.rows() == ["a", "b", "c"]


async def test_many_are_written_in_pieces_and_all_are_found_when_the_last_is_missing(places: Places) -> None:
    writer = await places.writer()
    await writer.claim(SHARDS, writer.token)
    keys = [StreamKey("default", f"s-{number:04d}") for number in range(LATE_AT_ONCE + 1)]
    await append(writer, *(an_append(key, index=OPEN) for key in keys))
    await writer.write_late_rows()
    await append(writer, an_append(A, index=OPEN))
    assert await writer.write_late_rows() is True
    assert len(await places.rows()) == LATE_AT_ONCE
    heir = await places.store()
    await places.fence(writer, heir)
    assert await ask(places.address, "SELECT count(*) FROM open_saga") == len(keys) + 1
    await heir.membership().claim(SHARDS)
    assert len(await places.rows()) == len(keys) + 1


async def test_after_a_look_only_what_began_since_the_last_is_searched(places: Places) -> None:
    writer = await places.writer()
    await append(writer, an_append(A, index=OPEN))
    searched = "SELECT count(*) FROM transition, indexed WHERE transition.sequence > indexed.sequence"
    assert await ask(places.address, searched) == 1
    await writer.write_late_rows()
    await append(writer, an_append(B, index=OPEN))
    await writer.write_late_rows()
    assert await ask(places.address, searched) == 1
    await writer.write_late_rows()
    assert await ask(places.address, searched) == 0


async def test_what_was_there_before_a_member_came_is_not_searched(places: Places) -> None:
    """What a version of before left behind says nothing of its end."""
    gone = await places.writer()
    await append(gone, an_append(A, index=ENDED))
    await tell(places.address, "UPDATE transition SET rowless = NULL")
    heir = await places.store()
    await places.fence(gone, heir)
    assert await ask(places.address, "SELECT count(*) FROM member WHERE fenced") == 1
    assert list(await heir.open_instances()) == []


async def test_what_is_open_without_a_row_has_not_finished(places: Places) -> None:
    store = await places.store()
    await store.membership().claim(SHARDS)
    await store.append([an_append(A, index=OPEN), an_append(B, index=OPEN)])
    await store.append([an_append(B, 2, index=ENDED)])
    await store.append([an_append(C)])
    page = await store.finished(before=NOON + AN_HOUR)
    assert [end.key for end in page.ends] == [B, C]
    streams = await store.streams([A, B])
    assert list(await store.delete_streams([stream.end for stream in streams])) == [False, True]
    assert len(await store.read(A)) == 1


async def test_who_has_the_store_alone_gives_nothing_up_that_is_open(places: Places) -> None:
    gone = await places.writer()
    await gone.claim(SHARDS, gone.token)
    await append(gone, an_append(A, index=OPEN), an_append(B, index=ENDED))
    await append(gone, an_append(C, index=ENDED))
    await ask(
        places.address,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks "
        "WHERE locktype = 'advisory' AND objid = $1::regnamespace::oid",
        places.address.schema,
    )
    alone = PostgresEventStore(places.address)
    await alone.open_alone()
    try:
        page = await alone.finished(before=NOON + AN_HOUR)
        assert [end.key for end in page.ends] == [B, C]
        (stream,) = await alone.streams([A])
        assert list(await alone.delete_streams([stream.end])) == [False]
    finally:
        await alone.close()


async def test_what_is_brought_back_is_not_taken_for_open(places: Places) -> None:
    store = await places.store()
    await store.membership().claim(SHARDS)
    await store.append([an_append(A, index=OPEN), an_append(A, 2, index=ENDED), an_append(B)])
    streams = await store.streams([A])
    assert list(await store.delete_streams([stream.end for stream in streams])) == [True]
    assert list(await store.restore_streams(streams)) == [True]
    assert list(await store.open_instances()) == []
    assert [end.key for end in (await store.finished(before=NOON + AN_HOUR)).ends] == [A, B]


async def test_rows_are_written_by_themselves(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amends.adapters.postgres.looks.PAUSE", 0.001)
    store = await places.store()
    await store.append([an_append(A, index=OPEN)])
    async with asyncio.timeout(20):
        while await places.rows() != ["a"]:
            pass


class Script:
    """What comes of each piece of a look, one after the other; `done` when there is no more."""

    def __init__(self, answers: Iterable[bool | Exception]) -> None:
        self.answers = [*answers]
        self.done = asyncio.Event()

    async def write(self) -> bool:
        answer = self.answers.pop(0)
        if not self.answers:
            self.done.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def some_rows(count: int) -> LateRows:
    late = LateRows()
    late.put({StreamKey("default", f"s-{each}"): OPEN for each in range(count)})
    return late


async def test_a_look_goes_on_until_all_is_written() -> None:
    script = Script([True, True, False])
    await Looks(some_rows(1), script.write).run_once()
    assert script.answers == []


@pytest.mark.parametrize(
    ("rows", "pause", "script"),
    [
        pytest.param(
            1, 0, Script([StoreUnavailable("away"), OSError("odd"), False]), id="an outage is outlived"
        ),
        pytest.param(MOST_KEPT + 1, 3600, Script([False, False]), id="with many it is time to look at once"),
    ],
)
async def test_looks_go_on(monkeypatch: pytest.MonkeyPatch, rows: int, pause: float, script: Script) -> None:
    monkeypatch.setattr("amends.adapters.postgres.looks.PAUSE", pause)
    looks = Looks(some_rows(rows), script.write)
    looks.start()
    async with asyncio.timeout(20):
        await script.done.wait()
    await looks.stop()
    await looks.stop()
