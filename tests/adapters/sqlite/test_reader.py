"""A store file that is only looked at: beside a process that runs on it, after a kill, and what can be wrong."""

# Nothing else runs on the loop while these tests prepare their files.
# ruff: noqa: ASYNC240

import os
import sqlite3
import stat
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore, SqliteStoreReader, statements
from amends.adapters.sqlite.migrations import known_migrations
from amends.ports.event_store import DefinitionNote, SetIndex
from amends.ports.store_errors import (
    StoreCorrupt,
    StoreError,
    StoreNewer,
    StoreOlder,
    StoreReadOnly,
    StoreUnavailable,
)
from amends.testing.event_store_suite import NOON, A, B, an_append, opened
from tests.adapters.sqlite.crash_process import start_child

NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "amends.db"


@asynccontextmanager
async def reading(path: Path) -> AsyncGenerator[SqliteStoreReader]:
    reader = SqliteStoreReader(path)
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


async def refusal(path: Path, kind: type[StoreError]) -> str:
    with pytest.raises(kind) as refused:
        await SqliteStoreReader(path).open()
    assert type(refused.value) is kind
    assert str(path) in str(refused.value)
    return str(refused.value)


def files(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if not each.name.endswith("-shm")}


async def fill(path: Path) -> None:
    async with opened(lambda: SqliteEventStore(path)) as store:
        await store.append([an_append(A, 1, events=2, index=SetIndex(NOON, outstanding=True)), an_append(B)])


async def test_it_reads_what_a_store_reads(path: Path) -> None:
    await fill(path)
    async with opened(lambda: SqliteEventStore(path)) as store, reading(path) as reader:
        assert await reader.read(A) == await store.read(A)
        assert await reader.read(A, limit=0) == []
        assert await reader.log() == await store.log()
        assert await reader.log(after=1, limit=1) == await store.log(after=1, limit=1)
        assert await reader.log_end() == await store.log_end() == 2
        assert await reader.open_instances() == await store.open_instances()
        assert await reader.open_instances(after=A) == []


async def test_it_sees_what_is_committed_beside_it(path: Path) -> None:
    async with opened(lambda: SqliteEventStore(path)) as store, reading(path) as reader:
        for position in range(1, 1_202):
            await store.append([an_append(A, position)])
            assert await reader.log_end() == position
        assert len(await reader.read(A)) == 1_201


async def test_it_holds_nothing_and_changes_nothing(path: Path) -> None:
    await fill(path)
    before = files(path)
    async with reading(path) as reader:
        assert len(await reader.log()) == 2
        await fill_more(path)
        assert len(await reader.log()) == 3
    async with reading(path) as reader:
        assert len(await reader.log()) == 3
    assert set(files(path)) - set(before) <= {"amends.db-wal"}, "nothing is left but what SQLite shares"


async def fill_more(path: Path) -> None:
    async with opened(lambda: SqliteEventStore(path)) as store:
        await store.append([an_append(B, 2)])


async def test_what_a_killed_process_left_is_read(path: Path) -> None:
    with start_child(path, seed=1, inline_limit=0.002) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(30)]
        child.kill()
    assert path.with_name("amends.db-wal").stat().st_size
    async with reading(path) as reader:
        found = {
            (each.transition.key.saga_id, each.transition.position) for each in await reader.log(limit=9_999)
        }
    assert {(saga, int(position)) for saga, position in map(str.split, lines)} <= found


async def test_another_process_runs_on_it(path: Path) -> None:
    with start_child(path, seed=2, inline_limit=0.002) as child:
        assert child.stdout is not None
        child.stdout.readline()
        async with reading(path) as reader:
            first = await reader.log_end()
            while await reader.log_end() == first:
                assert child.stdout.readline()
        child.kill()


async def test_a_missing_file_is_not_made(path: Path) -> None:
    assert "there is no such file" in await refusal(path, StoreCorrupt)
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "it is empty"), (b"no database at all, whatever it is" * 99, "not a database")]
)
async def test_what_is_no_store(path: Path, content: bytes, why: str) -> None:
    path.write_bytes(content)
    assert why in await refusal(path, StoreCorrupt)
    assert path.read_bytes() == content


async def test_a_folder_and_another_programs_database(path: Path) -> None:
    assert "a folder" in await refusal(path.parent, StoreCorrupt)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (number)")
    assert "another program" in await refusal(path, StoreCorrupt)


async def test_a_newer_schema(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO migration VALUES (9999, '9999_from_the_future', 'x')")
    assert "9999" in await refusal(path, StoreNewer)


def make_older(path: Path) -> None:
    """A file as the first version made it, with two open instances and one that has ended."""
    (first, *_) = known_migrations()
    begun = '[{"type":"SagaStarted","saga":"order","version":%d,"fingerprint":"%s"}]'
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(first.script)
        connection.execute(statements.CREATE_MIGRATION_TABLE)
        connection.execute(
            "INSERT INTO migration VALUES (?, ?, ?)", (first.number, first.name, first.checksum)
        )
        for number, (version, fingerprint, is_open) in enumerate(
            ((1, "one", True), (2, "two", True), (2, "other", True), (3, "three", False), (1, "one", True)), 1
        ):
            connection.execute("INSERT INTO stream VALUES (?, 'default', ?)", (number, f"s-{number}"))
            body = begun % (version, fingerprint)
            connection.execute("INSERT INTO transition VALUES (?, ?, 1, 1, 0, ?)", (number, number, body))
            if is_open:
                connection.execute(
                    "INSERT INTO open_instance VALUES ('default', ?, NULL, 0)", (f"s-{number}",)
                )


async def test_an_older_schema_is_told_and_migrated_by_who_runs_it(path: Path) -> None:
    make_older(path)
    text = await refusal(path, StoreOlder)
    assert "it lacks 0002_definition " in text
    assert "amends migrate" in text
    async with opened(lambda: SqliteEventStore(path)) as store:
        notes = [DefinitionNote("order", 1, "one"), DefinitionNote("order", 2, "")]
        assert await store.definitions() == notes, (
            "what open instances run on; where they differ, none is right"
        )
    async with reading(path) as reader:
        assert await reader.log_end() == 5


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder that is everybody's to read, and an identity that may not write there."""
    if os.geteuid() != 0:
        pytest.fail("run as root: another identity is needed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        yield folder


async def test_a_folder_that_cannot_be_written_to() -> None:
    with as_nobody() as folder:
        await fill(folder / "amends.db")
        os.seteuid(NOBODY)
        try:
            async with reading(folder / "amends.db") as reader:
                assert await reader.log_end() == 2
        finally:
            os.seteuid(0)


async def test_a_log_that_nobody_can_read_is_told() -> None:
    with as_nobody() as folder:
        path = folder / "amends.db"
        async with opened(lambda: SqliteEventStore(path)) as store:
            await store.append([an_append(A)])
            for name in ("amends.db-wal", "amends.db-shm"):
                (folder / name).chmod(0)
            os.seteuid(NOBODY)
            try:
                with pytest.raises((StoreReadOnly, StoreUnavailable), match=r"amends\.db"):
                    await SqliteStoreReader(path).open()
            finally:
                os.seteuid(0)


async def test_one_that_is_not_open_says_so(path: Path) -> None:
    await fill(path)
    reader = SqliteStoreReader(path)
    await reader.close()
    await reader.open()
    await reader.close()
    await reader.close()
    for question in (reader.log, reader.log_end, reader.open_instances, lambda: reader.read(A)):
        with pytest.raises(StoreUnavailable):
            await question()
