"""SIGKILL in every database of the kit: the effect and the barrier's row are both there, or neither is."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.participant.places import PLACES, Where, new_place

ROOT = Path(__file__).parents[2]


def run(place: str, moment: str, where: Where) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.participant.killed", place, moment, where.file, where.server],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("place", PLACES)
def test_sigkill_leaves_both_or_neither(place: str) -> None:
    where = new_place(place)
    in_the_handler = run(place, "in-the-handler", where)
    assert (in_the_handler.returncode, in_the_handler.stdout) == (-signal.SIGKILL, ""), in_the_handler.stderr
    assert where.effects(place) == 0
    before_the_answer = run(place, "before-the-answer", where)
    assert (before_the_answer.returncode, before_the_answer.stdout) == (-signal.SIGKILL, "")
    assert where.effects(place) == 1
    again = run(place, "never", where)
    assert again.stdout == 'succeeded {"count":1}\n', again.stderr
    assert where.effects(place) == 1
