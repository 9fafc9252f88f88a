"""Two versions of the booking process over one store: real processes, a real SQLite file, a kill between them."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from amends.definition import fingerprint
from examples.booking.saga import BOOKING
from examples.running.fleet import ROOT
from tests.examples.booking.deployment import CHANGED, Ended

LIMIT = 60.0
OF_1 = ("request-stock[desk]", "request-payment", "confirm-booking")
OF_2 = ("request-stock[desk]", "request-payment", "credit-points", "confirm-booking")


def command(store: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "tests.examples.booking.deployment", "--store", str(store), *flags]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


def deploy(store: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(store, *flags),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def killed_while_waiting(store: Path, *flags: str) -> None:
    """A deployment whose bookings wait for their payment, killed there."""
    with subprocess.Popen(
        command(store, "--silent", *flags), env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
        finally:
            process.kill()


def ends(finished: subprocess.CompletedProcess[str]) -> list[Ended]:
    assert (finished.returncode, finished.stderr) == (0, "")
    return [msgspec.json.decode(line, type=Ended) for line in finished.stdout.splitlines()]


def ended(saga_id: str, version: int, steps: tuple[str, ...]) -> Ended:
    return Ended(id=saga_id, version=version, business_status="COMPLETED", steps=steps)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "saga.db"


def test_bookings_begun_on_version_1_end_on_version_1_beside_version_2(store: Path) -> None:
    killed_while_waiting(store, "--versions", "1", "--start", "1=b-1", "--start", "1=b-2")
    finished = deploy(store, "--versions", "1", "2", "--wait", "b-1", "--wait", "b-2", "--start", "2=b-3")
    assert ends(finished) == [ended("b-1", 1, OF_1), ended("b-2", 1, OF_1), ended("b-3", 2, OF_2)]


def test_a_booking_of_version_1_that_is_started_again_on_version_2_stays_what_it_is(store: Path) -> None:
    killed_while_waiting(store, "--versions", "1", "--start", "1=b-1")
    finished = deploy(store, "--versions", "1", "2", "--start", "2=b-1")
    assert ends(finished) == [ended("b-1", 1, OF_1)]


def test_while_bookings_of_version_1_are_open_version_2_alone_leaves_them_and_loses_nothing(
    store: Path,
) -> None:
    killed_while_waiting(store, "--versions", "1", "--start", "1=b-1")
    alone = deploy(store, "--versions", "2", "--wait", "b-1", "--start", "2=b-2")
    assert alone.returncode == 1
    assert alone.stdout == msgspec.json.encode(ended("b-2", 2, OF_2)).decode() + "\n"
    assert "DefinitionUnknown: saga 'b-1' runs on 'booking' version 1, which this process" in alone.stderr
    assert ends(deploy(store, "--versions", "1", "2", "--wait", "b-1")) == [ended("b-1", 1, OF_1)]


def test_a_definition_changed_without_a_new_version_is_refused_while_bookings_are_open(store: Path) -> None:
    killed_while_waiting(store, "--versions", "1", "--start", "1=b-1")
    refused = deploy(store, "--versions", "changed", "2", "--start", "2=b-2")
    assert (refused.returncode, refused.stdout) == (1, "")
    (told,) = refused.stderr.splitlines()
    assert told.startswith("DefinitionChanged: ")
    for named in ("'b-1'", "'booking' version 1", fingerprint(BOOKING), fingerprint(CHANGED), "new version"):
        assert named in told, told
    finished = deploy(store, "--versions", "1", "2", "--wait", "b-1")
    assert ends(finished) == [ended("b-1", 1, OF_1)], "nothing was harmed"
    again = deploy(store, "--versions", "changed", "--start", "changed=b-2")
    assert ends(again) == [ended("b-2", 1, OF_1)], "with no open booking there is nobody to be misled"
