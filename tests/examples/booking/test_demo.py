"""The booking demo as a newcomer runs it: the real command, real processes, the orchestrator killed on the way."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from examples.booking.demo import EXAMPLE
from examples.running.fleet import ROOT
from examples.running.progress import ENDS_AS_EXPECTED, Result

QUICK = ("booking-01", "booking-02", "booking-05", "booking-12")
IS_PROCESS = re.compile(r"the orchestrator is process (\d+)")
HAS_MOVED = re.compile(r"s +[1-9]\d* of \d+ bookings at their end")


def command(directory: Path, *flags: str | Path) -> list[str]:
    start = [sys.executable, "-m", "amends.delivery.cli.main", "demo", "booking"]
    return [*start, "--directory", str(directory), *map(str, flags)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}


def demo(directory: Path, *flags: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(directory, *flags), env=environment(), capture_output=True, text=True, check=False
    )


def some_of(bookings: Sequence[str], path: Path) -> Path:
    lines = EXAMPLE.cases.read_text("utf-8").splitlines()
    named = {EXAMPLE.id_of(case): line for case, line in zip(EXAMPLE.load(), lines, strict=True)}
    path.write_text("".join(f"{named[booking]}\n" for booking in bookings), "utf-8")
    return path


def test_every_booking_ends_as_it_should_although_the_orchestrator_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    told: list[str] = []
    is_killed = False
    with subprocess.Popen(
        command(directory), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                told.append(line)
                if not is_killed and HAS_MOVED.search(line):
                    os.kill(int((directory / "orchestrator.pid").read_text()), signal.SIGKILL)
                    is_killed = True
        finally:
            process.kill()
    output = "".join(told)
    assert process.returncode == 0, output
    assert len(set(IS_PROCESS.findall(output))) == 2
    assert re.search(r"booking-05 .* compensated +CANCELLED +6 +5 +\d+\.\d s", output)
    assert "10 of 24 bookings completed, 14 were undone. All is well." in output
    assert "Stock adds up: 36 pieces are reserved, all for confirmed bookings" in output
    assert "Money adds up: 2138.39 left the accounts" in output
    result = msgspec.json.decode((directory / "result.json").read_bytes(), type=Result)
    assert result.ok
    expected = {EXAMPLE.id_of(case): case.expect for case in EXAMPLE.load()}
    assert {saga.id: (saga.status, saga.business_status) for saga in result.sagas} == {
        booking: (end.status, end.business_status) for booking, end in expected.items()
    }
    undone = {saga.id: set(saga.undone) for saga in result.sagas}
    assert undone["booking-02"] == set()
    assert undone["booking-20"] == {
        "request-payment",
        "request-stock[room]",
        "request-stock[boat]",
        "cancel-booking",
    }


def test_a_booking_that_ends_otherwise_than_expected_is_not_well(tmp_path: Path) -> None:
    quick = some_of(QUICK, tmp_path / "quick.jsonl")
    quick.write_text(
        quick.read_text().replace(
            '"compensated", "business_status": "CANCELLED"', '"completed", "business_status": "COMPLETED"', 1
        )
    )
    finished = demo(tmp_path / "run", "--json", "--input", quick)
    assert (finished.returncode, finished.stderr) == (1, "")
    result = msgspec.json.decode(finished.stdout, type=Result)
    assert not result.ok
    assert {name for name, holds in result.checks.items() if not holds} == {
        ENDS_AS_EXPECTED,
        "reserved-for-confirmed-bookings-only",
        "bookings-paid-exactly",
        "confirmed-at-what-was-paid",
        "booking-transitions",
    }


def test_an_input_that_expects_a_state_which_no_booking_has_is_refused(tmp_path: Path) -> None:
    quick = some_of(QUICK, tmp_path / "quick.jsonl")
    quick.write_text(quick.read_text().replace('"COMPLETED"', '"PAYED"', 1))
    finished = demo(tmp_path / "run", "--input", quick)
    assert finished.returncode == 2
    assert "quick.jsonl:1: no saga ends as 'PAYED'" in finished.stderr
