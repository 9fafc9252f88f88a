"""The events: past-tense facts of one instance, and nothing else is ever stored.

Rules
- Together they are the versioned contract with everything that reads the stream (`SCHEMA`, `core/upcast.py`).
- What a user's function returned stands in them as JSON, so folding them calls no user code.
- A path names a place in the tree: a step's name with its keys (``reserve-stock[sku-1]``), or kind and number of a
  composition (``each#2``); the empty path is the whole saga.
- Fields at their default are left out of the stored form.
They do not: repeat what the row around them says (saga id, position, time).
"""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from amends.core.effect import Direction, TraceContext
from amends.core.outcome import Fault
from amends.definition.command import Cause

SCHEMA = 1
"""The version of this contract; `core/upcast.py` lifts older rows."""

Verdict: TypeAlias = Literal["succeeded", "refused", "unconfirmed"]
Function: TypeAlias = Literal[
    "do", "undo", "merge", "condition", "only_when", "items", "key", "collect", "accept", "length", "data"
]
Raw = msgspec.Raw
EMPTY = Raw(b"null")
UNREADABLE = "unreadable"
"""The `code` of a success whose reply does not fit: it happened, and that is all we know."""


class Event(msgspec.Struct, frozen=True, tag=True, tag_field="type", omit_defaults=True, gc=False):
    """What all events share: how they are stored. Sealed; the union `AnyEvent` lists them."""


class SagaStarted(Event, frozen=True):
    saga: str
    version: int
    fingerprint: str
    """Of the definition; the store keeps the shape that it stands for, once for all instances."""
    data: Raw
    deadline: datetime | None = None
    trace: TraceContext | None = None
    """What the caller was doing; absent unless traces are on and the caller had one."""


class CommandIssued(Event, frozen=True):
    step: str
    participant: str
    name: str
    payload: Raw
    due: datetime | None
    direction: Direction = "do"
    round: int = 1


class AttemptStarted(Event, frozen=True):
    """The outstanding command is sent again: the next attempt, or the same one with its full time after nobody listened
    for a while (a pause, a restart).
    """

    step: str
    attempt: int
    due: datetime | None
    direction: Direction = "do"
    round: int = 1


class AttemptFailed(Event, frozen=True):
    """An attempt gave no trustworthy answer. `retry_at` is absent when it was the last."""

    step: str
    attempt: int
    fault: Fault
    reason: str
    direction: Direction = "do"
    round: int = 1
    retry_at: datetime | None = None


class ReplyRecorded(Event, frozen=True):
    """The first definite answer to a command. `late`: its step had been given up before."""

    step: str
    direction: Direction = "do"
    round: int = 1
    outcome: Verdict = "succeeded"
    reply: Raw = EMPTY
    code: str = ""
    reason: str = ""
    late: bool = False


class ReplyContradicted(Event, frozen=True):
    """A later answer says otherwise; the first stands."""

    step: str
    outcome: Verdict
    direction: Direction = "do"
    round: int = 1
    code: str = ""
    reason: str = ""


class StepRefused(Event, frozen=True):
    """The step was refused without the participant being asked."""

    step: str
    code: str
    reason: str


class OutcomeUnknown(Event, frozen=True):
    """The step was given up: it may have happened."""

    step: str
    reason: str


class StepStuck(Event, frozen=True):
    """The step waits for a person."""

    step: str
    reason: str
    direction: Direction = "do"


class NodeStuck(Event, frozen=True):
    """The choice, wait, fan-out… at this path waits for a person."""

    path: str
    reason: str


class StepRetried(Event, frozen=True):
    step: str
    by: str
    reason: str
    direction: Direction = "do"


class StepResolved(Event, frozen=True):
    """A person gave the answer that the participant would have given."""

    step: str
    by: str
    reason: str
    direction: Direction = "do"
    outcome: Verdict = "succeeded"
    reply: Raw = EMPTY
    code: str = ""


class StepSkipped(Event, frozen=True):
    """A person decided to go on without it; it stays unconfirmed."""

    step: str
    by: str
    reason: str
    direction: Direction = "do"


class FunctionRaised(Event, frozen=True):
    """A function of the definition raised; what follows from it stands in the next event."""

    path: str
    function: Function
    error: str


class NodeFailed(Event, frozen=True):
    """The node at `path` cannot go on forward."""

    path: str
    code: str
    reason: str


class DataMerged(Event, frozen=True):
    """The data of the scope at `scope` changed; `path` is the step or node whose merge did it."""

    scope: str
    path: str
    data: Raw


class BranchChosen(Event, frozen=True):
    path: str
    taken: bool


class ItemsExpanded(Event, frozen=True):
    """An `each` saw its items: `keys[i]` names `items[i]`."""

    path: str
    keys: tuple[str, ...]
    items: tuple[Raw, ...]


class SubsagaStarted(Event, frozen=True):
    path: str
    saga: str
    version: int
    data: Raw


class NodeCompleted(Event, frozen=True):
    """A node with an end of its own (sub-saga, `parallel` with fewer than all) is done."""

    path: str


class WaitStarted(Event, frozen=True):
    path: str
    signal: str
    until: datetime | None = None


class WaitEnded(Event, frozen=True):
    """`how`: the signal came, the time passed, or the rollback made it pointless."""

    path: str
    how: Literal["signal", "timeout", "rollback"]


class SignalReceived(Event, frozen=True):
    """A signal arrived, whether or not somebody waits for it yet."""

    signal: str
    content: Raw = EMPTY
    signal_id: str = ""


class PauseStarted(Event, frozen=True):
    path: str
    until: datetime


class PauseEnded(Event, frozen=True):
    path: str


class RollbackBegun(Event, frozen=True):
    """The part of the saga at `path` turned round; the empty path is the whole saga."""

    path: str
    cause: Cause


class PointOfNoReturnPassed(Event, frozen=True):
    step: str


class CancelRequested(Event, frozen=True):
    by: str
    reason: str


class CancelRefused(Event, frozen=True):
    """The cancel that waited for the pivot came too late."""

    reason: str


class DeadlinePassed(Event, frozen=True):
    """`ignored`: behind the point of no return it only warns."""

    ignored: bool = False


class SagaPaused(Event, frozen=True):
    by: str
    reason: str


class SagaResumed(Event, frozen=True):
    by: str
    reason: str


class BusinessStatusChanged(Event, frozen=True):
    status: str


class BusinessStatusRejected(Event, frozen=True):
    """The definition's table of transitions does not know this one; the status stays."""

    current: str
    wanted: str


class SagaCompleted(Event, frozen=True):
    unconfirmed: tuple[str, ...] = ()


class SagaCompensated(Event, frozen=True):
    unconfirmed: tuple[str, ...] = ()


class SagaAbandoned(Event, frozen=True):
    """A person gave up; `unconfirmed` lists what nobody knows or what stays done."""

    by: str
    reason: str
    unconfirmed: tuple[str, ...] = ()


class SagaReopened(Event, frozen=True):
    """After the end a late success arrived that has to be undone."""

    step: str


AnyEvent: TypeAlias = (
    SagaStarted
    | CommandIssued
    | AttemptStarted
    | AttemptFailed
    | ReplyRecorded
    | ReplyContradicted
    | StepRefused
    | OutcomeUnknown
    | StepStuck
    | NodeStuck
    | StepRetried
    | StepResolved
    | StepSkipped
    | FunctionRaised
    | NodeFailed
    | DataMerged
    | BranchChosen
    | ItemsExpanded
    | SubsagaStarted
    | NodeCompleted
    | WaitStarted
    | WaitEnded
    | SignalReceived
    | PauseStarted
    | PauseEnded
    | RollbackBegun
    | PointOfNoReturnPassed
    | CancelRequested
    | CancelRefused
    | DeadlinePassed
    | SagaPaused
    | SagaResumed
    | BusinessStatusChanged
    | BusinessStatusRejected
    | SagaCompleted
    | SagaCompensated
    | SagaAbandoned
    | SagaReopened
)
