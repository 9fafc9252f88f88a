"""What a user writes checks, and what a user gets wrong does not: under mypy and pyright, both strict."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amends.core.plan import compile_saga
from amends.definition import lint
from tests.typing.good import place_order

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
IGNORED = re.compile(r"  # type: ignore\[[^]]+\]  # pyright: ignore\[[^]]+\]$", re.MULTILINE)

Messages = dict[int, list[str]]
"""What a checker says, by line."""


def run(*command: str) -> str:
    """Return what the checker prints; it must have run to its end, with or without errors."""
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(*files: Path) -> Iterator[tuple[str, int, str]]:
    cache = files[0].parent / "mypy-cache"
    command = (sys.executable, "-m", "mypy", "--strict", "--output", "json", "--cache-dir", str(cache))
    for line in run(*command, *map(str, files)).splitlines():
        said = json.loads(line)
        if said["severity"] == "error":
            yield Path(said["file"]).name, said["line"], said["message"]


def pyright(*files: Path) -> Iterator[tuple[str, int, str]]:
    command = (sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson")
    for said in json.loads(run(*command, *map(str, files)))["generalDiagnostics"]:
        yield Path(said["file"]).name, said["range"]["start"]["line"] + 1, said["message"]


CHECKERS = {"mypy": mypy, "pyright": pyright}


@pytest.fixture(scope="module", params=CHECKERS)
def messages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Messages]:
    """Run one checker over both files, the mistakes without the comments that excuse them."""
    bare = tmp_path_factory.mktemp("typing") / "mistakes.py"
    bare.write_text(IGNORED.sub("", source("mistakes.py")))
    found: dict[str, Messages] = {"good.py": {}, "mistakes.py": {}}
    for name, line, message in CHECKERS[request.param](bare, HERE / "good.py"):
        found.setdefault(name, {}).setdefault(line, []).append(message)
    return found


def source(name: str) -> str:
    return (HERE / name).read_text()


def marked() -> dict[int, str]:
    """The mistakes, by line."""
    lines = enumerate(source("mistakes.py").splitlines(), start=1)
    return {number: line for number, line in lines if IGNORED.search(line)}


def test_the_sketch_of_a_saga_checks(messages: dict[str, Messages]) -> None:
    assert messages["good.py"] == {}


def test_each_mistake_is_red_and_nothing_else_is(messages: dict[str, Messages]) -> None:
    red, mistakes = messages["mistakes.py"], marked()
    assert {number: line for number, line in mistakes.items() if number not in red} == {}
    assert {number: said for number, said in red.items() if number not in mistakes} == {}


def test_the_first_thing_said_names_what_the_user_wrote(messages: dict[str, Messages]) -> None:
    """The message at a mistake names the function, the argument or the attribute, not only the library's inside."""
    for number, line in marked().items():
        written = set(re.findall(r"\w+", IGNORED.sub("", line)))
        said = " ".join(messages["mistakes.py"][number])
        assert written & set(re.findall(r"\w+", said)), f"{line}\n{said}"


def test_the_sketch_of_a_saga_can_run() -> None:
    assert {finding.code for finding in lint(place_order)} == {"AM024"}
    assert compile_saga(place_order).pivots == ("approve-order",)


def test_there_are_enough_of_them() -> None:
    assert len(marked()) >= 40
