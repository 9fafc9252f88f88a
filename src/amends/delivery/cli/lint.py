"""`amends lint`: checks definitions by the static rules and shows what is wrong, why, and how to mend it.

Rules: a target is `MODULE:SAGA`; the module is imported, from the current folder as well, and nothing of the saga is
run. Exit 0 without errors (warnings are shown), 1 with errors, 2 when a target cannot be looked at.
It does not: have rules of its own (`amends.definition.lint` has them).
"""

import difflib
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, NamedTuple, TypeGuard

import msgspec
import typer

from amends.definition import RULES, Finding, Saga
from amends.definition.lint import lint as findings_of
from amends.delivery.cli.faults import Unusable


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
        list[str], typer.Argument(metavar="MODULE:SAGA", help="Such as shop.orders:place_order.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Check saga definitions before they run."""
    sys.path.insert(0, "")
    linted = [_lint(target) for target in targets]
    if json:
        print(msgspec.json.encode(_document(linted)).decode())
    else:
        print("\n".join(line for each in linted for line in _lines(each)))
    return 1 if any(each.errors for each in linted) else 0


def _lint(target: str) -> Linted:
    saga = _find(target)
    return Linted(target, saga, findings_of(saga))


def _find(target: str) -> "Saga[Any]":
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise Unusable(f"{target!r} names no saga; write MODULE:SAGA, such as shop.orders:place_order")
    module = _import(module_name)
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
    if _is_saga(found):
        return found
    what = "is not there" if found is None else f"is of type {type(found).__name__}, not a Saga"
    raise Unusable(f"{target}: {path} {what}; {_sagas_in(module, path)}")


def _is_saga(value: object) -> "TypeGuard[Saga[Any]]":
    return isinstance(value, Saga)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        # Whatever the module does while it is imported, the user needs one line about it.
        first = (str(error).splitlines() or [""])[0]
        raise Unusable(f"{name} cannot be imported: {type(error).__name__}: {first}") from error


def _sagas_in(module: ModuleType, wanted: str) -> str:
    names = [name for name, value in vars(module).items() if _is_saga(value)]
    near = difflib.get_close_matches(wanted, names, n=1)
    if near:
        return f"did you mean {module.__name__}:{near[0]}?"
    return (
        f"the sagas of {module.__name__} are {', '.join(names)}"
        if names
        else f"{module.__name__} has no saga"
    )


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
