"""Every block of code on every page does what the page says."""

import difflib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapters.postgres import shared_server
from tests.docs.documents import ROOT, Block, Page, pages, scripts

PAGES = {page.name: page for page in scripts()}
SHELL = ("sh", "console")
LIMIT = 60.0
"""Seconds that a page's script may take."""


DATABASE = "DATABASE_URL"
"""What a page's script asks the environment for when it needs a PostgreSQL."""


def run_python(folder: Path, *arguments: str, database: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python as a reader would, with every warning an error."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        DATABASE: database,
    }
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def assert_same(found: str, expected: str, complaints: str) -> None:
    difference = difflib.unified_diff(expected.splitlines(), found.splitlines(), "page", "run", lineterm="")
    assert found == expected, "\n".join([*difference, complaints])


def write_files(page: Page, folder: Path) -> None:
    for block in page.blocks():
        if block.title:
            (folder / block.title).write_text(block.text)


@pytest.mark.parametrize("name", PAGES)
def test_the_python_of_a_page_is_one_script_that_runs(name: str, tmp_path: Path) -> None:
    page = PAGES[name]
    write_files(page, tmp_path)
    script = tmp_path / "page.py"
    script.write_text(page.script())
    database = shared_server.new_database() if DATABASE in script.read_text() else ""
    ended = run_python(tmp_path, script.name, database=database)
    assert ended.returncode == 0, f"{name}, lines as on the page:\n{ended.stderr}"
    assert_same(ended.stdout, page.printed(), ended.stderr)


CONSOLES = [(page, block) for page in pages() for block in page.blocks() if block.language == "console"]


@pytest.mark.parametrize(("page", "block"), CONSOLES, ids=[f"{p.name}:{b.line}" for p, b in CONSOLES])
def test_a_console_block_shows_what_happens(page: Page, block: Block, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    shown = ""
    for line in block.text.splitlines():
        if not line.startswith("$ "):
            continue
        program, *arguments = line.removeprefix("$ ").split()
        assert program == "python", f"{page.name}:{block.line}: only python runs here, not {program}"
        ended = run_python(tmp_path, *arguments)
        killed = "Killed\n" if ended.returncode == -signal.SIGKILL else ""
        assert ended.returncode == 0 or killed, ended.stderr
        shown += f"{line}\n{ended.stdout}{killed}"
    assert_same(shown, block.text, f"{page.name}:{block.line}")


def test_the_python_of_all_pages_passes_both_type_checkers(tmp_path: Path) -> None:
    for page in PAGES.values():
        name = re.sub(r"\W", "_", page.name.removesuffix(".md").lower())
        folder = tmp_path / f"{name}_files"
        folder.mkdir()
        (folder / f"{name}.py").write_text(page.script())
        write_files(page, folder)
    settings = f'{{"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": ["{ROOT / "src"}"]}}'
    (tmp_path / "pyrightconfig.json").write_text(settings)
    checkers = (
        ["mypy", "--strict", "--config-file", os.devnull, "--no-incremental", "."],
        ["pyright", "--pythonpath", sys.executable, "-p", "."],
    )
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    for checker in checkers:
        ended = subprocess.run(
            [sys.executable, "-m", *checker],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{checker[0]}, lines as on the pages:\n{ended.stdout}{ended.stderr}"


def commands() -> list[tuple[str, str]]:
    """Each line of a shell block, with where it stands."""
    return [
        (f"{page.name}:{block.line + number}", line.removeprefix("$ ").partition("#")[0].strip())
        for page in pages()
        for block in page.blocks()
        if block.language in SHELL
        for number, line in enumerate(block.text.splitlines())
        if block.language == "sh" or line.startswith("$ ")
    ]


def test_make_targets_on_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = [(place, line.split()[1]) for place, line in commands() if line.startswith("make ")]
    prose = [(page.name, target) for page in pages() for target in re.findall(r"`make ([a-z-]+)", page.prose)]
    unknown = [f"{place}: make {target}" for place, target in named + prose if target not in targets]
    assert named, "the pages name no make target at all"
    assert not unknown, "\n".join(unknown)


def test_verbs_of_the_command_line_on_the_pages_exist() -> None:
    named = {line: place for place, line in commands() if re.match(r"(\.venv/bin/)?amends ", line)}
    for line, place in named.items():
        verb = line.split()[1]
        ended = run_python(ROOT, "-m", "amends.delivery.cli.main", verb, "--help")
        assert ended.returncode == 0, f"{place}: amends {verb}: {ended.stderr}"
