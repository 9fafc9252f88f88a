"""The fulfilment demo as a newcomer runs it: all cases, its document, its words, and killed in the middle."""

import re
from pathlib import Path

import msgspec
import pytest

from examples.fulfilment.demo import EXAMPLE
from examples.running.progress import ENDS_AS_EXPECTED
from tests.examples.running.watched import (
    HAS_MOVED,
    Demo,
    read_until,
    result_of,
    wait_for_end,
)

DEMO = Demo(EXAMPLE)
QUICK = ("fulfil-01", "fulfil-03", "fulfil-04", "fulfil-06", "fulfil-09")
SILENT = ("fulfil-13",)
"""A service that never answers: this takes some seconds, in which something can be killed."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_every_order_ends_as_it_should(directory: Path) -> None:
    cases = EXAMPLE.load()
    assert len(cases) >= 12
    finished = DEMO.run(directory, "--json")
    DEMO.assert_all_is_well(finished, ids=[EXAMPLE.id_of(case) for case in cases])
    document = msgspec.json.decode(finished.stdout, type=dict[str, object])
    assert list(document) == ["sagas", "checks", "ok"]
    undone = {saga.id: saga.undone for saga in result_of(finished).sagas}
    assert undone["fulfil-01"] == ()
    assert undone["fulfil-04"] == ("reserve-inventory",)
    assert set(undone["fulfil-14"]) == {"ship-order", "process-payment", "reserve-inventory"}
    attempts = {saga.id: [step.attempts for step in saga.steps] for saga in result_of(finished).sagas}
    assert attempts["fulfil-10"][2] > 3
    checks = {name for topic in EXAMPLE.topics for name in topic.checks}
    assert set(result_of(finished).checks) == {ENDS_AS_EXPECTED, *checks}


def test_it_says_in_plain_lines_what_became_of_the_orders(directory: Path, tmp_path: Path) -> None:
    finished = DEMO.run(directory, "--input", DEMO.some_of(QUICK, tmp_path / "quick.jsonl"))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert re.search(r"fulfil-09 .* compensated +NOT_SHIPPED +3 +2 +\d+\.\d s", finished.stdout)
    assert "Stock adds up: 3 pieces left the shelves" in finished.stdout
    assert "Money adds up: 52.40 left the accounts" in finished.stdout
    assert "Shipping adds up: what was shipped is paid" in finished.stdout
    assert "2 of 5 orders completed, 3 were undone. All is well." in finished.stdout


def test_an_end_that_is_not_the_expected_one_is_not_well(directory: Path, tmp_path: Path) -> None:
    path = DEMO.some_of(QUICK, tmp_path / "quick.jsonl")
    path.write_text(path.read_text().replace('"NOT_PAID"', '"CANCELLED"'))
    finished = DEMO.run(directory, "--input", path, "--json")
    result = result_of(finished)
    assert (finished.returncode, result.ok) == (1, False)
    assert [name for name, holds in result.checks.items() if not holds] == [ENDS_AS_EXPECTED]


def test_killed_in_the_middle_it_leaves_nobody_behind_and_the_next_run_goes_on(
    directory: Path, tmp_path: Path
) -> None:
    path = DEMO.some_of(QUICK + SILENT, tmp_path / "silent.jsonl")
    with DEMO.started(directory, "--input", path) as process:
        read_until(process, HAS_MOVED)
        left = DEMO.processes(directory)
        process.kill()
    for number in left:
        wait_for_end(number)
    assert b'"state":"begun"' in (directory / "run.json").read_bytes()
    DEMO.assert_all_is_well(DEMO.run(directory, "--json"), ids=QUICK + SILENT)
