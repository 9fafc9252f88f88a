"""Each mutation, of `mutations.py` and `mutations_of_lanes.py`, applied to a copy: the test it names has to go red."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.application.mutations import MUTATIONS as ROLES, Mutation
from tests.application.mutations_of_lanes import MUTATIONS as LANES

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "application"
GREEN, RED = 0, 1
MUTATIONS = (*ROLES, *LANES)


def copied(to: Path) -> Path:
    shutil.copytree(ROOT / "src", to / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return to / "src"


def run(source: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in a process that sees `source` in place of the real one, and is not patient."""
    environment = {
        **os.environ,
        "AMENDS_TEST_PATIENCE": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join((str(source), str(ROOT))),
    }
    environment.pop("PYTEST_ADDOPTS", None)
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "pythonpath="]
    options += ["--basetemp", str(source.parent / "tests")]
    call = [sys.executable, "-m", "pytest", *options, *(str(TESTS / test) for test in tests)]
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what.replace(" ", "-"))
def test_breaking_the_engine_turns_its_test_red(mutation: Mutation, tmp_path: Path) -> None:
    source = copied(tmp_path)
    file = source / "amends" / mutation.file
    text = file.read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1, f"{mutation.file} was rewritten: refresh {mutation.what!r}"
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    done = run(source, mutation.test)
    assert done.returncode == RED, f"{mutation.what}, and nobody saw it:\n{done.stdout}{done.stderr}"


def test_an_unbroken_copy_is_green(tmp_path: Path) -> None:
    """Red means the mutation, not the copy."""
    source = copied(tmp_path)
    done = run(source, *sorted({mutation.test for mutation in MUTATIONS}))
    assert done.returncode == GREEN, done.stdout + done.stderr
