"""Whole processes and their store file: an ordered end, a second process, and files that cannot be used."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from amends import sqlite
from amends.ports import StoreCorrupt, StoreError, StoreNewer, StoreReadOnly
from tests.application.engine_world import orchestrator, until
from tests.application.shop import FULFIL, Order, Shop

ROOT = Path(__file__).resolve().parents[2]
SMALL = 1024 * 1024


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process over the store at `path`; killed at the end if it still runs."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    call = [sys.executable, "-m", "tests.crash.holder", str(path)]
    with subprocess.Popen(call, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_process_that_ends_in_the_middle_leaves_everything_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "amends.db"
    with holder(path) as process:
        assert first_line(process) == "ready"
        process.send_signal(number)
        assert process.wait(timeout=20) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    shop = Shop()
    async with orchestrator(sqlite(path), shop) as amends:
        assert (await amends.wait("o-1")).status == "completed"
    assert shop.names == ["pay", "ship"]


def test_a_second_process_is_told_who_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "amends.db"
    with holder(path) as first:
        assert first_line(first) == "ready"
        with holder(path) as second:
            assert f"{path} is held by process {first.pid}" in first_line(second)
            assert second.wait(timeout=20) == 2


def damage(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 100)


def make_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO migration (number, name, checksum) VALUES (9999, 'from_the_future', '')")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "error"), [(damage, StoreCorrupt), (make_newer, StoreNewer)], ids=["corrupt", "newer"]
)
async def test_a_file_that_cannot_be_used_is_named_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], None], error: type[StoreError]
) -> None:
    path = tmp_path / "amends.db"
    async with orchestrator(sqlite(path)) as amends:
        await amends.run(FULFIL, Order())
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(error, match=str(path)):
        await orchestrator(sqlite(path)).__aenter__()
    assert path.read_bytes() == before


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may write anywhere, so a test that runs as root becomes nobody for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that others may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


def set_writable(path: Path, *, yes: bool) -> None:
    path.parent.chmod(0o755 if yes else 0o555)
    path.chmod(0o644 if yes else 0o444)


async def test_a_file_that_may_not_be_written_is_named_and_goes_on_when_it_may(public_folder: Path) -> None:
    path = public_folder / "amends.db"
    async with orchestrator(sqlite(path)) as amends:
        await amends.run(FULFIL, Order(), saga_id="o-1")
    set_writable(path, yes=False)
    with without_rights(), pytest.raises(StoreReadOnly, match=str(path)):
        await orchestrator(sqlite(path)).__aenter__()
    set_writable(path, yes=True)
    async with orchestrator(sqlite(path)) as amends:
        assert (await amends.get("o-1")).status == "completed"


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0


@contextmanager
def little_space(folder: Path) -> Iterator[Callable[[], object]]:
    """A disk of one MiB, and what makes it larger; where mounting is not permitted, a limit on the size of files."""
    if mount("-t", "tmpfs", "-o", f"size={SMALL}", "amends-test", str(folder)):
        try:
            yield partial(mount, "-o", f"remount,size={64 * SMALL}", str(folder))
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_holds_sagas_up_until_there_is_space(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def waits() -> bool:
        return any("the store cannot be used now" in record.message for record in caplog.records)

    with little_space(tmp_path) as make_space:
        path = tmp_path / "amends.db"
        shop = Shop()
        async with orchestrator(sqlite(path), shop) as amends:
            runs: list[asyncio.Task[object]] = []
            while not waits():
                order = Order(sku="x" * 20_000)
                runs.append(asyncio.create_task(amends.run(FULFIL, order, saga_id=f"o-{len(runs)}")))
                await asyncio.sleep(0)
            unfinished = [run for run in runs if not run.done()]
            assert unfinished
            make_space()
            ends = await asyncio.gather(*runs)
            assert {getattr(end, "status", "") for end in ends} == {"completed"}
            await until(lambda: amends.engine.live == 0)
        said = [record for record in caplog.records if "no space left" in record.message]
        assert len(said) >= 1
        assert str(path) in said[0].message
        assert shop.done["ship"] == len(runs)
        async with orchestrator(sqlite(path), shop) as amends:
            assert (await amends.get("o-0")).status == "completed"
