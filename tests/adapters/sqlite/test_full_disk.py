"""A full disk: nothing half-written, and it goes on by itself once there is space. Real disks, really full."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from amends.adapters.sqlite import SqliteEventStore
from amends.ports.event_store import SetIndex, StreamKey
from amends.ports.store_errors import StoreFull
from amends.testing.event_store_suite import NOON, A, an_append, expect, opened

SMALL = 1024 * 1024
BATCHES = 100


class Disk(NamedTuple):
    """A folder with little room, and a way to give it more."""

    folder: Path
    make_room: Callable[[], None]


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0


def remount(folder: Path, *, size: int) -> None:
    assert mount("-o", f"remount,size={size}", str(folder))


@contextmanager
def small_tmpfs(folder: Path) -> Iterator[Disk]:
    """A disk of one MiB; where mounting is not permitted, a file size limit of one MiB."""
    if not mount("-t", "tmpfs", "-o", f"size={SMALL}", "amends-test", str(folder)):
        with file_size_limit(folder) as disk:
            yield disk
        return
    try:
        yield Disk(folder, lambda: remount(folder, size=32 * SMALL))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def file_size_limit(folder: Path) -> Iterator[Disk]:
    """The system refuses to let any file of this process grow beyond one MiB (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def restore() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, before[1]))
    try:
        yield Disk(folder, restore)
    finally:
        restore()


DISKS = {"tmpfs": small_tmpfs, "file-size-limit": file_size_limit}


@pytest.fixture(params=DISKS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with DISKS[request.param](tmp_path) as disk:
        yield disk


async def fill_up(store: SqliteEventStore) -> int:
    """Append batches of three streams until there is no room; how many batches were acknowledged."""
    for number in range(BATCHES):
        wake = SetIndex(NOON, outstanding=True)
        batch = [an_append(key, index=wake, note="x" * 20_000) for key in keys_of(number)]
        try:
            expect(await store.append(batch), [True] * 3, "verdicts")
        except StoreFull:
            return number
    raise AssertionError("the disk never became full")


def keys_of(number: int) -> list[StreamKey]:
    return [StreamKey("full", f"{number:03}-{name}") for name in "abc"]


async def check_stored(store: SqliteEventStore, batches: int) -> None:
    """Exactly the acknowledged batches, and of the next one nothing."""
    for number in range(batches + 1):
        for key in keys_of(number):
            expect(len(await store.read(key)), int(number < batches), f"transitions of {key}")
    expect(len(await store.open_instances()), 3 * batches, "index rows")


@pytest.mark.parametrize("inline_limit", [0.002, 0.0], ids=["inline", "threaded"])
async def test_a_full_disk_refuses_whole_batches_and_goes_on_by_itself(
    disk: Disk, inline_limit: float
) -> None:
    path = disk.folder / "amends.db"
    async with opened(lambda: SqliteEventStore(path, inline_limit=inline_limit)) as store:
        assert isinstance(store, SqliteEventStore)
        batches = await fill_up(store)
        assert batches > 0
        with pytest.raises(StoreFull, match=str(path)):
            await store.append([an_append(A, note="y" * 500_000)])
        await check_stored(store, batches)
        disk.make_room()
        again = [an_append(key, index=SetIndex(NOON, outstanding=True)) for key in keys_of(batches)]
        expect(await store.append(again), [True] * 3, "the refused batch, with room")
        await check_stored(store, batches + 1)
    async with opened(lambda: SqliteEventStore(path)) as store:
        assert isinstance(store, SqliteEventStore)
        await check_stored(store, batches + 1)


def fill_with_ballast(file: Path, size: int) -> None:
    """Write until the system refuses to take more."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        with suppress(OSError):
            while os.write(descriptor, b"x" * size) == size:
                pass
    finally:
        os.close(descriptor)


async def test_a_store_cannot_be_created_on_a_full_disk(tmp_path: Path) -> None:
    with small_tmpfs(tmp_path) as disk:
        for size in (4096, 1):
            fill_with_ballast(disk.folder / f"ballast-{size}", size)
        path = disk.folder / "below" / "amends.db"
        with pytest.raises(StoreFull, match=str(path)):
            await SqliteEventStore(path).open()
        disk.make_room()
        async with opened(lambda: SqliteEventStore(path)) as store:
            expect(await store.append([an_append(A)]), [True], "the first append")
