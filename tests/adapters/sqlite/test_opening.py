"""What can be wrong with the file when a store is opened, and what the operator reads then."""

# Nothing else runs on the loop while these tests prepare their files.
# ruff: noqa: ASYNC240

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from amends.adapters.sqlite import SqliteEventStore
from amends.adapters.sqlite.database import open_database
from amends.ports.store_errors import (
    StoreCorrupt,
    StoreError,
    StoreHeld,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
)
from amends.testing.event_store_suite import A, an_append, expect, opened
from tests.adapters.sqlite.crash_process import start_child

NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "amends.db"


async def fill(path: Path, transitions: int = 1) -> None:
    async with opened(lambda: SqliteEventStore(path)) as store:
        await store.append([an_append(A, number) for number in range(1, transitions + 1)])


async def refusal(path: Path, kind: type[StoreError]) -> str:
    """The text with which opening is refused; a refused store leaves no hold behind."""
    with pytest.raises(kind) as refused:
        await SqliteEventStore(path).open()
    text = str(refused.value)
    assert type(refused.value) is kind
    assert str(path) in text
    assert text.endswith(".")
    return text


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


async def test_a_store_is_created_with_its_folders(tmp_path: Path) -> None:
    await fill(tmp_path / "some" / "folder" / "amends.db")
    assert (tmp_path / "some" / "folder" / "amends.db").exists()


def test_a_commit_waits_for_the_disk(path: Path) -> None:
    database = open_database(path)
    try:
        assert database.writer.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
        assert database.writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        database.release()


# --- held -------------------------------------------------------------------------------------------------------


async def test_a_second_store_in_the_same_process_is_refused(path: Path) -> None:
    async with opened(lambda: SqliteEventStore(path)) as store:
        assert f"process {os.getpid()}" in await refusal(path, StoreHeld)
        with pytest.raises(StoreHeld):
            await store.open()
        expect(await store.append([an_append(A)]), [True], "the holder goes on")
    await fill(path)


async def test_a_link_to_a_held_file_is_refused(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    async with opened(lambda: SqliteEventStore(path)):
        with pytest.raises(StoreHeld):
            await SqliteEventStore(link).open()


async def test_another_process_is_named_and_lets_go_when_it_is_killed(path: Path) -> None:
    with start_child(path, seed=1, inline_limit=0.002) as child:
        assert child.stdout is not None
        assert child.stdout.readline(), "the child holds the store and writes"
        assert f"process {child.pid};" in await refusal(path, StoreHeld)
        child.kill()
    await fill(path)


# --- read-only --------------------------------------------------------------------------------------------------


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may write anywhere, so a test that runs as root becomes nobody for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that anybody may write to, outside pytest's own, which others may not even enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o777)
        yield folder
        folder.chmod(0o777)


READ_ONLY_FOLDER = stat.S_IRUSR | stat.S_IXUSR | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
READ_ONLY_FILE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


async def test_a_folder_that_cannot_be_written_to(public_folder: Path) -> None:
    public_folder.chmod(READ_ONLY_FOLDER)
    with without_rights():
        await refusal(public_folder / "amends.db", StoreReadOnly)
        await refusal(public_folder / "below" / "amends.db", StoreReadOnly)


async def test_a_store_in_a_folder_that_cannot_be_written_to(public_folder: Path) -> None:
    path = public_folder / "amends.db"
    with without_rights():
        await fill(path)
        # The lock file is there and may be written to; the log cannot be created.
    public_folder.chmod(READ_ONLY_FOLDER)
    with without_rights():
        await refusal(path, StoreReadOnly)


async def test_a_new_store_where_only_the_lock_file_can_be_written_to(public_folder: Path) -> None:
    path = public_folder / "amends.db"
    with without_rights():
        await fill(path)
        path.unlink()
    public_folder.chmod(READ_ONLY_FOLDER)
    with without_rights():
        await refusal(path, StoreReadOnly)


async def test_a_file_that_cannot_be_written_to(public_folder: Path) -> None:
    path = public_folder / "amends.db"
    with without_rights():
        await fill(path)
    path.chmod(READ_ONLY_FILE)
    with without_rights():
        await refusal(path, StoreReadOnly)


# --- not a store, damaged, newer --------------------------------------------------------------------------------


async def test_a_text_file_is_no_store(path: Path) -> None:
    path.write_text("This is a letter, not a database. " * 200)
    before = path.read_bytes()
    assert "not a database" in await refusal(path, StoreCorrupt)
    assert path.read_bytes() == before


async def test_a_folder_is_no_store(path: Path) -> None:
    path.mkdir()
    assert "folder" in await refusal(path, StoreCorrupt)


async def test_another_programs_database_is_left_alone(path: Path) -> None:
    execute(path, "CREATE TABLE recipe (name TEXT)")
    assert "another program" in await refusal(path, StoreCorrupt)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("recipe",)]


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    await fill(path)


async def test_a_file_that_was_cut_off(path: Path) -> None:
    await fill(path, 2_000)
    os.truncate(path, path.stat().st_size // 2)
    assert "damaged" in await refusal(path, StoreCorrupt)


async def test_a_page_of_rubbish(path: Path) -> None:
    await fill(path, 2_000)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4096 // 2 * 4096)
        file.write(b"\xde\xad\xbe\xef" * 1024)
    assert "damaged" in await refusal(path, StoreCorrupt)


async def test_a_newer_schema_is_never_downgraded(path: Path) -> None:
    await fill(path)
    execute(path, "INSERT INTO migration VALUES (9999, '9999_from_the_future', 'x')")
    assert "9999" in await refusal(path, StoreNewer)
    execute(path, "DELETE FROM migration WHERE number = 9999")
    await fill(path, 2)


async def test_a_schema_of_other_migrations_is_refused(path: Path) -> None:
    await fill(path)
    execute(path, "UPDATE migration SET checksum = 'another'")
    assert "0001_event_store" in await refusal(path, StoreCorrupt)


# --- locked from outside ----------------------------------------------------------------------------------------


async def test_a_lock_from_outside_passes(path: Path) -> None:
    async with opened(lambda: SqliteEventStore(path)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.append([an_append(A)])
            expect(await store.read(A), [], "reading goes on, and finds nothing of it")
            shell.execute("ROLLBACK")
        expect(await store.append([an_append(A)]), [True], "the same append again")
