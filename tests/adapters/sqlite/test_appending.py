"""How an append comes to its commit: at once while the file is free and quick, and in its turn otherwise."""

import asyncio
import sqlite3
from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore
from amends.adapters.sqlite.lane import Lane
from amends.ports import Append
from amends.testing.event_store_suite import A, B, an_append, opened
from tests.application.engine_world import turns, until


def writing(store: SqliteEventStore) -> Lane:
    session = store._session  # noqa: SLF001  whose turn it is shows nowhere else
    assert session is not None
    return session.writing


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
