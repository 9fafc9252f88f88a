"""The tables as a person in the sqlite3 shell, and SQLite's planner, see them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore, statements
from amends.testing.event_store_suite import A, B, an_append, opened


async def filled(folder: Path) -> Path:
    path = folder / "amends.db"
    async with opened(lambda: SqliteEventStore(path)) as store:
        await store.append([an_append(A, 1, events=2, note="日本"), an_append(B)])
        await store.append([an_append(A, 3)])
    return path


async def test_the_view_shows_one_row_per_event(tmp_path: Path) -> None:
    with closing(sqlite3.connect(await filled(tmp_path))) as shell:
        events = shell.execute("SELECT namespace, saga_id, position, type, time FROM event").fetchall()
        noon = "2026-11-20T12:00:00.123456Z"
        assert sorted(events) == [
            ("default", "a", 1, "Noted", noon),
            ("default", "a", 2, "Noted", noon),
            ("default", "a", 3, "Noted", noon),
            ("default", "b", 1, "Noted", noon),
        ]


async def test_bodies_are_readable_and_the_sequence_is_the_order_of_the_log(tmp_path: Path) -> None:
    with closing(sqlite3.connect(await filled(tmp_path))) as shell:
        rows = shell.execute("SELECT sequence, position, typeof(body), body FROM transition").fetchall()
        assert [row[:3] for row in rows] == [(1, 1, "text"), (2, 1, "text"), (3, 3, "text")]
        assert "日本" in rows[0][3]


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (statements.READ_STREAM, ("default", "a", 0, 10)),
        (statements.READ_LOG, (0, 10)),
        (statements.OPEN_INSTANCES, (10,)),
        (statements.OPEN_INSTANCES_AFTER, (10, "default", "a")),
        (statements.DUE_INSTANCES, (0, 10)),
        (statements.NEXT_WAKE, ()),
        (statements.REMOVE_OPEN_INSTANCE, ("default", "a")),
    ],
)
async def test_no_query_reads_or_sorts_a_whole_table(
    sql: str, values: tuple[str | int, ...], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(await filled(tmp_path))) as shell:
        plan = "\n".join(row[3] for row in shell.execute(f"EXPLAIN QUERY PLAN {sql}", values))
    # Read in the order of a key or an index, up to a limit, is as good as searched.
    ordered = sql in {statements.OPEN_INSTANCES, statements.NEXT_WAKE}
    assert "TEMP B-TREE" not in plan
    assert ordered or "SCAN" not in plan
    assert sql != statements.NEXT_WAKE or "open_instance_wake" in plan
