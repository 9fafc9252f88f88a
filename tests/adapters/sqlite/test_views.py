"""The file of the read model: what is wrong with it, and how it is searched."""

# Nothing else runs on the loop while these tests prepare their files.
# ruff: noqa: ASYNC240

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore, SqliteReadModel, statements
from amends.ports.read_model import Checkpoint, SagaQuery
from amends.ports.store_errors import StoreCorrupt
from amends.testing.event_store_suite import opened as opened_store
from amends.testing.read_model_suite import a_row, opened

NOTHING = Checkpoint(0, "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "amends.db.views"


async def fill(path: Path, rows: int = 3) -> None:
    async with opened(lambda: SqliteReadModel(path)) as model:
        await model.put(
            [a_row(f"o-{number}", started=number) for number in range(rows)], Checkpoint(7, "seven")
        )


async def checkpoint(path: Path) -> Checkpoint:
    async with opened(lambda: SqliteReadModel(path)) as model:
        return await model.checkpoint()


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


async def test_it_is_made_with_its_folders(tmp_path: Path) -> None:
    assert await checkpoint(tmp_path / "some" / "folder" / "views") == NOTHING


async def test_one_of_another_version_is_made_anew(path: Path) -> None:
    await fill(path)
    assert await checkpoint(path) == Checkpoint(7, "seven")
    execute(path, "PRAGMA user_version = 99")
    assert await checkpoint(path) == NOTHING
    await fill(path)
    assert await checkpoint(path) == Checkpoint(7, "seven")


async def test_one_that_is_damaged_is_made_anew(path: Path) -> None:
    await fill(path, 2_000)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4096 // 2 * 4096)
        file.write(b"\xde\xad\xbe\xef" * 1024)
    assert await checkpoint(path) == NOTHING


async def test_one_that_was_cut_off_is_made_anew(path: Path) -> None:
    await fill(path, 2_000)
    os.truncate(path, path.stat().st_size // 2)
    assert await checkpoint(path) == NOTHING


async def test_what_is_no_read_model_is_left_alone(path: Path) -> None:
    async with opened_store(lambda: SqliteEventStore(path)):
        pass
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="of another kind"):
        await SqliteReadModel(path).open()
    assert path.read_bytes() == before
    rubbish = path.with_name("rubbish")
    rubbish.write_bytes(b"no database at all, whatever it is" * 99)
    with pytest.raises(StoreCorrupt, match="not a database"):
        await SqliteReadModel(rubbish).open()
    assert rubbish.exists()
    with pytest.raises(StoreCorrupt, match="a folder"):
        await SqliteReadModel(path.parent).open()


async def test_another_process_may_read_it_meanwhile(path: Path) -> None:
    async with opened(lambda: SqliteReadModel(path)) as model:
        await model.put([a_row("a")], Checkpoint(1, "one"))
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as shell:
            shell.execute("BEGIN")
            assert shell.execute("SELECT id FROM saga").fetchall() == [("a",)]
            await model.put([a_row("b")], Checkpoint(2, "two"))
            assert len(await model.find(SagaQuery(), limit=9)) == 2


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (statements.VIEWS_FIND_NEWEST, "saga_started"),
        (statements.VIEWS_FIND_OLDEST, "saga_started"),
        (statements.VIEWS_FIND_OPEN_NEWEST, "saga_open"),
        (statements.VIEWS_FIND_OPEN_OLDEST, "saga_open"),
    ],
)
async def test_a_list_is_read_in_order_and_never_sorted(path: Path, sql: str, index: str) -> None:
    await fill(path)
    values = ("", "", None, '["stuck"]', "", None, 0, 2**62, 0, 2**62, "", 2**60, "", "", 51)
    with closing(sqlite3.connect(path)) as shell:
        plan = "\n".join(row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {sql}", values))
    assert "TEMP B-TREE" not in plan
    assert index in plan


async def test_counts_need_no_row(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as shell:
        plan = "\n".join(
            row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {statements.VIEWS_COUNTS}", ("",))
        )
    assert "COVERING INDEX saga_counted" in plan
    assert "TEMP B-TREE" not in plan
    assert "SEARCH" in plan
