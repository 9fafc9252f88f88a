"""The house's rules over the whole tree: the style guide that runs.

The rules themselves stand in `rules.py`; the tool settings in `pyproject.toml` hold the rest.
"""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

from tests.house.rules import CODE_RULES, TEXT_RULES, Rule, Source, function_length, small_on_the_whole

ROOT = Path(__file__).resolve().parents[2]


def project_files() -> Iterator[PurePosixPath]:
    """What is in the repository, or would be after `git add`: tracked and untracked files that are not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return (
        PurePosixPath(name) for name in sorted(set(listing.stdout.split("\0"))) if (ROOT / name).is_file()
    )


def read(path: PurePosixPath) -> Source | None:
    """The file as text; nothing for an image or another binary file."""
    try:
        return Source(path, (ROOT / path).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return None


@cache
def sources() -> tuple[Source, ...]:
    return tuple(source for path in project_files() if (source := read(path)) is not None)


def complain(rule: Rule, *, code_only: bool) -> None:
    files = (source for source in sources() if source.is_code or not code_only)
    findings = [str(finding) for source in files for finding in rule(source)]
    assert not findings, "\n".join([f"{len(findings)} to mend:", *findings])


@pytest.mark.parametrize("rule", CODE_RULES, ids=lambda rule: rule.__name__)
def test_code_keeps(rule: Rule) -> None:
    complain(rule, code_only=True)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule) -> None:
    complain(rule, code_only=False)


def test_functions_are_small_on_the_whole() -> None:
    code = (source for source in sources() if source.is_code and source.folder == "src")
    findings = list(small_on_the_whole(function_length(f) for source in code for f in source.functions))
    assert not findings, "\n".join(findings)


def test_the_walk_reaches_the_tree() -> None:
    """A walk that finds nothing would keep every rule."""
    found = {str(source.path) for source in sources()}
    assert {"Makefile", "pyproject.toml", "src/amends/__init__.py", "tests/house/test_house.py"} <= found
