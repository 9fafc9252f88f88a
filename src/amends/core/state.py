"""The state of one instance: stored facts, folded. Everything else is derived from it.

Rules: only `evolve` changes a state, and only a fork of its own; a state that was handed out never changes.
User data are kept as the JSON that was stored, and decoded anew for each function of the definition that needs them:
a function that changes what it was handed changes nothing here, and after a crash it is handed the same.
It does not: hold anything that the event stream cannot give back.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from amends.core.effect import Direction, SendCommand, TraceContext, command_id
from amends.core.transitions import IN_FLIGHT, Phase, Status
from amends.definition.command import Cause


class StepState(msgspec.Struct, frozen=True, gc=False):
    """One step as it stands."""

    phase: Phase = "idle"
    attempt: int = 0
    """Of the command that is, or was last, outstanding."""
    participant: str = ""
    name: str = ""
    payload: bytes = b""
    """Of the outstanding command; empty when none is."""
    due: datetime | None = None
    budget_from: int = 0
    """Attempts up to this one no longer count: a person asked for more."""
    round: int = 0
    """Of the undo; 0 before the first."""
    answered: Literal["", "succeeded", "refused", "unconfirmed"] = ""
    """The first definite answer to the do."""
    reply: bytes | None = None
    """JSON document; None where there is none that can be read."""
    code: str = ""
    reason: str = ""
    """The last refusal, fault or person's word."""
    merged: bool = False
    late: bool = False
    """The do's success came while the undo was under way: undo once more."""
    back: Phase = "idle"
    """Where a retry of the stuck step begins."""


class Choice(msgspec.Struct, frozen=True, gc=False):
    taken: bool


class FanOut(msgspec.Struct, frozen=True, gc=False):
    keys: tuple[str, ...]


class Wait(msgspec.Struct, frozen=True, gc=False):
    signal: str
    how: Literal["waiting", "signal", "timeout", "rollback"] = "waiting"
    content: bytes | None = None
    """Of the signal that ended it, until it is merged into the data."""


class TimerState(msgspec.Struct, frozen=True, gc=False):
    running: bool


class Begun(msgspec.Struct, frozen=True, gc=False):
    """A sub-saga that has started."""

    saga: str
    version: int


NodeState: TypeAlias = StepState | Choice | FanOut | Wait | TimerState | Begun


class State(msgspec.Struct, kw_only=True, gc=False):
    """An instance as it stands after `position` events."""

    namespace: str
    saga_id: str
    saga: str = ""
    version: int = 0
    fingerprint: str = ""
    started_with: bytes = b""
    """The data it was started with: a second start with the same changes nothing."""
    trace: TraceContext | None = None
    """What the caller was doing when it was started, if that is known."""
    position: int = 0
    nodes: dict[str, NodeState] = {}
    data: dict[str, bytes] = {}
    """JSON documents by scope: the saga's own is at the empty path, an item's or a sub-saga's at its path."""
    turned: dict[str, Cause] = {}
    failed: dict[str, Cause] = {}
    stuck: dict[str, Direction] = {}
    completed: frozenset[str] = frozenset()
    """Paths of compositions that are done by an event of their own."""
    signals: dict[str, tuple[bytes, ...]] = {}
    """Contents by name: those that arrived and are not used yet."""
    signal_ids: frozenset[str] = frozenset()
    timers: dict[str, datetime] = {}
    """By path; the empty path is the saga's deadline."""
    paused: bool = False
    cancel: tuple[str, str] | None = None
    """A cancel (by, reason) that waits for a pivot in flight."""
    no_return: str = ""
    """The step that passed the point of no return."""
    business: str = ""
    unconfirmed: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    final: Literal["", "completed", "compensated", "abandoned"] = ""
    reopened: Literal["", "completed", "compensated"] = ""
    """The end that had been reached before a late success opened the instance again."""

    @property
    def status(self) -> Status:
        """The engine's status."""
        if self.final:
            return self.final
        if self.stuck:
            return "stuck"
        return "compensating" if "" in self.turned else "running"

    @property
    def wake_at(self) -> datetime | None:
        """When a timer is due next; None while paused or after the end."""
        timers = self.timers
        if self.paused or self.final or not timers:
            return None
        if len(timers) == 1:
            (due,) = timers.values()
            return due
        return min(timers.values())

    def fork(self, events: int = 0) -> "State":
        """Return a copy that may be changed and stands `events` further on: `nodes` and `timers`, which change with
        every event, are copied; the other containers are never changed but replaced.
        """
        return replace(
            self, nodes=self.nodes.copy(), timers=self.timers.copy(), position=self.position + events
        )

    def steps(self) -> "Iterator[tuple[str, StepState]]":
        """Yield the steps that have begun, in the order in which they did."""
        for path, node in self.nodes.items():
            if isinstance(node, StepState):
                yield path, node

    def outstanding(self) -> "list[SendCommand]":
        """Return the commands that are issued and not answered: what recovery sends again."""
        if self.paused or self.final == "abandoned":
            return []
        return [self.command(path, step) for path, step in self.steps() if step.phase in IN_FLIGHT]

    @property
    def is_outstanding(self) -> bool:
        """Tell whether any command is `outstanding`."""
        if self.paused or self.final == "abandoned":
            return False
        # What began last is most likely on its way: a generator would cost more than it walks over.
        for node in reversed(self.nodes.values()):  # noqa: SIM110
            if type(node) is StepState and node.phase in IN_FLIGHT:
                return True
        return False

    def command(self, path: str, step: StepState) -> SendCommand:
        """Return the outstanding command of `step` as an effect."""
        if step.phase == "doing":
            direction: Direction = "do"
            round_ = 1
        else:
            direction, round_ = "undo", step.round
        return SendCommand(
            self.namespace,
            self.saga_id,
            self.saga,
            path,
            direction,
            round_,
            step.attempt,
            command_id(self.namespace, self.saga_id, path, direction, round_),
            step.participant,
            step.name,
            step.payload,
            step.due,
        )


_UNBEGUN: Final = State(namespace="", saga_id="")


def initial(namespace: str, saga_id: str) -> State:
    """Return the state before the first event."""
    return replace(_UNBEGUN, namespace=namespace, saga_id=saga_id)
