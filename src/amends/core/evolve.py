"""Fold events into a state. Pure, total for what `decide` emits, and blind to the definition.

Rules: an event alone says what changes; no user code is called, nothing is decoded. A change of phase that
`transitions.STEP` does not list raises `InvalidTransition`: it would be a defect of `decide`, or a damaged stream.
It does not: decide, order, or check business rules.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from amends.core import event as e
from amends.core.state import Begun, Choice, FanOut, State, StepState, TimerState, Wait
from amends.core.transitions import STEP, Fact, Phase
from amends.definition.command import Cause

IDLE = StepState()


class InvalidTransition(Exception):
    """A stored event does not fit the state before it; the text names saga, step, phase and fact."""


def evolve(state: State, events: "Iterable[e.AnyEvent]") -> State:
    """Return the state after `events`; `state` stays as it is.

    Raises:
        InvalidTransition: an event does not fit.
    """
    after = state.fork()
    for event in events:
        apply(after, event)
    return after


def apply(state: State, event: "e.AnyEvent") -> None:
    """Change `state`, a fork of the caller's own, by one event."""
    APPLY[type(event)](state, event)
    state.position += 1


def _step(state: State, path: str) -> StepState:
    node = state.nodes.get(path, IDLE)
    if type(node) is not StepState:
        raise InvalidTransition(f"saga {state.saga_id}: {path} is not a step")
    return node


def _moving(state: State, path: str, fact: Fact, to: Phase) -> StepState:
    """Return the step at `path`, which `fact` leads to the phase `to`; raise unless the table has this transition."""
    step = state.nodes.get(path, IDLE)
    if type(step) is not StepState or (step.phase, fact, to) not in STEP:
        raise _misfit(state, path, fact, to)
    return step


def _misfit(state: State, path: str, fact: Fact, to: Phase) -> InvalidTransition:
    phase = _step(state, path).phase
    return InvalidTransition(f"saga {state.saga_id}, step {path}: {fact!r} leads from {phase!r} to no {to!r}")


def _saga_started(state: State, event: e.SagaStarted) -> None:
    begin(state, event, bytes(event.data))


def begin(state: State, event: e.SagaStarted, data: bytes) -> None:
    """Begin an instance with `event`, whose data are `data`."""
    state.saga = event.saga
    state.version = event.version
    state.fingerprint = event.fingerprint
    state.data = {"": data}
    state.started_with = data
    state.trace = event.trace
    if event.deadline is not None:
        state.timers[""] = event.deadline


def _command_issued(state: State, event: e.CommandIssued) -> None:
    path = event.step
    do = event.direction == "do"
    to: Phase = "doing" if do else "undoing"
    step = _moving(state, path, "issued" if do else "undo issued", to)
    payload = bytes(event.payload)
    state.nodes[path] = (
        begun(event.participant, event.name, payload, event.due)
        if step is IDLE and do
        else _ordered(step, event, payload)
    )
    _set_timer(state, path, event.due)


def begun(participant: str, name: str, payload: bytes, due: datetime | None) -> StepState:
    """Return a step whose do was issued for the first time."""
    return StepState("doing", 1, participant, name, payload, due)


def _ordered(step: StepState, event: e.CommandIssued, payload: bytes) -> StepState:
    do = event.direction == "do"
    return replace(
        step,
        phase="doing" if do else "undoing",
        attempt=1,
        budget_from=0,
        late=False,
        round=step.round if do else event.round,
        participant=event.participant,
        name=event.name,
        payload=payload,
        due=event.due,
    )


def _set_timer(state: State, path: str, due: Any) -> None:
    if due is None:
        state.timers.pop(path, None)
    else:
        state.timers[path] = due


def _attempt_started(state: State, event: e.AttemptStarted) -> None:
    to: Phase = "doing" if event.direction == "do" else "undoing"
    step = _moving(state, event.step, "again", to)
    state.nodes[event.step] = replace(step, phase=to, attempt=event.attempt, due=event.due)
    _set_timer(state, event.step, event.due)


def _attempt_failed(state: State, event: e.AttemptFailed) -> None:
    to: Phase = "retrying" if event.direction == "do" else "undo-retrying"
    step = _moving(state, event.step, "failed", to)
    state.nodes[event.step] = replace(step, phase=to, reason=event.reason, due=None)
    _set_timer(state, event.step, event.retry_at)


def _reply_recorded(state: State, event: e.ReplyRecorded) -> None:
    if event.outcome == "unconfirmed":
        _note_unconfirmed(state, event.step)
    if event.direction == "undo":
        _undo_confirmed(state, event.step)
    elif event.outcome == "refused":
        _do_refused(state, event.step, event.code, event.reason)
    else:
        unread = event.outcome == "unconfirmed" or event.code == e.UNREADABLE
        reply = None if unread else bytes(event.reply)
        _do_succeeded(state, event.step, event.outcome, reply)


def _note_unconfirmed(state: State, path: str) -> None:
    if path not in state.unconfirmed:
        state.unconfirmed = (*state.unconfirmed, path)


def _settle(state: State, path: str) -> None:
    state.timers.pop(path, None)
    if path in state.stuck:
        _unstick(state, path)


def _unstick(state: State, path: str) -> None:
    state.stuck = {stuck: direction for stuck, direction in state.stuck.items() if stuck != path}


_WHEN_SUCCEEDED: dict[Phase, Phase] = {
    "undoing": "undoing",
    "undo-retrying": "undo-retrying",
    "undo-stuck": "undo-stuck",
}
_WHEN_REFUSED: dict[Phase, Phase] = {
    **_WHEN_SUCCEEDED,
    "passed": "passed",
    "undone": "undone",
    "left": "left",
}


def _do_succeeded(state: State, path: str, outcome: e.Verdict, reply: bytes | None) -> None:
    step = _step(state, path)
    to = _WHEN_SUCCEEDED.get(step.phase, "succeeded")
    _moving(state, path, "succeeded", to)
    if to == "succeeded":
        _settle(state, path)
        state.nodes[path] = confirmed(step, outcome, reply)
    else:
        # An undo that was never sent (its function raised) is still to come, and will know of the success.
        sent = step.phase != "undo-stuck" or step.back == "undo-retrying"
        state.nodes[path] = replace(step, phase=to, answered=outcome, reply=reply, late=sent)


def confirmed(step: StepState, outcome: e.Verdict, reply: bytes | None) -> StepState:
    """Return `step` after the success of its do, with nothing outstanding."""
    return replace(step, phase="succeeded", answered=outcome, reply=reply, payload=b"", due=None)


def _do_refused(state: State, path: str, code: str, reason: str) -> None:
    step = _step(state, path)
    to = _WHEN_REFUSED.get(step.phase, "refused")
    _moving(state, path, "refused", to)
    if to == "refused":
        _settle(state, path)
        state.nodes[path] = replace(
            step,
            phase=to,
            answered="refused",
            code=code,
            reason=reason,
            payload=b"",
            due=None,
        )
    else:
        state.nodes[path] = replace(step, phase=to, answered="refused")


def _undo_confirmed(state: State, path: str) -> None:
    step = _step(state, path)
    _settle(state, path)
    to: Phase = "succeeded" if step.late else "undone"
    _moving(state, path, "undone", to)
    state.nodes[path] = replace(step, phase=to, late=False, payload=b"", due=None)


def _reply_contradicted(state: State, event: e.ReplyContradicted) -> None:
    if event.step not in state.contradicted:
        state.contradicted = (*state.contradicted, event.step)


def _step_refused(state: State, event: e.StepRefused) -> None:
    step = _moving(state, event.step, "refused", "refused")
    state.nodes[event.step] = replace(step, phase="refused", code=event.code, reason=event.reason)


def _outcome_unknown(state: State, event: e.OutcomeUnknown) -> None:
    step = _moving(state, event.step, "given up", "unknown")
    state.timers.pop(event.step, None)
    state.nodes[event.step] = replace(step, phase="unknown", reason=event.reason, payload=b"", due=None)


def _step_stuck(state: State, event: e.StepStuck) -> None:
    to: Phase = "stuck" if event.direction == "do" else "undo-stuck"
    step = _moving(state, event.step, "stuck", to)
    state.timers.pop(event.step, None)
    state.stuck = {**state.stuck, event.step: event.direction}
    state.nodes[event.step] = replace(step, phase=to, back=step.phase, reason=event.reason)


def _node_stuck(state: State, event: e.NodeStuck) -> None:
    state.stuck = {**state.stuck, event.path: "do"}
    # It is a person's now: what a retry finds counts, not the failure that led here.
    state.failed = {path: cause for path, cause in state.failed.items() if path != event.path}


def _step_retried(state: State, event: e.StepRetried) -> None:
    _unstick(state, event.step)
    node = state.nodes.get(event.step)
    if isinstance(node, StepState):
        _moving(state, event.step, "retried", node.back)
        state.nodes[event.step] = replace(node, phase=node.back, budget_from=node.attempt)


def _step_resolved(state: State, event: e.StepResolved) -> None:
    if event.direction == "undo":
        _undo_confirmed(state, event.step)
    elif event.outcome == "refused":
        _do_refused(state, event.step, event.code, event.reason)
    else:
        _do_succeeded(state, event.step, event.outcome, bytes(event.reply))


def _step_skipped(state: State, event: e.StepSkipped) -> None:
    _unstick(state, event.step)
    _note_unconfirmed(state, event.step)
    node = state.nodes.get(event.step)
    if isinstance(node, StepState):
        to: Phase = "passed" if event.direction == "do" else "left"
        _moving(state, event.step, "skipped", to)
        state.nodes[event.step] = replace(node, phase=to, reason=event.reason, payload=b"", due=None)
    else:
        state.completed |= {event.step}


def _nothing(_state: State, _event: object) -> None:
    """A fact that is only told."""


def _node_failed(state: State, event: e.NodeFailed) -> None:
    state.failed = {
        **state.failed,
        event.path: Cause(code=event.code, reason=event.reason, step=event.path),
    }


def _data_merged(state: State, event: e.DataMerged) -> None:
    state.data = {**state.data, event.scope: bytes(event.data)}
    node = state.nodes.get(event.path)
    if isinstance(node, StepState):
        state.nodes[event.path] = replace(node, merged=True)
    elif isinstance(node, Wait):
        state.nodes[event.path] = replace(node, content=None)


def _branch_chosen(state: State, event: e.BranchChosen) -> None:
    state.nodes[event.path] = Choice(event.taken)


def _items_expanded(state: State, event: e.ItemsExpanded) -> None:
    state.nodes[event.path] = FanOut(event.keys)
    state.data = state.data | {
        f"{event.path}[{key}]": bytes(item) for key, item in zip(event.keys, event.items, strict=True)
    }


def _subsaga_started(state: State, event: e.SubsagaStarted) -> None:
    state.nodes[event.path] = Begun(event.saga, event.version)
    state.data = {**state.data, event.path: bytes(event.data)}


def _node_completed(state: State, event: e.NodeCompleted) -> None:
    state.completed |= {event.path}


def _wait_started(state: State, event: e.WaitStarted) -> None:
    state.nodes[event.path] = Wait(event.signal)
    _set_timer(state, event.path, event.until)


def _wait_ended(state: State, event: e.WaitEnded) -> None:
    wait = state.nodes.get(event.path)
    if not isinstance(wait, Wait):
        raise InvalidTransition(f"saga {state.saga_id}: {event.path} does not wait")
    state.timers.pop(event.path, None)
    state.nodes[event.path] = Wait(wait.signal, event.how)
    if event.how == "signal":
        first, *rest = state.signals[wait.signal]
        state.nodes[event.path] = Wait(wait.signal, event.how, first)
        others = {name: contents for name, contents in state.signals.items() if name != wait.signal}
        state.signals = {**others, wait.signal: tuple(rest)} if rest else others


def _signal_received(state: State, event: e.SignalReceived) -> None:
    arrived = (*state.signals.get(event.signal, ()), bytes(event.content))
    state.signals = {**state.signals, event.signal: arrived}
    if event.signal_id:
        state.signal_ids |= {event.signal_id}


def _pause_started(state: State, event: e.PauseStarted) -> None:
    state.nodes[event.path] = TimerState(running=True)
    state.timers[event.path] = event.until


def _pause_ended(state: State, event: e.PauseEnded) -> None:
    state.nodes[event.path] = TimerState(running=False)
    state.timers.pop(event.path, None)


def _rollback_begun(state: State, event: e.RollbackBegun) -> None:
    state.turned = {**state.turned, event.path: event.cause}
    if event.path == "":
        state.timers.pop("", None)
        state.cancel = None


def _point_of_no_return_passed(state: State, event: e.PointOfNoReturnPassed) -> None:
    state.no_return = event.step


def _cancel_requested(state: State, event: e.CancelRequested) -> None:
    state.cancel = (event.by, event.reason)


def _cancel_refused(state: State, _event: e.CancelRefused) -> None:
    state.cancel = None


def _deadline_passed(state: State, _event: e.DeadlinePassed) -> None:
    state.timers.pop("", None)


def _saga_paused(state: State, _event: e.SagaPaused) -> None:
    state.paused = True


def _saga_resumed(state: State, _event: e.SagaResumed) -> None:
    state.paused = False


def _business_status_changed(state: State, event: e.BusinessStatusChanged) -> None:
    state.business = event.status


def _saga_completed(state: State, _event: e.SagaCompleted) -> None:
    state.final = "completed"
    state.timers.clear()


def _saga_compensated(state: State, _event: e.SagaCompensated) -> None:
    state.final = "compensated"
    state.timers.clear()


def _saga_abandoned(state: State, event: e.SagaAbandoned) -> None:
    state.final = "abandoned"
    state.unconfirmed = event.unconfirmed
    state.timers.clear()
    state.stuck = {}
    state.paused = False


def _saga_reopened(state: State, _event: e.SagaReopened) -> None:
    if state.final in ("completed", "compensated"):
        state.reopened = state.final
    state.final = ""


APPLY: dict[type, Callable[[State, Any], None]] = {
    e.SagaStarted: _saga_started,
    e.CommandIssued: _command_issued,
    e.AttemptStarted: _attempt_started,
    e.AttemptFailed: _attempt_failed,
    e.ReplyRecorded: _reply_recorded,
    e.ReplyContradicted: _reply_contradicted,
    e.StepRefused: _step_refused,
    e.OutcomeUnknown: _outcome_unknown,
    e.StepStuck: _step_stuck,
    e.NodeStuck: _node_stuck,
    e.StepRetried: _step_retried,
    e.StepResolved: _step_resolved,
    e.StepSkipped: _step_skipped,
    e.FunctionRaised: _nothing,
    e.NodeFailed: _node_failed,
    e.DataMerged: _data_merged,
    e.BranchChosen: _branch_chosen,
    e.ItemsExpanded: _items_expanded,
    e.SubsagaStarted: _subsaga_started,
    e.NodeCompleted: _node_completed,
    e.WaitStarted: _wait_started,
    e.WaitEnded: _wait_ended,
    e.SignalReceived: _signal_received,
    e.PauseStarted: _pause_started,
    e.PauseEnded: _pause_ended,
    e.RollbackBegun: _rollback_begun,
    e.PointOfNoReturnPassed: _point_of_no_return_passed,
    e.CancelRequested: _cancel_requested,
    e.CancelRefused: _cancel_refused,
    e.DeadlinePassed: _deadline_passed,
    e.SagaPaused: _saga_paused,
    e.SagaResumed: _saga_resumed,
    e.BusinessStatusChanged: _business_status_changed,
    e.BusinessStatusRejected: _nothing,
    e.SagaCompleted: _saga_completed,
    e.SagaCompensated: _saga_compensated,
    e.SagaAbandoned: _saga_abandoned,
    e.SagaReopened: _saga_reopened,
}
