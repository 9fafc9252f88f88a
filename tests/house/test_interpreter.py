"""Which interpreter `make setup` takes: the first that will do, unless a later one was built to be quicker."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHOOSER = ROOT / "requirements" / "interpreter.sh"


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Commands that stand for interpreters: two alike, one that does the same slowly, and one that will not do."""
    bodies = {
        "quick": f'exec {sys.executable} "$@"',
        "as-quick": f'exec {sys.executable} "$@"',
        "slow": f'exec {sys.executable} -X tracemalloc "$@"',
        "old": "echo 'is Python 3.9' >&2; echo 'more of it' >&2; exit 1",
    }
    for name, body in bodies.items():
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{body}\n")
        command.chmod(0o755)
    return tmp_path


def chosen(named: Path, *names: str) -> tuple[int, str, str]:
    """Exit code, what is to be taken, and what was told."""
    end = subprocess.run(
        ["sh", str(CHOOSER), *(str(named / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return end.returncode, end.stdout.strip(), end.stderr.strip()


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("quick",), "quick"),
        (("slow",), "slow"),
        (("quick", "as-quick"), "quick"),
        (("quick", "slow"), "quick"),
        (("old", "missing", "as-quick", "quick"), "as-quick"),
    ],
)
def test_the_first_that_will_do_is_taken(named: Path, names: tuple[str, ...], taken: str) -> None:
    assert chosen(named, *names) == (0, str(named / taken), "")


def test_one_that_is_much_quicker_is_taken_and_that_is_told(named: Path) -> None:
    code, taken, told = chosen(named, "old", "slow", "quick", "as-quick")
    assert (code, taken) == (0, str(named / "quick"))
    assert told == (
        f"setup: taking {named / 'quick'}, which is quicker than {named / 'slow'}; "
        f"make setup PYTHON={named / 'slow'} takes that all the same"
    )


def test_if_none_will_do_it_says_why_and_what_to_do(named: Path) -> None:
    code, taken, told = chosen(named, "old", "missing")
    assert (code, taken) == (1, "")
    assert told == (
        f"setup: Amends needs Python 3.11 or newer: {named / 'old'} is Python 3.9; {named / 'missing'} is not there; "
        "name one with make setup PYTHON=/path/to/python3"
    )
