"""Each mutation of `mutations.py`, applied to a copy of the source: the test it names has to go red."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
GREEN, RED = 0, 41
CHILD = f"""
import sys
from amends.core import decide
from tests.core import test_rules, test_straight
assert decide.__file__.startswith(sys.argv[1]), decide.__file__
for name in sys.argv[2:]:
    try:
        (getattr(test_rules, name, None) or getattr(test_straight, name))()
    except (Exception, __import__("_pytest.outcomes").outcomes.Failed) as error:
        print(f"{{name}}: {{error!r}}")
        sys.exit({RED})
"""


def copied(to: Path) -> Path:
    shutil.copytree(ROOT / "src", to / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return to / "src"


def run(source: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Call the tests in a process that sees `source` in place of the real one."""
    paths = os.pathsep.join((str(source), str(ROOT)))
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": paths}
    call = [sys.executable, "-c", CHILD, str(source), *tests]
    return subprocess.run(call, cwd=source, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.rule:02}-{Path(m.file).stem}-{m.test[5:]}")
def test_breaking_a_rule_turns_its_test_red(mutation: Mutation, tmp_path: Path) -> None:
    source = copied(tmp_path)
    file = source / "amends" / mutation.file
    text = file.read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1, (
        f"{mutation.file} was rewritten: refresh this mutation of rule {mutation.rule}"
    )
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    done = run(source, mutation.test)
    assert done.returncode == RED, (
        f"rule {mutation.rule} was broken and nobody saw it:\n{done.stdout}{done.stderr}"
    )


def test_every_rule_is_broken_once() -> None:
    assert {mutation.rule for mutation in MUTATIONS} == set(range(1, 14))


def test_an_unbroken_copy_is_green(tmp_path: Path) -> None:
    """Red means the mutation, not the copy."""
    done = run(copied(tmp_path), *sorted({mutation.test for mutation in MUTATIONS}))
    assert done.returncode == GREEN, done.stdout + done.stderr
