"""The demos' input, for every example: each line is read, and a line that could never come true is named."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.running.example import example_named
from examples.running.fleet import ROOT
from tests.examples.running.watched import environment

NAMES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/demo.py"))


def test_every_folder_with_a_demo_is_an_example() -> None:
    assert {"fulfilment", "order"} <= set(NAMES)


def test_the_help_and_the_page_of_the_examples_name_them_all() -> None:
    command = [sys.executable, "-m", "amends.delivery.cli.main", "demo", "--help"]
    told = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
    page = (ROOT / "examples" / "README.md").read_text()
    for name in NAMES:
        assert re.search(rf"\b{name}\b", told)
        assert f"| [`{name}`]({name}/saga.py) |" in page
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert [link for link in links if not (ROOT / "examples" / link).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_whole(name: str) -> None:
    example = example_named(name)
    assert example.name == name
    cases = example.load()
    assert len(cases) >= 12
    ids = [example.id_of(case) for case in cases]
    assert len(set(ids)) == len(ids)
    assert {case.expect.status for case in cases} == {"completed", "compensated"}
    assert example.seed.exists()


@pytest.mark.parametrize("name", NAMES)
def test_what_misbehaves_is_a_command_of_its_service(name: str) -> None:
    example = example_named(name)
    commands = {
        service: set(importlib.import_module(module).SERVICE.handlers)
        for service, module in example.services.items()
    }
    ordered = [misbehaving for case in example.load() for misbehaving in case.misbehave]
    assert ordered
    for misbehaving in ordered:
        assert misbehaving.command in commands[misbehaving.service], misbehaving


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_a_code_for_an_ordered_decline(name: str) -> None:
    for module in example_named(name).services.values():
        service = importlib.import_module(module).SERVICE
        assert set(service.declined) == set(service.handlers)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"service": "payment"', '"service": "paiment"', "there is no service 'paiment'; there is inventory"),
        ('"NOT_PAID"', '"NOT_PAYED"', "no saga ends as 'NOT_PAYED'; the business statuses are CANCELLED"),
        ('"hang"', '"sulk"', "Invalid enum value 'sulk'"),
        ('"about"', '"abuot"', "unknown field"),
    ],
)
def test_a_case_that_cannot_come_true_is_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    example = example_named("fulfilment")
    lines = example.cases.read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if before in line)
    lines[number] = lines[number].replace(before, after, 1)
    path = tmp_path / "orders.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"orders\.jsonl:{number + 1}: .*{says}"):
        example.load(path)
