"""The tree of a saga: its nodes as frozen values, and the functions that make them.

Rules
- A node over data ``D`` is a `Node[D]`; the type checker joins only nodes over the same data.
- Functions in nodes are ordinary and typed; nothing here calls them. They must be pure: each may be called more than
  once for one decision, when it raises, when another process was quicker, or after a crash.
- `Node` is sealed: the classes of this module are all there are.
It does not: check the rules of a whole definition (`lint`), or run anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Literal, TypeAlias, TypeVar, final, overload

from amends.definition.command import Command, Rollback
from amends.definition.policy import FORWARD, STEP_TIMEOUT, UNDO, RetryPolicy

D = TypeVar("D")
"""The data of a saga, or of the part of it that a node works on."""
Item = TypeVar("Item")
"""An item of an `each`; the data of a sub-saga."""
R = TypeVar("R")
"""A participant's reply, or a signal's content."""

Kind: TypeAlias = Literal["compensatable", "pivot", "retriable"]
Join: TypeAlias = Literal["all", "any"] | int


@dataclass(frozen=True, slots=True)
class Participant:
    """A service that executes commands, by name; configuration binds the name to a place."""

    name: str


class Node(Generic[D]):
    """A node over data ``D``: a step or a composition of steps. Sealed."""

    __slots__ = ()


@final
@dataclass(frozen=True, slots=True, init=False)
class Step(Node[D], Generic[D, R]):
    """An action at one participant, together with what undoes it.

    Exactly one of `undo`, `no_undo`, ``kind="pivot"`` and ``kind="retriable"`` is given.

    - `do(data)` returns the command; its annotation ``-> Command[Paid]`` says how the reply is read (or give `reply`).
    - `undo(data, rollback)` returns the command that takes it back; ``rollback.reply`` is None when nobody knows
      whether the do happened.
    - `merge(data, reply)` returns the data that later steps see.
    - `retry` and `undo_retry` govern attempts, `timeout` how long the answer to one attempt is waited for.
    - `waiting` and `refused` name the saga's business status while the step is waited for, and when its failure turns
      the saga round.

    `do`, `undo` and `merge` must be pure, as all functions of a definition: each may be called more than once for one
    decision, after a crash for example.
    """

    name: str
    participant: Participant
    do: Callable[[D], Command[R]]
    undo: Callable[[D, Rollback[R]], Command[Any]] | None
    no_undo: str | None
    kind: Kind
    merge: Callable[[D, R], D] | None
    retry: RetryPolicy
    undo_retry: RetryPolicy
    timeout: timedelta
    reply: type[R] | None
    waiting: str | None
    refused: str | None

    @overload
    def __init__(
        self,
        name: str,
        participant: Participant,
        *,
        do: Callable[[D], Command[R]],
        undo: Callable[[D, Rollback[R]], Command[Any]],
        merge: Callable[[D, R], D] | None = None,
        retry: RetryPolicy = FORWARD,
        undo_retry: RetryPolicy = UNDO,
        timeout: timedelta = STEP_TIMEOUT,
        reply: type[R] | None = None,
        waiting: str | None = None,
        refused: str | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        participant: Participant,
        *,
        do: Callable[[D], Command[R]],
        no_undo: str,
        merge: Callable[[D, R], D] | None = None,
        retry: RetryPolicy = FORWARD,
        timeout: timedelta = STEP_TIMEOUT,
        reply: type[R] | None = None,
        waiting: str | None = None,
        refused: str | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        participant: Participant,
        *,
        do: Callable[[D], Command[R]],
        kind: Literal["pivot", "retriable"],
        merge: Callable[[D, R], D] | None = None,
        retry: RetryPolicy = UNDO,
        timeout: timedelta = STEP_TIMEOUT,
        reply: type[R] | None = None,
        waiting: str | None = None,
        refused: str | None = None,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        participant: Participant,
        *,
        do: Callable[[D], Command[R]],
        undo: Callable[[D, Rollback[R]], Command[Any]] | None = None,
        no_undo: str | None = None,
        kind: Kind = "compensatable",
        merge: Callable[[D, R], D] | None = None,
        retry: RetryPolicy | None = None,
        undo_retry: RetryPolicy = UNDO,
        timeout: timedelta = STEP_TIMEOUT,
        reply: type[R] | None = None,
        waiting: str | None = None,
        refused: str | None = None,
    ) -> None:
        """Fill the fields; the overloads above are the contract, `lint` repeats it for code without a type checker."""
        put = object.__setattr__
        put(self, "name", name)
        put(self, "participant", participant)
        put(self, "do", do)
        put(self, "undo", undo)
        put(self, "no_undo", no_undo)
        put(self, "kind", kind)
        put(self, "merge", merge)
        put(self, "retry", (FORWARD if kind == "compensatable" else UNDO) if retry is None else retry)
        put(self, "undo_retry", undo_retry)
        put(self, "timeout", timeout)
        put(self, "reply", reply)
        put(self, "waiting", waiting)
        put(self, "refused", refused)


@final
@dataclass(frozen=True, slots=True)
class OnRollback(Node[D]):
    """Undo only: it counts as done from the start, so a rollback always undoes it. Made by `on_rollback`."""

    name: str
    participant: Participant
    undo: Callable[[D, Rollback[None]], Command[Any]]
    undo_retry: RetryPolicy = UNDO
    timeout: timedelta = STEP_TIMEOUT


@final
@dataclass(frozen=True, slots=True)
class SequenceNode(Node[D]):
    """One after the other. Made by `sequence`."""

    nodes: tuple[Node[D], ...]
    name: str | None = None


@final
@dataclass(frozen=True, slots=True)
class ParallelNode(Node[D]):
    """All at the same time; goes on when `join` of them are done. Made by `parallel`."""

    branches: tuple[Node[D], ...]
    join: Join = "all"
    name: str | None = None


@final
@dataclass(frozen=True, slots=True)
class EachNode(Node[D], Generic[D, Item]):
    """The same body for every item, at the same time, joining all. Made by `each`."""

    items: Callable[[D], Sequence[Item]]
    body: Node[Item]
    key: Callable[[Item], str]
    collect: Callable[[D, Sequence[Item]], D] | None = None
    item: type[Item] | None = None
    name: str | None = None


@final
@dataclass(frozen=True, slots=True)
class WhenNode(Node[D]):
    """A choice, made once when it is reached. Made by `when`."""

    condition: Callable[[D], bool]
    node: Node[D]
    otherwise: Node[D] | None = None
    name: str | None = None


@final
@dataclass(frozen=True, slots=True)
class TolerateNode(Node[D]):
    """Its failure does not turn the saga round; what it did is undone beside. Made by `tolerate`."""

    node: Node[D]
    only_when: Callable[[D], bool] | None = None
    name: str | None = None


@final
@dataclass(frozen=True, slots=True)
class WaitNode(Node[D], Generic[D, R]):
    """Waits for a signal. Made by `wait_for`."""

    signal: str
    content: type[R]
    timeout: timedelta | None
    merge: Callable[[D, R], D] | None = None
    accept: Callable[[D, R], bool] | None = None
    otherwise: Node[D] | None = None
    waiting: str | None = None
    refused: str | None = None
    name: str | None = None


@final
@dataclass(frozen=True, slots=True)
class PauseNode(Node[D]):
    """A durable timer. Made by `pause_for`."""

    length: timedelta | Callable[[D], timedelta]
    waiting: str | None = None
    name: str | None = None


@final
@dataclass(frozen=True, slots=True)
class SubsagaNode(Node[D], Generic[D, Item]):
    """Another saga, run in this one's stream on its own data. Made by `subsaga`."""

    saga: "Saga[Item]"
    data: Callable[[D], Item]
    merge: Callable[[D, Item], D] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statuses:
    """The saga's own business statuses, shown beside the engine's.

    Steps add theirs with `waiting` and `refused`. `cancelled` stands for a cancel or the deadline. `transitions`, when
    given, lists for each status what may follow it; any other transition is refused by the core and recorded.
    """

    started: str | None = None
    completed: str | None = None
    compensating: str | None = None
    compensated: str | None = None
    cancelled: str | None = None
    transitions: Mapping[str, tuple[str, ...]] | None = field(default=None, hash=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Saga(Generic[D]):
    """A saga definition: name, version, the type of its data, and its body.

    `deadline` counts from the start: before the point of no return it turns the saga round, behind it it only warns.
    """

    name: str = field(kw_only=False)
    version: int
    data: type[D]
    body: Node[D]
    deadline: timedelta | None = None
    statuses: Statuses = Statuses()


def sequence(*nodes: Node[D], name: str | None = None) -> Node[D]:
    """Run `nodes` one after the other; a rollback undoes them in reverse."""
    return SequenceNode(nodes, name)


def parallel(*branches: Node[D], join: Join = "all", name: str | None = None) -> Node[D]:
    """Run `branches` at the same time and go on when all, any, or that many of them are done.

    With fewer than all, the branches that were not needed settle and are undone beside.
    """
    return ParallelNode(branches, join, name)


def each(
    items: Callable[[D], Sequence[Item]],
    body: Node[Item],
    *,
    key: Callable[[Item], str],
    collect: Callable[[D, Sequence[Item]], D] | None = None,
    item: type[Item] | None = None,
    name: str | None = None,
) -> Node[D]:
    """Run `body` for every item of ``items(data)`` at the same time and wait for all.

    `key(item)` names the item in step paths and must differ between items. The body works on the item;
    `collect(data, items)` brings what its merges changed back into the data. `item` is the items' type where
    the annotation of `items` does not say it.
    """
    return EachNode(items, body, key, collect, item, name)


def when(
    condition: Callable[[D], bool],
    node: Node[D],
    otherwise: Node[D] | None = None,
    *,
    name: str | None = None,
) -> Node[D]:
    """Run `node` if ``condition(data)`` holds when it is reached, else `otherwise`."""
    return WhenNode(condition, node, otherwise, name)


def tolerate(
    node: Node[D], *, only_when: Callable[[D], bool] | None = None, name: str | None = None
) -> Node[D]:
    """Go on at once when `node` fails (if ``only_when(data)``); what it may have done is undone beside."""
    return TolerateNode(node, only_when, name)


def on_rollback(
    name: str,
    participant: Participant,
    *,
    undo: Callable[[D, Rollback[None]], Command[Any]],
    undo_retry: RetryPolicy = UNDO,
    timeout: timedelta = STEP_TIMEOUT,
) -> Node[D]:
    """Undo only: what it takes back existed before the saga."""
    return OnRollback(name, participant, undo, undo_retry, timeout)


def wait_for(
    signal: str,
    content: type[R],
    *,
    timeout: timedelta | None,
    merge: Callable[[D, R], D] | None = None,
    accept: Callable[[D, R], bool] | None = None,
    otherwise: Node[D] | None = None,
    waiting: str | None = None,
    refused: str | None = None,
    name: str | None = None,
) -> Node[D]:
    """Wait for a signal: an approval, an event.

    A signal that `accept` does not hold for counts as a refusal. When `timeout` passes, `otherwise` runs in its place;
    without one the wait is refused. ``timeout=None`` waits for ever and has to be written down.
    """
    return WaitNode(signal, content, timeout, merge, accept, otherwise, waiting, refused, name)


def pause_for(
    length: timedelta | Callable[[D], timedelta], *, waiting: str | None = None, name: str | None = None
) -> Node[D]:
    """Wait for a time; the timer is durable."""
    return PauseNode(length, waiting, name)


def subsaga(
    saga: Saga[Item],
    *,
    data: Callable[[D], Item],
    merge: Callable[[D, Item], D] | None = None,
    name: str | None = None,
) -> Node[D]:
    """Run `saga` as a subtree in this saga's stream, on ``data(parent)``.

    `merge(parent, child)` brings what its data became back into the parent's.
    """
    return SubsagaNode(saga, data, merge, name)
