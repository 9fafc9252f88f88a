"""How an append comes to its commit: at once while the file is free and quick, and in its turn otherwise."""

import asyncio
import sqlite3
from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore
from amends.adapters.sqlite.lane import Lane
from amends.ports import Append, SetIndex, StreamKey
from amends.testing.event_store_suite import A, B, an_append, opened
from tests.application.engine_world import turns, until


def writing(store: SqliteEventStore) -> Lane:
    session = store._session  # noqa: SLF001  whose turn it is shows nowhere else
    assert session is not None
    return session.writing


def statements_of(store: SqliteEventStore) -> list[str]:
    """Return what the writing connection runs from now on."""
    session = store._session  # noqa: SLF001  nowhere else does it show
    assert session is not None
    ran: list[str] = []
    session.database.writer.set_trace_callback(ran.append)
    return ran


def at_once(store: SqliteEventStore, batch: Sequence[Append]) -> Sequence[bool]:
    """Append without giving the loop a turn."""
    appending = store.append(batch)
    with pytest.raises(StopIteration) as ended:
        appending.send(None)
    verdicts: Sequence[bool] = ended.value.value
    return verdicts


async def test_on_a_quick_disk_an_append_is_durable_in_the_same_turn_of_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "amends.db"
    async with opened(lambda: SqliteEventStore(path, inline_limit=inf)) as made:
        assert isinstance(made, SqliteEventStore)
        assert at_once(made, [an_append(A)]) == [True]
        assert at_once(made, [an_append(A, 2)]) == [True], "one statement, without a transaction around it"
        assert at_once(made, [an_append(A, 2), an_append(B)]) == [False, True]
        assert at_once(made, [an_append(A, 2)]) == [False]
        with sqlite3.connect(path) as another:
            assert another.execute("SELECT count(*) FROM transition").fetchone() == (3,)


async def test_an_append_does_not_come_between_what_somebody_else_writes(tmp_path: Path) -> None:
    async with opened(lambda: SqliteEventStore(tmp_path / "amends.db", inline_limit=inf)) as made:
        assert isinstance(made, SqliteEventStore)
        async with writing(made).turn:
            appends = [asyncio.create_task(made.append([an_append(key)])) for key in (A, B)]
            await turns()
            assert not any(append.done() for append in appends)
        await until(lambda: all(append.done() for append in appends))
        assert [append.result() for append in appends] == [[True], [True]]


async def test_a_store_that_refuses_a_commit_is_as_it_was(tmp_path: Path) -> None:
    """The file is locked by somebody who looks into it with a program that writes."""
    path = tmp_path / "amends.db"
    async with opened(lambda: SqliteEventStore(path, inline_limit=inf)) as made:
        assert isinstance(made, SqliteEventStore)
        await made.append([an_append(A)])
        another = sqlite3.connect(path, isolation_level=None)
        another.execute("BEGIN IMMEDIATE")
        for batch in ([an_append(A, 2)], [an_append(B)]):
            with pytest.raises(Exception, match="does not answer now"):
                await made.append(batch)
        another.execute("ROLLBACK")
        another.close()
        assert await made.append([an_append(A, 2), an_append(B)]) == [True, True]


async def test_a_large_batch_takes_a_statement_for_ten_rows_and_keeps_its_order(tmp_path: Path) -> None:
    keys = [StreamKey("default", f"{number:02d}") for number in range(23)]
    async with opened(lambda: SqliteEventStore(tmp_path / "amends.db", inline_limit=inf)) as made:
        assert isinstance(made, SqliteEventStore)
        ran = statements_of(made)
        assert (
            await made.append(
                [an_append(key, index=SetIndex(wake_at=None, outstanding=True)) for key in keys]
            )
            == [True] * 23
        )
        assert [row.transition.key for row in await made.log()] == keys
        for table in ("stream", "transition", "open_instance"):
            assert sum(f" INTO {table} (" in each for each in ran) == 2 + 3, table


async def test_in_a_large_batch_only_the_loser_loses(tmp_path: Path) -> None:
    keys = [StreamKey("default", f"{number:02d}") for number in range(23)]
    async with opened(lambda: SqliteEventStore(tmp_path / "amends.db", inline_limit=inf)) as made:
        await made.append([an_append(key) for key in keys])
        await made.append([an_append(keys[14], 2)])
        won = await made.append([an_append(key, 2) for key in keys])
        assert [key for key, verdict in zip(keys, won, strict=True) if not verdict] == [keys[14]]
        assert len(await made.log()) == 23 + 23


async def test_a_large_batch_needs_no_folder_for_temporary_files(tmp_path: Path) -> None:
    """What SQLite notes to undo one of its statements stays in memory."""
    async with opened(lambda: SqliteEventStore(tmp_path / "amends.db", inline_limit=inf)) as made:
        assert isinstance(made, SqliteEventStore)
        session = made._session  # noqa: SLF001  nowhere else does it show
        assert session is not None
        in_memory = 2
        assert session.database.writer.execute("PRAGMA temp_store").fetchone() == (in_memory,)
