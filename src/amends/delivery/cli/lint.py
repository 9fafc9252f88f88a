"""`amends lint`: checks definitions by the static rules and shows what is wrong, why, and how to mend it.

Rules: a target is what `amends serve` takes, `MODULE:SAGA` or a whole `MODULE`; the module is imported, from the
current folder as well, and nothing of a saga is run. Exit 0 without errors (warnings are shown), 1 with errors, 2 when
a target cannot be looked at.
It does not: have rules of its own (`amends.definition.lint` has them).
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from amends.definition import RULES, Finding, Saga
from amends.definition.lint import lint as findings_of
from amends.delivery.cli.sagas import sagas_at


class Linted(NamedTuple):
    """A target, its saga, and what was found."""

    target: str
    saga: "Saga[Any]"
    findings: Sequence[Finding]

    @property
    def errors(self) -> int:
        """How many keep it from running."""
        return sum(finding.severity == "error" for finding in self.findings)


def lint(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="MODULE:SAGA",
            help="Such as shop.orders:place_order; a module alone stands for all its sagas.",
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Check saga definitions before they run."""
    linted = [_lint(target, saga) for target in targets for saga in sagas_at(target)]
    if json:
        print(msgspec.json.encode(_document(linted)).decode())
    else:
        print("\n".join(line for each in linted for line in _lines(each)))
    return 1 if any(each.errors for each in linted) else 0


def _lint(target: str, saga: "Saga[Any]") -> Linted:
    return Linted(target, saga, findings_of(saga))


def _lines(linted: Linted) -> list[str]:
    saga, findings = linted.saga, linted.findings
    warnings = len(findings) - linted.errors
    verdict = (
        f"{_count(linted.errors, 'error')}, {_count(warnings, 'warning')}" if findings else "nothing found"
    )
    lines = [f"{saga.name} version {saga.version} ({linted.target}): {verdict}"]
    for finding in findings:
        rule = RULES[finding.code]
        lines += [f"  {rule.severity:<7}  {finding.code}  {finding.place}: {finding.what}"]
        lines += [f"           why:  {rule.why}", f"           mend: {rule.mend}"]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _document(linted: Sequence[Linted]) -> dict[str, object]:
    sagas = [
        {
            "target": each.target,
            "saga": each.saga.name,
            "version": each.saga.version,
            "findings": [_finding(finding) for finding in each.findings],
        }
        for each in linted
    ]
    return {"sagas": sagas, "ok": not any(each.errors for each in linted)}


def _finding(finding: Finding) -> dict[str, str]:
    rule = RULES[finding.code]
    return {
        "code": finding.code,
        "severity": rule.severity,
        "place": finding.place,
        "what": finding.what,
        "why": rule.why,
        "mend": rule.mend,
    }
