"""The numbers of streams that the store knows by heart: looked for once, and never wrong."""

import asyncio
from math import inf
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore, numbering
from amends.ports import Append, RemoveIndex, SetIndex, StreamKey
from amends.ports.event_store import EventStore
from amends.ports.retention import StreamEnd
from amends.ports.store_errors import StoreFull
from amends.testing.event_store_suite import A, B, an_append, opened
from tests.adapters.sqlite.test_appending import statements_of

OPEN = SetIndex(wake_at=None, outstanding=True)
C = StreamKey("default", "c")


def searches(ran: list[str]) -> int:
    """Return how often a stream was looked for."""
    return sum("SELECT number FROM stream" in each for each in ran)


async def bodies(store: EventStore, key: StreamKey) -> list[bytes]:
    return [each.body for each in await store.read(key)]


def written(*appends: Append) -> list[bytes]:
    return [each.transition.body for each in appends]


def made(path: Path) -> SqliteEventStore:
    return SqliteEventStore(path, inline_limit=inf)


async def test_the_stream_of_an_open_instance_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "amends.db"
    async with opened(lambda: made(path)) as store:
        assert isinstance(store, SqliteEventStore)
        ran = statements_of(store)
        await store.append([an_append(A, index=OPEN), an_append(B, index=OPEN)])
        await store.append([an_append(A, 2), an_append(B, 2)])
        await store.append([an_append(A, 3)])
        assert searches(ran) == 0
    async with opened(lambda: made(path)) as store:
        assert isinstance(store, SqliteEventStore)
        ran = statements_of(store)
        await store.append([an_append(A, 4), an_append(B, 3)])
        await store.append([an_append(A, 5), an_append(B, 4)])
        assert searches(ran) == 2, "each once: they began before the store was opened"


async def test_that_of_an_instance_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    async with opened(lambda: made(tmp_path / "amends.db")) as store:
        assert isinstance(store, SqliteEventStore)
        ran = statements_of(store)
        await store.append([an_append(key, index=OPEN) for key in (A, B, C)])
        await store.append([an_append(A, 2, index=RemoveIndex()), an_append(B, 2, index=RemoveIndex())])
        await store.append([an_append(C, 2, index=RemoveIndex())])
        assert searches(ran) == 0
        await store.append([an_append(key, 3) for key in (A, B, C)])
        assert searches(ran) == 3


async def test_that_of_an_instance_that_only_waits_is_forgotten(tmp_path: Path) -> None:
    rests = SetIndex(wake_at=None, outstanding=False)
    async with opened(lambda: made(tmp_path / "amends.db")) as store:
        assert isinstance(store, SqliteEventStore)
        ran = statements_of(store)
        await store.append([an_append(A, index=rests), an_append(B, index=OPEN)])
        await store.append([an_append(C, index=rests)])
        await store.append([an_append(B, 2)])
        assert searches(ran) == 0
        await store.append([an_append(key, 3 if key is B else 2) for key in (A, B, C)])
        assert searches(ran) == 2


async def test_more_than_it_keeps_in_mind_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbering, "MOST", 3)
    keys = [StreamKey("default", f"{number:02d}") for number in range(11)]
    async with opened(lambda: made(tmp_path / "amends.db")) as store:
        assert isinstance(store, SqliteEventStore)
        ran = statements_of(store)
        for position in (1, 2, 3):
            batch = [an_append(key, position, note=key.saga_id) for key in keys]
            assert await store.append(batch) == [True] * 11
        assert searches(ran) >= 2 * (11 - 3)
        for key in keys:
            assert await bodies(store, key) == written(
                *(an_append(key, position, note=key.saga_id) for position in (1, 2, 3))
            )


async def test_after_a_batch_with_a_loser_each_stream_has_its_own(tmp_path: Path) -> None:
    async with opened(lambda: made(tmp_path / "amends.db")) as store:
        await store.append([an_append(A, note="a")])
        first = [an_append(A, note="again"), an_append(B, note="b"), an_append(C, note="c")]
        assert await store.append(first) == [False, True, True]
        assert await store.append([an_append(key, 2, note=key.saga_id) for key in (A, B, C)]) == [True] * 3
        for key in (A, B, C):
            wanted = written(an_append(key, note=key.saga_id), an_append(key, 2, note=key.saga_id))
            assert await bodies(store, key) == wanted


async def test_a_number_that_was_rolled_back_may_be_given_to_another(tmp_path: Path) -> None:
    async with opened(lambda: made(tmp_path / "amends.db")) as store:
        assert isinstance(store, SqliteEventStore)
        await store.append([an_append(A, note="a")])
        await fail_for_want_of_room(store, [an_append(B, note="b" * 100_000), an_append(A, 2)])
        assert await store.append([an_append(B, 2)]) == [False], "it never began"
        assert await store.append([an_append(C, note="c"), an_append(A, 2, note="a2")]) == [True, True]
        assert await store.append([an_append(B, note="b")]) == [True]
        assert await bodies(store, A) == written(an_append(A, note="a"), an_append(A, 2, note="a2"))
        assert await bodies(store, B) == written(an_append(B, note="b"))
        assert await bodies(store, C) == written(an_append(C, note="c"))


async def fail_for_want_of_room(store: SqliteEventStore, batch: list[Append]) -> None:
    session = store._session  # noqa: SLF001  nowhere else can it be narrowed
    assert session is not None
    writer = session.database.writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        await store.append(batch)
    writer.execute("PRAGMA max_page_count = 4294967294")


async def test_a_stream_that_was_given_up_is_not_written_to_and_may_begin_anew(tmp_path: Path) -> None:
    async with opened(lambda: made(tmp_path / "amends.db")) as store:
        assert isinstance(store, SqliteEventStore)
        await store.append([an_append(A, note="old", index=RemoveIndex()), an_append(B)])
        await store.append([an_append(A, 2), an_append(B, 2)])
        (end,) = [each.end for each in await store.streams([A])]
        assert await store.delete_streams([StreamEnd(A, 2, end.sequence)]) == [True]
        assert await store.append([an_append(A, 3)]) == [False]
        assert await store.append([an_append(A, note="new"), an_append(B, 3)]) == [True, True]
        assert await bodies(store, A) == written(an_append(A, note="new"))


async def test_streams_that_were_put_back_keep_theirs(tmp_path: Path) -> None:
    async with opened(lambda: made(tmp_path / "amends.db")) as store:
        assert isinstance(store, SqliteEventStore)
        await store.append([an_append(A, note="a", index=RemoveIndex()), an_append(B, note="b")])
        kept = await store.streams([A])
        await store.append([an_append(B, 2)])
        assert await store.delete_streams([each.end for each in kept]) == [True]
        assert await store.restore_streams(kept) == [True]
        ran = statements_of(store)
        assert await store.append([an_append(C, note="c"), an_append(B, 3)]) == [True, True]
        assert ran.count("BEGIN IMMEDIATE") == 1, "C was given a number that is free"
        assert await bodies(store, A) == written(an_append(A, note="a"))
        assert await bodies(store, C) == written(an_append(C, note="c"))


async def test_what_was_cancelled_and_is_durable_all_the_same_is_found(tmp_path: Path) -> None:
    async with opened(lambda: SqliteEventStore(tmp_path / "amends.db", inline_limit=0)) as store:
        assert isinstance(store, SqliteEventStore)
        cancelled = asyncio.create_task(store.append([an_append(A, note="a"), an_append(B)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        ran = statements_of(store)
        assert await store.append([an_append(A, 2), an_append(B, 2)]) == [True, True]
        assert searches(ran) == 2
