"""A definition made ready to run: every node with its path, its scope and its decoders.

Rules: compiled once per definition; immutable; a definition with an error finding is refused here, before it runs.
A *path* is static here; inside an `each` the running instance appends the items' keys (``reserve-stock`` +
``[sku-1]``). A *scope* is the path whose data a node works on.
It does not: hold anything of an instance.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

from amends.core.codec import Codec, JsonCodec, bare, ignore
from amends.core.effect import id_ending
from amends.definition import nodes as n
from amends.definition.annotations import item_type, reply_type
from amends.definition.lint import DefinitionError, lint
from amends.definition.policy import FORWARD, STEP_TIMEOUT, UNDO, RetryPolicy
from amends.definition.shape import fingerprint, shape

Decoder: TypeAlias = Callable[[bytes], Any]
Encoder: TypeAlias = Callable[[object], bytes]
KEY_SAFE = "!$&'()*+,-.:;=@_~ "
"""What may stand in a key as it is; the rest, brackets and slashes above all, is percent-encoded."""


class Defaults(NamedTuple):
    """What holds for a step that does not say.

    A step that says what the library's own default is counts as one that does not, as in its shape; so neither the
    shape nor the fingerprint knows of these.
    """

    timeout: timedelta = STEP_TIMEOUT
    retry: RetryPolicy = FORWARD
    """Of a compensatable step's do."""
    undo_retry: RetryPolicy = UNDO
    """Of an undo, a pivot and a retriable step."""

    def of_step(self, step: "n.Step[Any, Any]") -> "n.Step[Any, Any]":
        """Return `step` as it runs."""
        usual, ours = (FORWARD, self.retry) if step.kind == "compensatable" else (UNDO, self.undo_retry)
        made = copy.copy(step)
        # Frozen for users; this is another step than theirs, and not shown to anybody yet.
        object.__setattr__(made, "timeout", self.timeout if step.timeout == STEP_TIMEOUT else step.timeout)
        object.__setattr__(made, "retry", ours if step.retry == usual else step.retry)
        object.__setattr__(
            made, "undo_retry", self.undo_retry if step.undo_retry == UNDO else step.undo_retry
        )
        return made

    def of_undo(self, node: "n.OnRollback[Any]") -> "n.OnRollback[Any]":
        """Return `node` as it runs."""
        return replace(
            node,
            timeout=self.timeout if node.timeout == STEP_TIMEOUT else node.timeout,
            undo_retry=self.undo_retry if node.undo_retry == UNDO else node.undo_retry,
        )


LIBRARY = Defaults()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlace:
    path: str
    scope: str
    step: "n.Step[Any, Any]"
    reply: Decoder
    compensatable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoPlace:
    path: str
    scope: str
    node: "n.OnRollback[Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencePlace:
    path: str
    children: "tuple[Place, ...]"
    backwards: "tuple[Place, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelPlace:
    path: str
    children: "tuple[Place, ...]"
    need: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EachPlace:
    path: str
    scope: str
    node: "n.EachNode[Any, Any]"
    body: "Place"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhenPlace:
    path: str
    scope: str
    node: "n.WhenNode[Any]"
    child: "Place"
    otherwise: "Place | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToleratePlace:
    path: str
    scope: str
    node: "n.TolerateNode[Any]"
    child: "Place"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPlace:
    path: str
    scope: str
    node: "n.WaitNode[Any, Any]"
    content: Decoder
    otherwise: "Place | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class PausePlace:
    path: str
    scope: str
    node: "n.PauseNode[Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsagaPlace:
    path: str
    scope: str
    node: "n.SubsagaNode[Any, Any]"
    child: "Place"


Place: TypeAlias = (
    StepPlace
    | UndoPlace
    | SequencePlace
    | ParallelPlace
    | EachPlace
    | WhenPlace
    | ToleratePlace
    | WaitPlace
    | PausePlace
    | SubsagaPlace
)


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg of the straight way: what the success of a step leads to when all goes well."""

    step: StepPlace | None
    """None: the start."""
    then: StepPlace | None
    """None: the end of the saga."""
    read: Decoder
    """Of the reply, or of the data at the start: bare, as `Plan.read` is."""
    is_kept: bool
    """Whether what is read is stored, and not ``null`` (`codec.kept`)."""
    id_ending: str
    """Of the command of `then` (`effect.id_ending`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A saga ready to run."""

    saga: "n.Saga[Any]"
    codec: Codec
    root: Place
    places: dict[str, Place]
    decoders: dict[str, Decoder]
    """By static scope."""
    legs: dict[str, Leg]
    """By the path of the step that they follow, the empty one for the start; none where something else comes in."""
    encode: Encoder
    """For the legs: bare, it raises whatever it raises (`codec.bare`)."""
    read: Decoder
    """Of the saga's data, for the legs, and bare as well."""
    signals: dict[str, Decoder]
    pivots: tuple[str, ...]
    participants: frozenset[str]
    shape: bytes
    fingerprint: str

    def locate(self, path: str) -> tuple[Place, str]:
        """Return the place that `path` names and the keys in it (``[sku-1]``); the empty path is the root.

        Raises:
            KeyError: there is no such place.
        """
        found = self.places.get(path)
        if found is not None:
            return found, ""
        static, bracket, rest = path.partition("[")
        return (self.places[static] if static else self.root), bracket + rest


@dataclass(slots=True)
class _Compiler:
    codec: Codec
    defaults: Defaults = LIBRARY
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    decoders: dict[str, Decoder] = field(default_factory=dict[str, Decoder])
    signals: dict[str, Decoder] = field(default_factory=dict[str, Decoder])
    pivots: list[str] = field(default_factory=list[str])
    participants: set[str] = field(default_factory=set[str])
    counter: int = 0

    def place(self, node: "n.Node[Any]", prefix: str, scope: str) -> Place:
        """Compile `node` and what is below it."""
        made = _MAKE[type(node)](self, node, prefix, scope)
        self.places[made.path] = made
        return made

    def _name(self, kind: str, name: str | None, prefix: str) -> str:
        self.counter += 1
        return prefix + (name or f"{kind}#{self.counter}")

    def undo_only(self, node: "n.OnRollback[Any]", prefix: str, scope: str) -> Place:
        self.participants.add(node.participant.name)
        return UndoPlace(path=prefix + node.name, scope=scope, node=self.defaults.of_undo(node))

    def sequence(self, node: "n.SequenceNode[Any]", prefix: str, scope: str) -> Place:
        path = self._name("sequence", node.name, prefix)
        children = tuple(self.place(child, prefix, scope) for child in node.nodes)
        return SequencePlace(path=path, children=children, backwards=children[::-1])

    def parallel(self, node: "n.ParallelNode[Any]", prefix: str, scope: str) -> Place:
        path = self._name("parallel", node.name, prefix)
        need = {"all": len(node.branches), "any": 1}.get(str(node.join)) or int(node.join)
        alone = need < len(node.branches)
        children = tuple(
            self.place(_own_place(child) if alone else child, prefix, scope) for child in node.branches
        )
        return ParallelPlace(path=path, children=children, need=need)

    def when(self, node: "n.WhenNode[Any]", prefix: str, scope: str) -> Place:
        path = self._name("when", node.name, prefix)
        child = self.place(node.node, prefix, scope)
        otherwise = self.place(node.otherwise, prefix, scope) if node.otherwise else None
        return WhenPlace(path=path, scope=scope, node=node, child=child, otherwise=otherwise)

    def tolerate(self, node: "n.TolerateNode[Any]", prefix: str, scope: str) -> Place:
        path = self._name("tolerate", node.name, prefix)
        return ToleratePlace(path=path, scope=scope, node=node, child=self.place(node.node, prefix, scope))

    def pause(self, node: "n.PauseNode[Any]", prefix: str, scope: str) -> Place:
        return PausePlace(path=self._name("pause", node.name, prefix), scope=scope, node=node)

    def subsaga(self, node: "n.SubsagaNode[Any, Any]", prefix: str, scope: str) -> Place:
        path = prefix + (node.name or node.saga.name)
        self.decoders[path] = self.codec.decoder(node.saga.data)
        child = self.place(node.saga.body, path + "/", path)
        return SubsagaPlace(path=path, scope=scope, node=node, child=child)

    def step(self, node: "n.Step[Any, Any]", prefix: str, scope: str) -> StepPlace:
        path = prefix + node.name
        self.participants.add(node.participant.name)
        if node.kind == "pivot":
            self.pivots.append(path)
        reply = self.codec.decoder(_replied(node))
        return StepPlace(
            path=path,
            scope=scope,
            step=self.defaults.of_step(node),
            reply=reply,
            compensatable=node.kind == "compensatable",
        )

    def each(self, node: "n.EachNode[Any, Any]", prefix: str, scope: str) -> EachPlace:
        path = self._name("each", node.name, prefix)
        self.decoders[path] = self.codec.decoder(node.item or item_type(node.items))
        return EachPlace(path=path, scope=scope, node=node, body=self.place(node.body, prefix, path))

    def wait(self, node: "n.WaitNode[Any, Any]", prefix: str, scope: str) -> WaitPlace:
        path = self._name("wait", node.name or node.signal, prefix)
        content = self.signals.setdefault(node.signal, self.codec.decoder(node.content))
        otherwise = self.place(node.otherwise, prefix, scope) if node.otherwise else None
        return WaitPlace(path=path, scope=scope, node=node, content=content, otherwise=otherwise)


_MAKE: dict[type, Callable[[_Compiler, Any, str, str], Place]] = {
    n.Step: _Compiler.step,
    n.OnRollback: _Compiler.undo_only,
    n.SequenceNode: _Compiler.sequence,
    n.ParallelNode: _Compiler.parallel,
    n.EachNode: _Compiler.each,
    n.WhenNode: _Compiler.when,
    n.TolerateNode: _Compiler.tolerate,
    n.WaitNode: _Compiler.wait,
    n.PauseNode: _Compiler.pause,
    n.SubsagaNode: _Compiler.subsaga,
}


def _own_place(node: "n.Node[Any]") -> "n.Node[Any]":
    """Give a tolerated branch a place of its own, for the branch and the tolerated part turn round apart."""
    return n.SequenceNode((node,)) if isinstance(node, n.TolerateNode) else node


def compile_saga(saga: "n.Saga[Any]", codec: Codec | None = None, *, defaults: Defaults = LIBRARY) -> Plan:
    """Make `saga` ready to run, with `defaults` where a step does not say.

    Raises:
        DefinitionError: the linter found errors; the text lists each with its place and mend.
    """
    errors = [finding for finding in lint(saga) if finding.severity == "error"]
    if errors:
        raise DefinitionError(saga.name, tuple(errors))
    compiler = _Compiler(codec=codec or JsonCodec(), defaults=defaults)
    compiler.decoders[""] = compiler.codec.decoder(saga.data)
    root = compiler.place(saga.body, "", "")
    straight = bare(compiler.codec)
    read = straight.decoder(saga.data)
    return Plan(
        saga=saga,
        codec=compiler.codec,
        root=root,
        places=compiler.places,
        decoders=compiler.decoders,
        legs=_legs(root, straight, read),
        encode=straight.encode,
        read=read,
        signals=compiler.signals,
        pivots=tuple(compiler.pivots),
        participants=frozenset(compiler.participants),
        shape=shape(saga),
        fingerprint=fingerprint(saga),
    )


def _replied(step: "n.Step[Any, Any]") -> Any:
    return step.reply or reply_type(step.do)


def _legs(root: Place, codec: Codec, data: Decoder) -> dict[str, Leg]:
    way = list(_in_line(root))
    reads = [codec.decoder(_replied(place.step)) if isinstance(place, StepPlace) else ignore for place in way]
    return {
        "" if step is None else step.path: Leg(
            step,
            then,
            read,
            is_kept=read is not ignore,
            id_ending="" if then is None else id_ending(then.path, "do", 1),
        )
        for step, then, read in zip((None, *way), (*way, None), (data, *reads), strict=True)
        if isinstance(step, StepPlace | None) and isinstance(then, StepPlace | None)
    }


def _in_line(place: Place) -> Iterator[Place]:
    """Yield what begins one after the other, in that order."""
    if isinstance(place, SequencePlace):
        for child in place.children:
            yield from _in_line(child)
    elif not isinstance(place, UndoPlace):
        yield place


def key_of(text: str) -> str:
    """Return `text` as it stands in paths: brackets, slashes, controls and what is not ASCII percent-encoded."""
    return quote(text, safe=KEY_SAFE)
