"""The static rules of a definition: what can be known to go wrong before anything runs.

Rules
- Looks at values and annotations alone and calls none of the user's functions; reports all findings at once.
- Takes whatever it is given, also from code that no type checker has seen: a finding, never a traceback.
- The rules about the point of no return are those of rule 8: before it everything can be undone, behind it nothing is
  undone and nothing may be refused.
It does not: explore runs (`amends.simulation` does).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from amends.definition import nodes as n, values
from amends.definition.annotations import item_type, reply_type, written
from amends.definition.findings import DefinitionError, Finding
from amends.definition.values import is_int, is_one_of, shown

__all__ = ["DefinitionError", "Finding", "lint"]

MOST_NODES = 10_000
MOST_DEPTH = 50


def lint(saga: "n.Saga[Any]") -> list[Finding]:
    """Return what is wrong with `saga`, in the order of its body; empty when nothing is."""
    if not _is(saga, n.Saga):
        return [Finding("AM023", "definition", f"{shown(saga)} is no Saga")]
    place = _label(saga.name, "saga")
    too_big = _too_big(saga.body)
    if too_big:
        return [Finding("AM022", place, too_big)]
    linter = _Linter()
    linter.saga(saga, _At(place))
    linter.known_statuses(saga, place)
    return linter.findings


@dataclass(frozen=True, slots=True)
class _At:
    """Where the linter stands."""

    place: str
    """For people."""
    prefix: str = ""
    """Of step paths."""
    passed: bool = False
    """Whether the point of no return may have been passed."""

    def below(self, name: Any, otherwise: str) -> "_At":
        return replace(self, place=f"{self.place}/{_label(name, otherwise)}")


@dataclass(slots=True)
class _Linter:
    """Walks the tree. Each visit tells whether the point of no return may lie behind the end of its node."""

    findings: list[Finding] = field(default_factory=list[Finding])
    names: dict[str, str] = field(default_factory=dict[str, str])
    signals: dict[str, Any] = field(default_factory=dict[str, Any])
    used: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, code: str, at: _At, what: str) -> None:
        self.findings.append(Finding(code, at.place, what))

    def check(self, at: _At, *problems: values.Problems) -> None:
        for found in problems:
            for code, what in found:
                self.add(code, at, what)

    def walk(self, node: Any, at: _At) -> bool:
        visit = _VISITS.get(_kind(node))
        if visit is None:
            self.add("AM023", at, f"{shown(node)} is no node")
            return at.passed
        return visit(self, node, at)

    def saga(self, saga: Any, at: _At) -> bool:
        self.check(at, values.name(saga.name), values.version(saga.version), values.data(saga.data))
        if saga.deadline is not None:
            self.check(at, values.length(saga.deadline, "deadline"))
        self.check(at, values.statuses(saga.statuses))
        return self.walk(saga.body, at)

    def unique(self, name: Any, at: _At) -> None:
        path = f"{at.prefix}{_label(name, '')}"
        if path in self.names:
            self.add("AM009", at, f"the name {path!r} stands at {self.names[path]} already")
        self.names.setdefault(path, at.place)

    def named(self, name: Any, at: _At) -> None:
        self.check(at, values.name(name))
        self.unique(name, at)

    def optionally_named(self, name: Any, at: _At) -> None:
        if name is not None:
            self.named(name, at)

    def status(self, status: Any, what: str, at: _At) -> None:
        self.check(at, values.status(status, what))
        if isinstance(status, str):
            self.used.append((status, at.place))

    def step(self, node: Any, at: _At) -> bool:
        at = at.below(node.name, "step")
        self.named(node.name, at)
        self.check(
            at,
            values.participant(node.participant),
            values.function(node.do, "do", "data"),
            values.optional_function(node.undo, "undo", "data", "rollback"),
            values.optional_function(node.merge, "merge", "data", "reply"),
            values.length(node.timeout, "timeout"),
            values.policy(node.retry, "retry"),
            values.policy(node.undo_retry, "undo_retry"),
            values.kind(node.kind),
        )
        self.status(node.waiting, "waiting", at)
        self.status(node.refused, "refused", at)
        self.reply(node, at)
        self.amends(node, at)
        return self.point_of_no_return(node, at)

    def reply(self, node: Any, at: _At) -> None:
        reply = reply_type(node.do) if node.reply is None else node.reply
        if reply is not None:
            self.check(at, values.readable(reply, "the reply"))
        elif callable(node.do):
            self.add("AM013", at, f"the reply's type cannot be found: {_annotated(node.do, 'do')}")

    def amends(self, node: Any, at: _At) -> None:
        """Every do has an undo, or says why not."""
        said = [node.undo is not None, node.no_undo is not None, _commits(node)].count(True)
        if said == 0:
            self.add("AM001", at, "no undo and no reason")
        elif said > 1:
            self.add("AM002", at, "more than one of undo, no_undo and kind")
        elif node.no_undo is not None:
            self.check(at, values.reason(node.no_undo))

    def point_of_no_return(self, node: Any, at: _At) -> bool:
        if at.passed and _is_pivot(node):
            self.add("AM004", at, "a second pivot in one path")
        elif at.passed and not is_one_of(node.kind, "retriable"):
            self.add("AM003", at, "a step behind the point of no return that can be refused")
        return at.passed or _commits(node)

    def undo_only(self, node: Any, at: _At) -> bool:
        at = at.below(node.name, "on_rollback")
        self.named(node.name, at)
        self.check(
            at,
            values.participant(node.participant),
            values.function(node.undo, "undo", "data", "rollback"),
            values.policy(node.undo_retry, "undo_retry"),
            values.length(node.timeout, "timeout"),
        )
        if at.passed:
            self.add("AM021", at, "an on_rollback behind the point of no return")
        return at.passed

    def sequence(self, node: Any, at: _At) -> bool:
        inside = at.below(node.name, "sequence") if node.name is not None else at
        self.optionally_named(node.name, inside)
        if not node.nodes:
            self.add("AM015", inside, "an empty sequence")
        for child in node.nodes:
            inside = replace(inside, passed=self.walk(child, inside))
        return inside.passed

    def parallel(self, node: Any, at: _At) -> bool:
        at = at.below(node.name, "parallel")
        self.optionally_named(node.name, at)
        if not node.branches:
            self.add("AM015", at, "an empty parallel")
        elif not _can_join(node.join, len(node.branches)):
            self.add("AM016", at, f"join is {shown(node.join)} of {len(node.branches)}")
        committing = [_passes(branch) for branch in node.branches]
        if any(committing) and not _joins_all(node.join, len(node.branches)):
            self.add("AM006", at, "a pivot or retriable step in a branch that may not be needed")
        elif not _joins_all(node.join, len(node.branches)) and any(map(_leaves_data, node.branches)):
            self.add("AM027", at, "a merge in a branch that may go back by itself")
        elif not at.passed:
            self.beside(node, committing, at)
        after = [self.walk(branch, at) for branch in node.branches]
        return at.passed or any(after)

    def beside(self, node: Any, committing: list[bool], at: _At) -> None:
        for index, commits in enumerate(committing):
            others = node.branches[:index] + node.branches[index + 1 :]
            if commits and any(_refusable(other) for other in others):
                self.add("AM008", at, f"branch {index + 1} commits while another can still be refused")

    def each(self, node: Any, at: _At) -> bool:
        at = at.below(node.name, "each")
        self.optionally_named(node.name, at)
        self.check(
            at,
            values.function(node.items, "items", "data"),
            values.function(node.key, "key", "item"),
            values.optional_function(node.collect, "collect", "data", "items"),
        )
        item = item_type(node.items) if node.item is None else node.item
        if item is not None:
            self.check(at, values.readable(item, "the item"))
        elif callable(node.items):
            self.add("AM014", at, f"the items' type cannot be found: {_annotated(node.items, 'items')}")
        if any(_is_pivot(step) for step in _steps(node.body)):
            self.add("AM007", at, "a pivot inside each")
        elif not at.passed and _passes(node.body) and _refusable(node.body):
            self.add("AM008", at, "one item commits while another can still be refused")
        return self.walk(node.body, at) or at.passed

    def when(self, node: Any, at: _At) -> bool:
        at = at.below(node.name, "when")
        self.optionally_named(node.name, at)
        self.check(at, values.function(node.condition, "condition", "data"))
        taken = self.walk(node.node, at)
        return (node.otherwise is not None and self.walk(node.otherwise, at)) or taken

    def tolerate(self, node: Any, at: _At) -> bool:
        at = at.below(node.name, "tolerate")
        self.optionally_named(node.name, at)
        self.check(at, values.optional_function(node.only_when, "only_when", "data"))
        if any(_is_pivot(step) for step in _steps(node.node)):
            self.add("AM005", at, "a pivot inside tolerate")
        elif _leaves_data(node.node):
            self.add("AM027", at, "a merge beside or before something that can be refused")
        return self.walk(node.node, at)

    def wait(self, node: Any, at: _At) -> bool:
        at = at.below(node.name if node.name is not None else node.signal, "wait")
        self.check(at, values.name(node.signal))
        self.optionally_named(node.name, at)
        if node.name is None:
            self.unique(node.signal, at)
        self.check(
            at,
            values.readable(node.content, "the content"),
            values.optional_function(node.merge, "merge", "data", "content"),
            values.optional_function(node.accept, "accept", "data", "content"),
        )
        self.status(node.waiting, "waiting", at)
        self.status(node.refused, "refused", at)
        self.signal(node, at)
        if at.passed and (node.accept is not None or (node.timeout is not None and node.otherwise is None)):
            self.add("AM012", at, "a wait behind the point of no return that can be refused")
        return at.passed if node.otherwise is None else self.walk(node.otherwise, at)

    def signal(self, node: Any, at: _At) -> None:
        if node.timeout is None:
            self.add("AM011", at, f"waits for {shown(node.signal)} without a timeout")
        else:
            self.check(at, values.length(node.timeout, "timeout"))
        signal = _label(node.signal, "")
        if not _same_type(self.signals.setdefault(signal, node.content), node.content):
            self.add("AM018", at, f"the signal {signal!r} has another content elsewhere")

    def pause(self, node: Any, at: _At) -> bool:
        at = at.below(node.name, "pause")
        self.optionally_named(node.name, at)
        if callable(node.length):
            self.check(at, values.function(node.length, "length", "data"))
        else:
            self.check(at, values.length(node.length, "length"))
        self.status(node.waiting, "waiting", at)
        return at.passed

    def subsaga(self, node: Any, at: _At) -> bool:
        if not _is(node.saga, n.Saga):
            self.add("AM023", at.below(node.name, "subsaga"), f"{shown(node.saga)} is no Saga")
            return at.passed
        name = node.saga.name if node.name is None else node.name
        at = at.below(name, "subsaga")
        self.unique(name, at)
        self.check(
            at,
            values.function(node.data, "data", "data"),
            values.optional_function(node.merge, "merge", "data", "child"),
        )
        if node.name is not None:
            self.check(at, values.name(node.name))
        if node.saga.deadline is not None:
            self.add("AM020", at, "the sub-saga's deadline")
        return self.saga(node.saga, replace(at, prefix=f"{at.prefix}{_label(name, '')}/"))

    def known_statuses(self, saga: Any, place: str) -> None:
        """Check the names against the saga's own table of transitions, where it has one."""
        own = saga.statuses
        if not _is(own, n.Statuses) or not values.is_table(own.transitions):
            return
        table = own.transitions
        named = (own.started, own.completed, own.compensating, own.compensated, own.cancelled)
        used = [*self.used, *((status, place) for status in named if isinstance(status, str))]
        rows = [table.keys(), *(after for after in table.values() if values.is_row(after))]
        known = {status for row in rows for status in row if isinstance(status, str)}
        for status, where in used:
            if status not in known:
                self.add("AM019", _At(where), f"the business status {status!r}")


_VISITS: dict[type[Any], Callable[[_Linter, Any, _At], bool]] = {
    n.Step: _Linter.step,
    n.OnRollback: _Linter.undo_only,
    n.SequenceNode: _Linter.sequence,
    n.ParallelNode: _Linter.parallel,
    n.EachNode: _Linter.each,
    n.WhenNode: _Linter.when,
    n.TolerateNode: _Linter.tolerate,
    n.WaitNode: _Linter.wait,
    n.PauseNode: _Linter.pause,
    n.SubsagaNode: _Linter.subsaga,
}

_CHILDREN: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    n.SequenceNode: lambda node: node.nodes,
    n.ParallelNode: lambda node: node.branches,
    n.EachNode: lambda node: (node.body,),
    n.WhenNode: lambda node: (node.node, node.otherwise),
    n.TolerateNode: lambda node: (node.node,),
    n.WaitNode: lambda node: (node.otherwise,),
    n.SubsagaNode: lambda node: (getattr(node.saga, "body", None),),
}


def _is(value: Any, of: type[Any]) -> bool:
    return isinstance(value, of)


def _kind(node: object) -> type[Any]:
    return type(node)


def _same_type(one: Any, other: Any) -> bool:
    """Whether both are one type; generic aliases are equal without being the same."""
    return one is other or (hasattr(one, "__origin__") and hasattr(other, "__origin__") and one == other)


def _label(name: Any, otherwise: str) -> str:
    """Return how a node is called in places, also when its name is none."""
    if isinstance(name, str) and values.NAME.fullmatch(name):
        return name
    return otherwise if name is None else shown(name)


def _annotated(function: Any, what: str) -> str:
    annotation = written(function)
    if annotation is None:
        return f"{what} has no annotation"
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", shown(annotation))
    return f"the annotation of {what} is {text!r}, which does not say it, or names what cannot be seen from there"


def _can_join(join: Any, branches: int) -> bool:
    return is_one_of(join, "all", "any") or (is_int(join) and 1 <= join <= branches)


def _joins_all(join: Any, branches: int) -> bool:
    return is_one_of(join, "all") or (is_int(join) and join == branches)


def _children(node: Any) -> tuple[Any, ...]:
    below = _CHILDREN.get(_kind(node))
    return () if below is None else below(node)


def _too_big(body: Any) -> str:
    """Say what is too much, looking at no more than what is allowed; everything after it may recurse."""
    nodes, waiting = 0, [(body, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes += node is not None
        if depth > MOST_DEPTH:
            return f"more than {MOST_DEPTH} levels"
        if nodes > MOST_NODES:
            return f"more than {MOST_NODES} nodes"
        waiting.extend((child, depth + 1) for child in _children(node))
    return ""


def _steps(node: Any) -> Iterator[Any]:
    """Yield the steps at and below `node`."""
    if _is(node, n.Step):
        yield node
    for child in _children(node):
        yield from _steps(child)


def _passes(node: Any) -> bool:
    """Whether a pivot or retriable step is below `node`."""
    return any(_commits(step) for step in _steps(node))


def _commits(step: Any) -> bool:
    """Whether `step` is, or follows, a point of no return."""
    return not is_one_of(step.kind, "compensatable")


def _is_pivot(step: Any) -> bool:
    return is_one_of(step.kind, "pivot")


def _atoms(node: Any) -> Iterator[Any]:
    """Yield what works on the same data as `node`: an `each` or a sub-saga counts as one, for its body has its own."""
    if _is(node, n.Step) or _is(node, n.WaitNode) or _is(node, n.EachNode) or _is(node, n.SubsagaNode):
        yield node
    if not (_is(node, n.EachNode) or _is(node, n.SubsagaNode)):
        for child in _children(node):
            yield from _atoms(child)


def _leaves_data(part: Any) -> bool:
    """Whether a merge may be done already when something else in `part` is refused and the part goes back."""
    atoms = list(_atoms(part))
    merging = [atom for atom in atoms if _merges(atom)]
    return any(_refusable(atom) and atom is not merge for merge in merging for atom in atoms)


def _merges(atom: Any) -> bool:
    return (atom.collect if _is(atom, n.EachNode) else atom.merge) is not None


def _refusable(node: Any) -> bool:
    """Whether `node` can turn the saga round."""
    below = any(_refusable(child) for child in _children(node))
    if _is(node, n.Step):
        return not is_one_of(node.kind, "retriable")
    if _is(node, n.TolerateNode):
        return node.only_when is not None and below
    if _is(node, n.WaitNode):
        return node.accept is not None or (node.timeout is not None and node.otherwise is None) or below
    return below
