"""What exists is documented: public names, parameters, events, lint codes, rules, requirements."""

import inspect
import re
from typing import get_args

import msgspec
import pytest

import amends
from amends import Orchestrator
from amends.core import event as events
from amends.core.upcast import from_body
from amends.definition import RULES
from tests.docs.documents import ROOT, page, pages

EVENTS = {event.__name__: event for event in get_args(events.AnyEvent)}
FILE = re.compile(
    r"`((?:src|tests|examples|docs|bench)/[\w./-]+|[A-Z]+\.md|Makefile|pyproject\.toml)(?:::(\w+))?`"
)
REQUIREMENTS = [f"R{number}" for number in range(1, 116)]


def section(text: str, heading: str) -> str:
    """The text below a heading, up to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"no heading {heading!r}"
    return found[2]


def test_the_readme_shows_a_saga_in_25_lines_and_the_tutorial_begins_with_it() -> None:
    shown, begun = (next(page(name).blocks()) for name in ("README.md", "docs/tutorial.md"))
    lines = [line for line in shown.text.splitlines() if line]
    assert len(lines) <= 25
    assert f"in {len(lines)} lines" in page("README.md").prose
    assert begun.text == shown.text


def test_every_public_name_is_on_a_page() -> None:
    spans = [span for page in pages() for span in re.findall(r"`([^`\n]+)`", page.prose)]
    blocks = [block.text for page in pages() for block in page.blocks() if block.language == "python"]
    code = set(re.findall(r"\w+", " ".join([*spans, *blocks])))
    missing = [name for name in amends.__all__ if name not in code]
    assert not missing, f"nowhere documented: {', '.join(missing)}"


def table_rows(text: str) -> dict[str, str]:
    """The rows of a page's tables, by the code in their first cell."""
    return dict(re.findall(r"^\| `(\w+)[^`]*` \| (.+?) \|$", text, re.MULTILINE))


def test_every_parameter_of_the_orchestrator_is_documented() -> None:
    parameters = inspect.signature(Orchestrator).parameters
    documented = table_rows(section(page("docs/embedded.md").text, "Options"))
    assert set(documented) == set(parameters)
    for name, parameter in parameters.items():
        default = parameter.default
        if isinstance(default, int | str):
            said = f"{default:,}" if isinstance(default, int) else f"`{default}`"
            assert said in documented[name], f"{name}: the default is {default!r}"


def test_every_verb_of_the_orchestrator_is_documented() -> None:
    verbs = [
        name for name, _ in inspect.getmembers(Orchestrator, inspect.iscoroutinefunction) if name[0] != "_"
    ]
    assert set(table_rows(section(page("docs/embedded.md").text, "Verbs"))) == set(verbs)


def test_every_event_has_a_heading() -> None:
    headings = re.findall(r"^### (\w+)$", page("docs/events.md").text, re.MULTILINE)
    assert sorted(headings) == sorted(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_documented_with_its_fields_and_an_example(name: str) -> None:
    text = section(page("docs/events.md").text, name)
    missing = [field for field in EVENTS[name].__struct_fields__ if f"`{field}`" not in text]
    assert not missing, f"{name}: {', '.join(missing)}"
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example, f"{name} has no example"
    (found,) = from_body(f"[{example[1]}]".encode())
    assert type(found) is EVENTS[name]
    stored = msgspec.json.decode(msgspec.json.encode(found))
    assert stored == msgspec.json.decode(example[1]), f"{name}: it is stored otherwise"


def test_every_lint_code_is_documented() -> None:
    text = (ROOT / "docs/lint.md").read_text()
    assert [code for code in RULES if code not in text] == []


def test_every_rule_is_explained_and_has_its_test() -> None:
    text = page("docs/semantics.md").text
    tests = (ROOT / "tests/core/test_rules.py").read_text()
    for number in range(1, 14):
        heading = re.search(rf"^## {number}\. [^\n]+\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
        assert heading, f"rule {number} is not explained"
        names = re.findall(r"`(test_rule_\w+)(\*?)`", heading[1])
        assert names, f"rule {number} names no test"
        unknown = [name for name, rest in names if f"def {name}{'' if rest else '('}" not in tests]
        assert not unknown, f"rule {number}: {', '.join(unknown)} is not in tests/core/test_rules.py"


def requirement_rows() -> list[tuple[str, str]]:
    return re.findall(r"^\| (R\d+) \| (.+) \|$", page("docs/requirements.md").text, re.MULTILINE)


def test_every_requirement_is_answered_once() -> None:
    assert sorted(name for name, _ in requirement_rows()) == sorted(REQUIREMENTS)


def test_an_answer_names_what_shows_it_or_what_it_waits_for() -> None:
    vague = [name for name, row in requirement_rows() if not FILE.search(row) and "waits for: " not in row]
    assert not vague, f"no file and no “waits for”: {', '.join(vague)}"


def test_the_requirements_are_counted() -> None:
    answers = [row.partition(" | ")[2] for _, row in requirement_rows()]
    waiting = sum(answer.startswith("waits for: ") for answer in answers)
    built = sum("waits for: " not in answer for answer in answers)
    partly = len(answers) - waiting - built
    counted = f"Of {len(answers)} rows, {built} are built, {partly} in part, and {waiting} wait."
    assert counted in page("docs/requirements.md").prose, counted


def test_files_and_tests_that_the_pages_name_exist() -> None:
    wrong = []
    for each in pages():
        for path, name in FILE.findall(each.prose):
            target = ROOT / path
            if not target.exists():
                wrong.append(f"{each.name}: {path}")
            elif name and not re.search(rf"(def|class) {name}\b", target.read_text()):
                wrong.append(f"{each.name}: {path}::{name}")
    assert not wrong, "\n".join(wrong)
