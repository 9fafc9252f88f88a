"""The offer demo as a newcomer runs it: all cases, its document, its words, and killed while the sponsors think."""

import os
import re
import signal
from pathlib import Path

import msgspec
import pytest

from amends import sqlite
from amends.application.history import event_views
from amends.ports import StreamKey
from examples.offer.demo import EXAMPLE
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
QUICK = ("accept-01", "accept-04", "accept-09", "accept-16", "accept-19")
SILENT = ("accept-24", "accept-25")
"""Services that do not answer: these take some seconds, in which something can be killed."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


async def signals_of(directory: Path, saga_id: str) -> list[object]:
    """What the stream of a finished run says that the sponsor said."""
    store = sqlite(directory / "saga.db")
    await store.open()
    try:
        stream = await store.read(StreamKey("default", saga_id))
    finally:
        await store.close()
    events = (event for transition in stream for event in event_views(transition))
    return [event.body["content"] for event in events if event.type == "SignalReceived"]


async def test_every_acceptance_ends_as_it_should(directory: Path) -> None:
    cases = EXAMPLE.load()
    assert len(cases) >= 12
    finished = DEMO.run(directory, "--json")
    DEMO.assert_all_is_well(finished, ids=[EXAMPLE.id_of(case) for case in cases])
    document = msgspec.json.decode(finished.stdout, type=dict[str, object])
    assert list(document) == ["sagas", "checks", "ok"]
    undone = {saga.id: set(saga.undone) for saga in result_of(finished).sagas}
    assert undone["accept-01"] == set()
    assert undone["accept-10"] == {"register-attendee", "validate-offer", "apply-code"}
    assert undone["accept-25"] == {"apply-code"}
    checks = {name for topic in EXAMPLE.topics for name in topic.checks}
    assert set(result_of(finished).checks) == {ENDS_AS_EXPECTED, *checks}
    assert await signals_of(directory, "accept-01") == []
    assert await signals_of(directory, "accept-19") == [{"approved": False, "by": "ann"}]
    assert await signals_of(directory, "accept-21") == [
        {"approved": True, "by": "ann"},
        {"approved": False, "by": "bob"},
    ]


def test_it_says_in_plain_lines_what_became_of_the_acceptances(directory: Path, tmp_path: Path) -> None:
    finished = DEMO.run(directory, "--input", DEMO.some_of(QUICK, tmp_path / "quick.jsonl"))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert re.search(r"accept-19 .* compensated +NOT_APPROVED +4 +4 +\d+\.\d s", finished.stdout)
    assert "Places add up: 3 places are taken" in finished.stdout
    assert "Codes and prices add up: 3970.00 agreed in all" in finished.stdout
    assert "Approvals hold: 1 dear offers were accepted" in finished.stdout
    assert "3 of 5 acceptances completed, 2 were undone. All is well." in finished.stdout


def test_an_approval_that_nobody_gave_is_seen(directory: Path, tmp_path: Path) -> None:
    path = DEMO.some_of(("accept-01", "accept-16"), tmp_path / "quick.jsonl")
    path.write_text(path.read_text().replace('"approved": true', '"approved": false'))
    finished = DEMO.run(directory, "--input", path, "--json")
    result = result_of(finished)
    assert (finished.returncode, result.ok) == (1, False)
    assert {name for name, holds in result.checks.items() if not holds} == {
        ENDS_AS_EXPECTED,
        "offers-accepted-as-expected",
        "attendees-registered-for-accepted-only",
        "places-booked-for-accepted-only",
    }


def test_killed_together_and_one_by_one_the_acceptances_go_on(directory: Path, tmp_path: Path) -> None:
    path = DEMO.some_of(QUICK + SILENT, tmp_path / "silent.jsonl")
    path.write_text(path.read_text().replace("1000000", "3"))
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
        assert "All is well." in rest_of(process)
