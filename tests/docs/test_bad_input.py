"""docs/bad-input.md has a row for every kind of bad input, and each names tests that exist, or what it waits for."""

import ast
import re

import pytest

from tests.docs.documents import ROOT, page

ROWS = 80
ROW = re.compile(
    r"^\| (?P<number>\d+) \| (?P<where>[^|]+) \| (?P<given>.+?) \| (?P<gets>.+?) \| (?P<held>.+?) \|$",
    re.MULTILINE,
)
TESTED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
FOUND = list(ROW.finditer(page("docs/bad-input.md").prose))


def test_every_row_is_there_once() -> None:
    assert [int(row["number"]) for row in FOUND] == list(range(1, ROWS + 1))


@pytest.mark.parametrize("row", FOUND, ids=lambda row: row["number"])
def test_a_row_is_held_by_tests_that_exist_or_says_what_it_waits_for(row: "re.Match[str]") -> None:
    tests = TESTED.findall(row["held"])
    assert tests or (row["held"] == "-" and "waits for: " in row["gets"])
    for path, name in tests:
        module = ast.parse((ROOT / path).read_text())
        functions = {
            node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"{path} has no {name}"


def test_rows_of_what_exists_wait_for_nothing() -> None:
    waiting = [int(row["number"]) for row in FOUND if "waits for: " in row["gets"]]
    assert waiting == [23, 37, 38, 39, 46, 47, 61, 66, 67, 73]
