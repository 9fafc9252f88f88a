"""Decide: from a trigger and the state to new facts and the commands that follow from them.

Rules
- Pure: the instant is an argument; the same arguments give the same decision. The state handed in stays as it is.
- A trigger that changes nothing (a duplicate, a stale timer) gives no events.
- A trigger that the rules forbid raises `Rejected`, which is an answer to whoever sent it and no fact.
- Facts are told one at a time and each is followed to its consequences before the next: that is the walk. It says what
  is right; what it would say in the ordinary case is found without it (`straight`).
It does not: store, send or retry on a lost optimistic lock; whoever calls it does.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from amends.core import business, event as e, trigger as t
from amends.core.advance import advance, pivot_in_flight, turn
from amends.core.codec import Unreadable, kept
from amends.core.decision import ANY_ATTEMPT, Decision, Rejected
from amends.core.draft import Draft, storable
from amends.core.effect import Direction
from amends.core.outcome import Answer, Failed, Refused, Succeeded, Unconfirmed
from amends.core.plan import PausePlace, Plan, StepPlace, UndoPlace, WaitPlace
from amends.core.state import State, StepState
from amends.core.straight import first_fact, straight
from amends.core.transitions import IN_FLIGHT, SETTLED
from amends.definition.command import CANCELLED, DEADLINE, Cause
from amends.definition.policy import RetryPolicy


def decide(plan: Plan, state: State, trigger: t.Trigger, now: datetime) -> Decision:
    """Return what `trigger` leads to at the instant `now` (UTC).

    Raises:
        Rejected: the rules forbid it; nothing changes.
    """
    return straight(plan, state, trigger, now) or walked(plan, state, trigger, now)


def walked(plan: Plan, state: State, trigger: t.Trigger, now: datetime) -> Decision:
    """Decide by the rules, whatever the trigger and the state are.

    Raises:
        Rejected: the rules forbid it; nothing changes.
    """
    draft = Draft(plan=plan, state=state.fork(), now=now)
    if not state.position and type(trigger) is not t.Start:
        raise Rejected("not-started", f"there is no saga {state.saga_id!r}")
    _TRIGGERS[type(trigger)](draft, trigger)
    events, after = draft.events, draft.state
    if not events:
        return Decision((), state, (), state.wake_at)
    after.position += len(events)
    return Decision(tuple(events), after, () if after.paused else tuple(draft.sends), after.wake_at)


def _start(draft: Draft, trigger: t.Start) -> None:
    state, plan = draft.state, draft.plan
    if state.position:
        data = kept(plan.decoders[""], trigger.data)
        same = state.saga == plan.saga.name and state.started_with == data
        if not same:
            raise Rejected(
                "conflict", f"saga {state.saga_id!r} was started with other data, as {state.saga!r}"
            )
        return
    try:
        plan.decoders[""](trigger.data)
    except Unreadable as error:
        raise Rejected("unreadable", f"the data do not fit saga {plan.saga.name!r}: {error}") from error
    data = kept(plan.decoders[""], trigger.data)
    draft.emit(first_fact(plan, data, trigger.trace, draft.now))
    business.change(draft, plan.saga.statuses.started)
    advance(draft)


def _reply(draft: Draft, trigger: t.Reply) -> None:
    path = trigger.step
    step, place = draft.state.nodes.get(path), draft.plan.places.get(path) or _place(draft, path)
    do = trigger.direction == "do"
    if type(step) is StepState and type(place) is StepPlace and do:
        _do_reply(draft, trigger, step, place)
    elif isinstance(step, StepState) and isinstance(place, (StepPlace, UndoPlace)):
        if not do:
            _undo_reply(draft, trigger, step, place)
    else:
        raise Rejected(
            "unknown-command", f"saga {draft.state.saga_id!r} has issued nothing for step {path!r}"
        )


def _place(draft: Draft, path: str) -> Any:
    try:
        return draft.locate(path)[0]
    except KeyError:
        return None


def _undo_reply(draft: Draft, trigger: t.Reply, step: StepState, place: StepPlace | UndoPlace) -> None:
    waiting = step.phase in ("undoing", "undo-retrying", "undo-stuck")
    if trigger.round > step.round:
        raise Rejected("unknown-command", f"step {trigger.step!r} was not undone {trigger.round} times")
    if not waiting or trigger.round != step.round:
        return
    policy = place.step.undo_retry if isinstance(place, StepPlace) else place.node.undo_retry
    match trigger.answer:
        case Succeeded() | Unconfirmed():
            outcome: e.Verdict = "unconfirmed" if type(trigger.answer) is Unconfirmed else "succeeded"
            draft.emit(
                e.ReplyRecorded(step=trigger.step, direction="undo", round=step.round, outcome=outcome)
            )
            advance(draft)
        case Refused() as no:
            reason = f"{no.code}: {no.reason}"
            _attempt_failed(draft, trigger, step, policy, Failed(reason, "refused"))
        case Failed() as failed:
            _attempt_failed(draft, trigger, step, policy, failed)


def _do_reply(draft: Draft, trigger: t.Reply, step: StepState, place: StepPlace) -> None:
    path, given = trigger.step, trigger.answer
    if not step.attempt:
        raise Rejected("unknown-command", f"step {path!r} was not begun")
    if step.answered and not isinstance(given, Failed):
        _again(draft, trigger, step, given)
        return
    late = step.phase not in ("doing", "retrying", "stuck")
    answer = _read(place, given)
    match answer:
        case Succeeded():
            reply = e.Raw(kept(place.reply, answer.reply))
            draft.emit(e.ReplyRecorded(step=path, reply=reply, late=late))
        case Refused():
            code, reason = storable(answer.code), storable(answer.reason)
            draft.emit(e.ReplyRecorded(step=path, outcome="refused", code=code, reason=reason, late=late))
        case Failed() if late and isinstance(given, Succeeded):
            # Nobody will ask again, so it counts as the success that it is, without its reply.
            reason = storable(answer.reason)
            draft.emit(e.ReplyRecorded(step=path, code=e.UNREADABLE, reason=reason, late=True))
        case Failed():
            _attempt_failed(draft, trigger, step, place.step.retry, answer)
            return
        case Unconfirmed():
            draft.emit(e.ReplyRecorded(step=path, outcome="unconfirmed", late=late))
    _after_answer(draft, path, place)


def _read(place: StepPlace, answer: Answer) -> Answer:
    """Classify further what only the definition can tell: an unreadable reply, a no where no is no answer."""
    if type(answer) is Succeeded:
        try:
            place.reply(answer.reply)
        except Unreadable as error:
            return Failed(f"the reply cannot be read: {error}", "unreadable")
    elif type(answer) is Refused and place.step.kind == "retriable":
        return Failed(f"{answer.code}: {answer.reason}", "refused")
    return answer


def _again(
    draft: Draft, trigger: t.Reply, step: StepState, answer: Succeeded | Refused | Unconfirmed
) -> None:
    """A second definite answer: nothing when it says the same, recorded once when it contradicts."""
    says_no = isinstance(answer, Refused)
    if says_no == (step.answered == "refused") or trigger.step in draft.state.contradicted:
        return
    code, reason = (answer.code, answer.reason) if isinstance(answer, Refused) else ("", "")
    outcome: e.Verdict = "refused" if says_no else "succeeded"
    draft.emit(
        e.ReplyContradicted(step=trigger.step, outcome=outcome, code=storable(code), reason=storable(reason))
    )


def _after_answer(draft: Draft, path: str, place: StepPlace) -> None:
    state = draft.state
    if place.step.kind == "pivot" and not state.no_return and _succeeded(draft, path):
        draft.emit(e.PointOfNoReturnPassed(step=path))
        if state.cancel is not None:
            draft.emit(e.CancelRefused(reason=f"{path} had succeeded: the point of no return was passed"))
    reopens = state.final in ("completed", "compensated") and place.step.undo is not None
    if reopens and _succeeded(draft, path):
        draft.emit(e.SagaReopened(step=path))
    advance(draft)


def _succeeded(draft: Draft, path: str) -> bool:
    step = draft.step(path)
    return step is not None and step.phase in ("succeeded", "passed")


def _attempt_failed(
    draft: Draft, trigger: t.Reply, step: StepState, policy: RetryPolicy, failed: Failed
) -> None:
    """An attempt that says nothing: try again by policy; when that is used up, unknown before the point of no return
    and stuck behind it. Only the attempt in flight counts.
    """
    in_flight = step.phase == ("doing" if trigger.direction == "do" else "undoing")
    if (
        not in_flight
        or trigger.attempt not in (step.attempt, ANY_ATTEMPT)
        or draft.state.final == "abandoned"
    ):
        return
    retry_at = draft.retry_at(trigger.step, step, policy, failed.retry_after)
    reason = storable(failed.reason)
    draft.emit(
        e.AttemptFailed(
            step=trigger.step,
            attempt=step.attempt,
            fault=failed.fault,
            reason=reason,
            direction=trigger.direction,
            round=trigger.round,
            retry_at=retry_at,
        )
    )
    if retry_at is None:
        _used_up(draft, trigger.step, trigger.direction, reason)
    advance(draft)


def _used_up(draft: Draft, path: str, direction: Direction, reason: str) -> None:
    place = _place(draft, path)
    if direction == "do" and isinstance(place, StepPlace) and place.compensatable:
        draft.emit(e.OutcomeUnknown(step=path, reason=reason))
    else:
        draft.emit(e.StepStuck(step=path, reason=reason, direction=direction))


def _tick(draft: Draft, trigger: t.Tick) -> None:
    """Let the timers that are due fire, the earliest first, each with its consequences; those that are held do not."""
    state, held = draft.state, trigger.held
    while not state.paused and not state.final:
        running = [(due, path) for path, due in state.timers.items() if path not in held]
        if not running or min(running)[0] > draft.now:
            return
        _fire(draft, min(running)[1])


def _fire(draft: Draft, path: str) -> None:
    if not path:
        _deadline(draft)
        return
    place, _keys = draft.locate(path)
    match place:
        case WaitPlace():
            draft.emit(e.WaitEnded(path=path, how="timeout"))
            advance(draft)
        case PausePlace():
            draft.emit(e.PauseEnded(path=path))
            advance(draft)
        case StepPlace():
            _fire_step(draft, path, place.step.timeout, place.step.retry, place.step.undo_retry)
        case UndoPlace():
            _fire_step(draft, path, place.node.timeout, place.node.undo_retry, place.node.undo_retry)
        case _:
            raise AssertionError(f"no timer belongs to {path}")


def _fire_step(draft: Draft, path: str, timeout: Any, retry: RetryPolicy, undo_retry: RetryPolicy) -> None:
    step = draft.step(path)
    if step is None:
        raise AssertionError(f"a timer without its step: {path}")
    if step.phase in ("retrying", "undo-retrying"):
        draft.start_attempt(path, step, timeout)
        return
    direction: Direction = "do" if step.phase == "doing" else "undo"
    silent = Failed(f"no answer within {timeout.total_seconds():g} s", "timeout")
    late = t.Reply(path, direction, 1 if direction == "do" else step.round, step.attempt, silent)
    _attempt_failed(draft, late, step, retry if direction == "do" else undo_retry, silent)


def _deadline(draft: Draft) -> None:
    if draft.state.no_return:
        draft.emit(e.DeadlinePassed(ignored=True))
        return
    draft.emit(e.DeadlinePassed())
    if not pivot_in_flight(draft):
        turn(draft, Cause(code=DEADLINE, reason="the saga's deadline passed"))
        advance(draft)


def _cancel(draft: Draft, trigger: t.Cancel) -> None:
    state = draft.state
    _not_ended(draft, "cancel")
    if "" in state.turned or state.cancel is not None:
        return
    if state.reopened:
        raise Rejected(
            "ended", f"cannot cancel: saga {state.saga_id!r} was {state.reopened} before a late success"
        )
    if state.no_return:
        raise Rejected(
            "past-no-return",
            f"saga {state.saga_id!r} cannot be cancelled: {state.no_return!r} passed the point of no return",
        )
    draft.emit(e.CancelRequested(by=trigger.by, reason=trigger.reason))
    if not pivot_in_flight(draft):
        turn(draft, Cause(code=CANCELLED, reason=f"{trigger.by}: {trigger.reason}"))
        advance(draft)


def _not_ended(draft: Draft, what: str) -> None:
    if draft.state.final:
        raise Rejected("ended", f"cannot {what}: saga {draft.state.saga_id!r} is {draft.state.final}")


def _pause(draft: Draft, trigger: t.Pause) -> None:
    _not_ended(draft, "pause")
    if not draft.state.paused:
        draft.emit(e.SagaPaused(by=trigger.by, reason=trigger.reason))


def _resume(draft: Draft, trigger: t.Resume) -> None:
    """Go on. What was answered meanwhile may include failures: they are looked for before anything new begins.

    What is outstanding is sent again; an attempt whose time passed during the pause gets its full time once more, for
    nobody listened to its timer.
    """
    _not_ended(draft, "resume")
    if not draft.state.paused:
        return
    draft.emit(e.SagaResumed(by=trigger.by, reason=trigger.reason))
    for path, step in list(draft.state.steps()):
        if step.phase in IN_FLIGHT:
            _send_again(draft, path, step)
    draft.holding = True
    advance(draft)
    draft.holding = False
    advance(draft)


def _send_again(draft: Draft, path: str, step: StepState) -> None:
    if step.due is None or step.due > draft.now:
        draft.send(path)
    else:
        draft.renew_attempt(path, step, _timeout(_place(draft, path)))


def _recover(draft: Draft, trigger: t.Recover) -> None:
    """Give every attempt that is meant and whose time passed meanwhile its full time once more: the participant was not
    asked, or not listened to. What is not overdue goes on as it is, and whoever recovers sends it again.
    """
    if draft.state.paused or draft.state.final:
        return
    for path, step in list(draft.state.steps()):
        if trigger.steps is not None and path not in trigger.steps:
            continue
        if step.phase in IN_FLIGHT and step.due is not None and step.due <= draft.now:
            draft.renew_attempt(path, step, _timeout(_place(draft, path)))


def _timeout(place: StepPlace | UndoPlace) -> timedelta:
    return place.step.timeout if isinstance(place, StepPlace) else place.node.timeout


def _signal(draft: Draft, trigger: t.Signal) -> None:
    _not_ended(draft, f"signal {trigger.signal!r}")
    decoder = draft.plan.signals.get(trigger.signal)
    if decoder is None:
        known = ", ".join(sorted(draft.plan.signals)) or "none"
        raise Rejected(
            "unknown-signal",
            f"saga {draft.plan.saga.name!r} waits for no {trigger.signal!r}; it knows: {known}",
        )
    try:
        decoder(trigger.content)
    except Unreadable as error:
        raise Rejected(
            "unreadable", f"the content of signal {trigger.signal!r} does not fit: {error}"
        ) from error
    if trigger.signal_id and trigger.signal_id in draft.state.signal_ids:
        return
    draft.emit(
        e.SignalReceived(
            signal=trigger.signal, content=e.Raw(kept(decoder, trigger.content)), signal_id=trigger.signal_id
        )
    )
    advance(draft)


def _stuck(draft: Draft, path: str, what: str) -> Direction:
    _not_ended(draft, what)
    direction = draft.state.stuck.get(path)
    if direction is None:
        stuck = ", ".join(draft.state.stuck) or "nothing"
        raise Rejected("not-stuck", f"cannot {what} {path!r}: it is not stuck; stuck is: {stuck}")
    return direction


def _retry(draft: Draft, trigger: t.Retry) -> None:
    direction = _stuck(draft, trigger.step, "retry")
    draft.emit(e.StepRetried(step=trigger.step, by=trigger.by, reason=trigger.reason, direction=direction))
    step, place = draft.step(trigger.step), _place(draft, trigger.step)
    if step is not None and step.phase in ("retrying", "undo-retrying"):
        draft.start_attempt(trigger.step, step, _timeout(place))
    advance(draft)


def _resolve(draft: Draft, trigger: t.Resolve) -> None:
    direction = _stuck(draft, trigger.step, "resolve")
    place, answer = _place(draft, trigger.step), trigger.answer
    if draft.step(trigger.step) is None:
        raise Rejected(
            "not-stuck", f"{trigger.step!r} is no step and has no reply; retry, skip or abandon it"
        )
    if isinstance(answer, Refused) and (
        direction == "undo" or not isinstance(place, StepPlace) or place.step.kind != "pivot"
    ):
        raise Rejected("not-stuck", f"{trigger.step!r} cannot be refused any more; only a pivot can")
    reply = e.EMPTY
    if direction == "do" and isinstance(answer, Succeeded):
        read = _read(place, answer)
        if isinstance(read, Failed):
            raise Rejected("unreadable", f"step {trigger.step!r}: {read.reason}")
        reply = e.Raw(kept(place.reply, answer.reply))
    draft.emit(
        e.StepResolved(
            step=trigger.step,
            by=trigger.by,
            reason=trigger.reason,
            direction=direction,
            outcome="refused" if isinstance(answer, Refused) else "succeeded",
            reply=reply,
            code=answer.code if isinstance(answer, Refused) else "",
        )
    )
    if direction == "do":
        _after_answer(draft, trigger.step, place)
    else:
        advance(draft)


def _skip(draft: Draft, trigger: t.Skip) -> None:
    direction = _stuck(draft, trigger.step, "skip")
    draft.emit(e.StepSkipped(step=trigger.step, by=trigger.by, reason=trigger.reason, direction=direction))
    place = _place(draft, trigger.step)
    if direction == "do" and isinstance(place, StepPlace):
        _after_answer(draft, trigger.step, place)
    else:
        advance(draft)


def _abandon(draft: Draft, trigger: t.Abandon) -> None:
    _not_ended(draft, "abandon")
    state = draft.state
    definite = SETTLED if "" in state.turned else SETTLED | {"succeeded"}
    doubtful = [path for path, step in state.steps() if step.phase not in definite]
    unconfirmed = tuple(dict.fromkeys((*state.unconfirmed, *doubtful)))
    draft.emit(e.SagaAbandoned(by=trigger.by, reason=trigger.reason, unconfirmed=unconfirmed))


_TRIGGERS: dict[type, Callable[[Draft, Any], None]] = {
    t.Start: _start,
    t.Reply: _reply,
    t.Tick: _tick,
    t.Recover: _recover,
    t.Signal: _signal,
    t.Cancel: _cancel,
    t.Pause: _pause,
    t.Resume: _resume,
    t.Retry: _retry,
    t.Resolve: _resolve,
    t.Skip: _skip,
    t.Abandon: _abandon,
}
