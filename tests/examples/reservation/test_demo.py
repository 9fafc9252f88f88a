"""The reservation demo as a newcomer runs it: all cases, the audit, its document, its words; killed in the middle."""

import os
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from examples.reservation.audit import rebuild
from examples.reservation.demo import EXAMPLE
from examples.reservation.streams import streams_in
from examples.running.progress import ENDS_AS_EXPECTED
from tests.examples.running.watched import (
    HAS_MOVED,
    IS_PROCESS,
    Demo,
    read_until,
    rest_of,
    result_of,
    wait_for_end,
)

DEMO = Demo(EXAMPLE)
QUICK = ("res-01", "res-03", "res-04", "res-07", "res-10")
SILENT = ("res-11", "res-18")
"""Services that do not answer at once: these take some seconds, in which something can be killed."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


async def test_every_reservation_ends_as_it_should_and_the_audit_agrees(directory: Path) -> None:
    cases = EXAMPLE.load()
    assert len(cases) >= 12
    finished = DEMO.run(directory, "--json")
    DEMO.assert_all_is_well(finished, ids=[EXAMPLE.id_of(case) for case in cases])
    document = msgspec.json.decode(finished.stdout, type=dict[str, object])
    assert list(document) == ["sagas", "checks", "ok"]
    result = result_of(finished)
    checks = {name for topic in EXAMPLE.topics for name in topic.checks}
    assert set(result.checks) == {ENDS_AS_EXPECTED, *checks}
    assert result.checks["audit-agrees"]
    undone = {saga.id: set(saga.undone) for saga in result.sagas}
    assert undone["res-09"] == set()
    assert undone["res-04"] == {"open-reservation", "reserve-product[tent]", "reserve-product[rope]"}
    await _the_store_can_be_audited_again(directory)


async def _the_store_can_be_audited_again(directory: Path) -> None:
    """From the file that the run left, by whoever comes later: the money against the service's own table."""
    streams = await streams_in(directory / "saga.db")
    ledgers = {saga_id: rebuild(saga_id, events) for saga_id, events in streams.items()}
    assert len(ledgers) == len(EXAMPLE.load())
    with closing(sqlite3.connect(directory / "payments.db")) as payments:
        (cents,) = payments.execute("SELECT sum(initial - balance) FROM account").fetchone()
    assert sum(ledger.now.paid for ledger in ledgers.values()) * 100 == cents


def test_it_says_in_plain_lines_what_became_of_the_reservations_and_shows_an_audit(
    directory: Path, tmp_path: Path
) -> None:
    finished = DEMO.run(directory, "--input", DEMO.some_of(QUICK, tmp_path / "quick.jsonl"))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert re.search(r"res-10 .* compensated +NOT_CONFIRMED +6 +5 +\d+\.\d s", finished.stdout)
    assert "Stock adds up: 3 pieces are reserved" in finished.stdout
    assert "Money adds up: 69.90 left the accounts" in finished.stdout
    assert re.search(r"The audit agrees: 5 streams with \d+ events", finished.stdout)
    lines = re.findall(r"^ +\d+ +\+\d+\.\d\d s  (.*)$", finished.stdout, re.MULTILINE)
    deeds = [re.sub(r" \([A-Z]-\d+\)", "", line) for line in lines]
    assert deeds[0] == "opened for grace"
    assert set(deeds[1:4]) == {"reserved 1 of tent", "reserved 2 of stove", "reserved 7 of rope"}
    assert deeds[4:6] == ["charged 92.11 to card-ada", "gave 92.11 back to card-ada"]
    assert deeds[-1] == "cancelled as NOT_CONFIRMED"
    assert "2 of 5 reservations completed, 3 were undone. All is well." in finished.stdout


def test_killed_together_and_one_by_one_the_reservations_go_on(directory: Path, tmp_path: Path) -> None:
    path = DEMO.some_of(QUICK + SILENT, tmp_path / "silent.jsonl")
    path.write_text(path.read_text().replace('"hang", "times": 1,', '"hang", "times": 3,'))
    with DEMO.started(directory, "--input", path) as process:
        read_until(process, HAS_MOVED)
        left = DEMO.processes(directory)
        process.kill()
    for number in left:
        wait_for_end(number)
    with DEMO.started(directory) as process:
        victim = int(read_until(process, IS_PROCESS)[1])
        os.kill(victim, signal.SIGKILL)
        read_until(process, re.compile(rf"orchestrator process {victim} was killed \(SIGKILL\)"))
        output = rest_of(process)
    assert "The audit agrees: 7 streams" in output
    assert "All is well." in output
