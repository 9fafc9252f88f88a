"""What the linter may find: one code for each rule, with the reason and the mend.

Rules: a code never changes its meaning. An `error` keeps a definition from running; a `warning` is worth a look.
It does not: look at definitions (`lint` does).
"""

from typing import Literal, TypeAlias

import msgspec

Severity: TypeAlias = Literal["error", "warning"]


class Rule(msgspec.Struct, frozen=True):
    """Why something is a finding and how to mend it."""

    severity: Severity
    why: str
    mend: str


RULES: dict[str, Rule] = {
    "AM001": Rule(
        "error",
        "a do without an undo leaves its effect behind when a later step is refused",
        'give undo=…, or no_undo="reason", or kind="pivot", or kind="retriable"',
    ),
    "AM002": Rule(
        "error",
        "a step says twice, or against itself, what becomes of it in a rollback",
        "keep exactly one of undo=…, no_undo=…, kind=… ; a pivot or retriable step is never undone",
    ),
    "AM003": Rule(
        "error",
        "behind the point of no return nothing is undone, so nothing there may be refused",
        'make it kind="retriable", or move it before the pivot',
    ),
    "AM004": Rule(
        "error",
        "a path has one point of no return; the second pivot could be refused when nothing can be undone any more",
        'keep one pivot and make the later one kind="retriable"',
    ),
    "AM005": Rule(
        "error",
        "a tolerated failure goes on and is undone beside, but a pivot cannot be undone",
        "take the pivot out of tolerate",
    ),
    "AM006": Rule(
        "error",
        "a branch that is not needed is undone, but a pivot or retriable step cannot be",
        'put it behind the parallel, or join="all"',
    ),
    "AM007": Rule(
        "error",
        "each item would be a point of no return of its own while the others can still be refused",
        "put the pivot behind the each",
    ),
    "AM008": Rule(
        "error",
        "a pivot or retriable step would pass the point of no return while something beside it can still be refused",
        "put it behind the parallel or each, where everything beside it has settled",
    ),
    "AM009": Rule(
        "error",
        "command ids and step paths are made of names, so a name must be there once",
        "rename one of them",
    ),
    "AM010": Rule(
        "error",
        "names stand in command ids, headers and URLs",
        "use 1 to 100 letters, digits, '.', '_' and '-', beginning with a letter or digit",
    ),
    "AM011": Rule(
        "warning",
        "a wait without a timeout may keep an instance open for ever",
        "give timeout=…, or keep None where that is meant",
    ),
    "AM012": Rule(
        "error",
        "behind the point of no return a wait must not be refused",
        "give otherwise=… for the timeout and read a no with merge instead of accept",
    ),
    "AM013": Rule(
        "error",
        "the reply must be read into a type, and neither the annotation of do nor reply= says which",
        "annotate `def …(data: …) -> Command[Reply]` (Command[None] when it does not matter), or give reply=…",
    ),
    "AM014": Rule(
        "error",
        "the items must be read back into a type, and neither the annotation of items nor item= says which",
        "annotate `def …(data: …) -> Sequence[Item]`, or give item=…",
    ),
    "AM015": Rule("error", "a composition of nothing does nothing", "put a node into it, or take it out"),
    "AM016": Rule(
        "error",
        "a parallel cannot wait for that many of its branches",
        'use "all", "any", or a whole number from 1 to the number of branches',
    ),
    "AM017": Rule("error", "the value is out of its range", "use a value in the range that is named"),
    "AM018": Rule(
        "error",
        "one signal has one content",
        "use the same content type in both waits, or another signal name",
    ),
    "AM019": Rule(
        "error",
        "a business status that its own table of transitions does not know could never be reached",
        "add it to transitions, or correct its name",
    ),
    "AM020": Rule(
        "warning",
        "a sub-saga runs in its parent's stream and its own deadline is not applied",
        "put the deadline on the parent",
    ),
    "AM021": Rule(
        "error",
        "behind the point of no return nothing is undone, so an on_rollback there never acts",
        "move it before the pivot",
    ),
    "AM022": Rule(
        "error", "a definition must stay readable and bounded", "split it into sub-sagas, or use each"
    ),
    "AM023": Rule("error", "the value is of the wrong type", "pass what the signature says"),
    "AM024": Rule(
        "warning",
        "nothing is undone when a later step is refused; the reason given is shown to the operator",
        "nothing, if the reason holds; otherwise write the undo",
    ),
    "AM025": Rule(
        "error",
        "what is stored must be read back from JSON, and this type cannot be",
        "use a dataclass, a TypedDict, a msgspec struct, a pydantic model or built-in types",
    ),
    "AM026": Rule(
        "error",
        "a function is called with exactly what its place says, and is not awaited",
        "write an ordinary `def` with these arguments, as the signature says",
    ),
    "AM027": Rule(
        "warning",
        "when something else in this part is refused its effects are undone, but what was merged into the data stays",
        "make the part a sub-saga: its data come back at its end alone",
    ),
}


class Finding(msgspec.Struct, frozen=True):
    """One thing the linter found: its code, where (``place-order/pay``), and what exactly."""

    code: str
    place: str
    what: str

    @property
    def severity(self) -> Severity:
        """Whether it keeps the definition from running."""
        return RULES[self.code].severity

    def __str__(self) -> str:
        rule = RULES[self.code]
        return f"{self.place}: {self.code} {self.what}: {rule.why}. To mend: {rule.mend}."


class DefinitionError(ValueError):
    """A definition breaks rules; it is refused before it runs."""

    def __init__(self, saga: str, findings: tuple[Finding, ...]) -> None:
        """Say which rules, each with its place and mend."""
        self.findings = findings
        lines = "\n".join(f"- {finding}" for finding in findings)
        super().__init__(f"saga {saga!r} cannot run, {len(findings)} finding(s):\n{lines}")
