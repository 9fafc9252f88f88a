"""The demo as a newcomer runs it: the real command, real processes, killed where it hurts."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from examples.order.demo import EXAMPLE
from examples.running.main import GO_ON
from examples.running.progress import ENDS_AS_EXPECTED, Result
from tests.examples.running.watched import (
    HAS_MOVED,
    IS_PROCESS,
    Demo,
    environment,
    read_until,
    rest_of,
    result_of,
    wait_for_end,
)

QUICK = ("order-01", "order-04", "order-08", "order-14", "order-16", "order-32")
SLOW = ("order-22", "order-34")
"""A service does not answer once: these take a few seconds."""
SILENT = ("order-22", "order-23", "order-24", "order-25")
"""Services that never answer: these take many seconds, in which something can be killed."""
DEMO = Demo(EXAMPLE)
demo = DEMO.run
started = DEMO.started


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    return DEMO.some_of(QUICK, tmp_path / "quick.jsonl")


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return DEMO.some_of(QUICK + SLOW, tmp_path / "slow.jsonl")


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    return DEMO.some_of(QUICK + SILENT, tmp_path / "silent.jsonl")


# --- what it says ----------------------------------------------------------------------------------------------


def test_every_order_of_the_demo_ends_as_it_should(directory: Path) -> None:
    orders = [case.given.order_id for case in EXAMPLE.load()]
    assert len(orders) >= 20
    finished = demo(directory, "--json")
    DEMO.assert_all_is_well(finished, ids=orders)
    document = msgspec.json.decode(finished.stdout, type=dict[str, object])
    assert list(document) == ["sagas", "checks", "ok"]
    undone = {saga.id: saga.undone for saga in result_of(finished).sagas}
    assert undone["order-01"] == ()
    assert set(undone["order-14"]) == {"cancel-order", *(f"reserve-stock[sku-{n}]" for n in (1, 2, 3))}
    charges = [s for saga in result_of(finished).sagas if saga.id == "order-22" for s in saga.steps]
    assert max(step.attempts for step in charges) > 1


def test_without_a_terminal_it_says_in_plain_lines_what_became_of_the_orders(
    directory: Path, quick: Path
) -> None:
    finished = demo(directory, "--input", quick)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert IS_PROCESS.search(finished.stdout)
    assert re.search(r"order-14 .* compensated +PAYMENT_FAILED +5 +4 +\d+\.\d s", finished.stdout)
    bought = [case for case in EXAMPLE.load() if case.given.order_id in {"order-01", "order-04"}]
    pieces = sum(line.quantity for case in bought for line in case.given.lines)
    assert f"Stock adds up: {pieces} pieces left the shelves" in finished.stdout
    assert "Money adds up: " in finished.stdout
    assert "2 of 6 orders completed, 4 were undone. All is well." in finished.stdout
    assert f"Databases and logs: {directory}" in finished.stdout
    assert "\x1b" not in finished.stdout


def test_in_a_terminal_the_orders_on_their_way_are_drawn_in_place(directory: Path, slow: Path) -> None:
    controller, terminal = pty.openpty()
    env = {**environment(), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        DEMO.command(directory, "--input", slow), env=env, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = read_terminal(controller)
    assert process.returncode == 0, shown
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in shown
    assert re.search(r"order-22 .*running.*WAITING_PAYMENT.*pay", shown)
    assert re.search(r"order-14 +.*compensated.* PAYMENT_FAILED +5 +4 +\d+\.\d s", shown)
    assert "All is well." in shown


def read_terminal(controller: int) -> str:
    pieces: list[bytes] = []
    # Linux says OSError when the other side of a terminal has been closed.
    with contextlib.suppress(OSError):
        while piece := os.read(controller, 4096):
            pieces.append(piece)
    os.close(controller)
    return b"".join(pieces).decode()


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_order_that_ends_otherwise_than_expected_is_not_well(
    directory: Path, quick: Path, form: str
) -> None:
    quick.write_text(quick.read_text().replace('"PAYMENT_FAILED"', '"CANCELLED"'))
    finished = demo(directory, "--input", quick, *(["--json"] if form == "json" else []))
    assert finished.returncode == 1
    if form == "json":
        result = result_of(finished)
        assert not result.ok
        assert not result.checks[ENDS_AS_EXPECTED]
        assert not result.checks["order-statuses"]
        assert result.checks["stock-adds-up"]
    else:
        assert "order-14 did not end as expected (compensated as CANCELLED)" in finished.stdout
        assert "What the orders went through does NOT add up:" in finished.stdout
        assert "Not all is well." in finished.stdout


# --- killed ----------------------------------------------------------------------------------------------------


def test_an_orchestrator_that_is_killed_again_and_again_is_started_again_and_goes_on(
    directory: Path, silent: Path
) -> None:
    with started(directory, "--input", silent) as process:
        victims = [int(read_until(process, IS_PROCESS)[1])]
        read_until(process, HAS_MOVED)
        for _ in range(3):
            os.kill(victims[-1], signal.SIGKILL)
            read_until(process, re.compile(rf"orchestrator process {victims[-1]} was killed \(SIGKILL\)"))
            victims.append(int(read_until(process, IS_PROCESS)[1]))
        assert "All is well." in rest_of(process)
    assert len(set(victims)) == 4


def test_a_demo_that_is_killed_leaves_nobody_behind_and_the_next_goes_on(
    directory: Path, silent: Path
) -> None:
    with started(directory, "--input", silent) as process:
        read_until(process, HAS_MOVED)
        left = DEMO.processes(directory)
        process.kill()
    for number in left:
        wait_for_end(number)
    finished = demo(directory, "--json")
    DEMO.assert_all_is_well(finished, ids=QUICK + SILENT)


def test_the_next_run_starts_at_once_although_the_killed_one_is_still_letting_go(
    directory: Path, slow: Path
) -> None:
    for _ in range(2):
        with started(directory, "--input", slow) as process:
            read_until(process, IS_PROCESS)
            process.kill()
    finished = demo(directory)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.startswith("continuing the run that was interrupted (it began at ")
    assert "All is well." in finished.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_stops_cleanly_and_says_how_to_go_on(
    directory: Path, silent: Path, number: signal.Signals, code: int
) -> None:
    with started(directory, "--input", silent) as process:
        read_until(process, HAS_MOVED)
        process.send_signal(number)
        _, errors = process.communicate()
    assert (process.returncode, errors.strip()) == (code, GO_ON)
    assert not list(directory.glob("*.pid"))
    assert b'"state":"begun"' in (directory / "run.json").read_bytes()


def test_a_reader_that_goes_away_ends_it_quietly(directory: Path, silent: Path) -> None:
    with started(directory, "--input", silent) as process:
        read_until(process, IS_PROCESS)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait() == 141


# --- the directory ---------------------------------------------------------------------------------------------


def test_a_finished_run_is_replaced_or_put_aside(directory: Path, quick: Path) -> None:
    assert demo(directory, "--input", quick, "--json").returncode == 0
    first = (directory / "saga.db").stat().st_ino
    DEMO.assert_all_is_well(demo(directory, "--input", quick, "--json"), ids=QUICK)
    assert not (directory / "earlier-1").exists()
    DEMO.assert_all_is_well(demo(directory, "--input", quick, "--json", "--keep"), ids=QUICK)
    assert (directory / "earlier-1" / "saga.db").stat().st_ino != first
    assert Result(**msgspec.json.decode((directory / "earlier-1" / "result.json").read_bytes())).ok


def test_an_interrupted_run_keeps_its_input_unless_it_is_begun_anew(
    directory: Path, quick: Path, silent: Path
) -> None:
    with started(directory, "--input", silent) as process:
        read_until(process, IS_PROCESS)
        process.kill()
    refused = demo(directory, "--input", quick)
    assert refused.returncode == 2
    assert "has another input; --fresh begins a new one" in refused.stderr
    DEMO.assert_all_is_well(demo(directory, "--input", quick, "--fresh", "--json"), ids=QUICK)


def test_a_directory_that_is_in_use_or_someone_elses_is_left_alone(directory: Path, quick: Path) -> None:
    directory.mkdir()
    (directory / "thesis.txt").write_text("ten years of work")
    foreign = demo(directory, "--input", quick)
    assert (foreign.returncode, foreign.stdout) == (2, "")
    assert "holds other things than a demo; name an empty or a new directory" in foreign.stderr
    assert [path.name for path in directory.iterdir()] == ["thesis.txt"]
    with (directory / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        held = demo(directory, "--input", quick)
    assert held.returncode == 2
    assert f"a demo runs in {directory} already (process 4711); stop it" in held.stderr
    assert (directory / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "has no order"),
        ("{}\n", "input.jsonl:1: Object missing required field `about`"),
        ("caf\xe9".encode("latin-1"), "can't decode byte 0xe9"),
        ("twice", "has order-01 twice"),
    ],
)
def test_an_input_that_is_no_input_is_refused_before_anything_is_done(
    directory: Path, tmp_path: Path, content: str | bytes | None, complaint: str
) -> None:
    path = tmp_path / "input.jsonl"
    if content == "twice":
        DEMO.some_of(["order-01", "order-01"], path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)
    refused = demo(directory, "--input", path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert complaint in refused.stderr
    assert refused.stderr.count("\n") == 1
