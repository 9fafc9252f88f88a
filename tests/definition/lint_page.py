"""The page about the linter, made from its table of rules.

python -m tests.definition.lint_page        writes docs/lint.md
"""

from pathlib import Path

from amends.definition import RULES
from amends.definition.findings import Rule

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lint.md"
REGENERATE = "PYTHONPATH=src:. python -m tests.definition.lint_page"
HEAD = f"""\
<!-- Made from RULES in src/amends/definition/findings.py; after a change there: {REGENERATE} -->
# What the linter finds

A definition is looked at before it runs: `lint(saga)` returns the findings, and a saga with an **error** is refused
when it is compiled, with all of them at once. A **warning** is worth a look. Nothing of yours is called for that.

Each finding has a code, a place (`place-order/each/reserve-stock`: the names on the way down, or the kinds of nodes
that have none), what is wrong there, why that matters, and how to mend it. A code never changes its meaning.

| code | | why it is a finding | how to mend it |
|---|---|---|---|
"""


def row(code: str, rule: Rule) -> str:
    """Return one rule as a row of the table."""
    why, mend = (text.replace("|", "\\|") for text in (rule.why, rule.mend))
    return f"| {code} | {rule.severity} | {why} | {mend} |\n"


def page() -> str:
    """Return the page."""
    return HEAD + "".join(row(code, rule) for code, rule in RULES.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
