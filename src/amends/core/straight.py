"""The straight way: what happens most of the time, decided without the walk.

A step was answered yes, all before it is done, nothing is amiss, and behind it in the definition stands another step,
or the end. What follows is known from the definition alone, so the plan knows it (`Leg`).

Rules
- It is a short cut and no rule: where it has an answer, it is the walk's, to the last byte (tests/core/test_straight.py
  holds them against each other). Where it has none, `decide` walks.
- Whatever is out of the ordinary has no answer here: an instance to which anything else happened, a document that
  cannot be read, a function that raises or returns what cannot be used. The walk calls it again, and makes a fact of
  it.
- A step on its way says that all before it is done: it began for no other reason, and what is done stays so unless
  something turned.
It does not: say what an event does to a state, but for the two that every step has, which are applied here without
asking the table of transitions.
"""

from datetime import datetime

from amends.core import business, event as e, trigger as t
from amends.core.decision import Decision
from amends.core.draft import storable
from amends.core.effect import SendCommand, TraceContext, named
from amends.core.evolve import APPLY, apply, begin, begun, confirmed
from amends.core.outcome import Succeeded
from amends.core.plan import Leg, Plan
from amends.core.state import State, StepState
from amends.definition.command import Command


def straight(plan: Plan, state: State, trigger: t.Trigger, now: datetime) -> Decision | None:
    """Return what the walk would decide; None when only the walk can tell."""
    try:
        if type(trigger) is t.Reply:
            return _answered(plan, state, trigger, now)
        if type(trigger) is t.Start and not state.position:
            return _started(plan, state, trigger, now)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  whatever it is, the walk meets it again, and knows what becomes of it
        return None
    return None


def first_fact(plan: Plan, data: bytes, trace: TraceContext | None, now: datetime) -> e.SagaStarted:
    """Return the fact that an instance begins, with `data` as they are kept."""
    saga = plan.saga
    deadline = None if saga.deadline is None else now + saga.deadline
    return e.SagaStarted(saga.name, saga.version, plan.fingerprint, e.Raw(data), deadline, trace)


def _started(plan: Plan, state: State, trigger: t.Start, now: datetime) -> Decision | None:
    leg = plan.legs.get("")
    if leg is None or leg.then is None:
        return None
    data = trigger.data if leg.is_kept else b"null"
    began = first_fact(plan, data, trigger.trace, now)
    between: list[e.AnyEvent] = []
    after = state.fork(2)
    begin(after, began, data)
    if (status := plan.saga.statuses.started) is not None:
        _show(plan, after, between, status)
    # The first function is handed the data: whether they can be read shows there.
    return _onward(plan, after, began, between, leg, now)


def _answered(plan: Plan, state: State, trigger: t.Reply, now: datetime) -> Decision | None:
    path, answer = trigger.step, trigger.answer
    leg, step = plan.legs.get(path), state.nodes.get(path)
    if leg is None or leg.step is None or type(step) is not StepState or step.phase != "doing":
        return None
    if trigger.direction == "undo" or type(answer) is not Succeeded:
        return None
    # What failed or is stuck while a step is on its way belongs to a part that turned.
    if state.turned or state.paused or state.final or state.cancel is not None:
        return None
    node, reply, document = leg.step.step, leg.read(answer.reply), answer.reply if leg.is_kept else b"null"
    recorded = e.ReplyRecorded(path, reply=e.Raw(document))
    between: list[e.AnyEvent] = []
    after = state.fork(2)
    after.nodes[path] = confirmed(step, "succeeded", document)
    after.timers.pop(path, None)
    if node.kind == "pivot" and not after.no_return:
        _tell(after, between, e.PointOfNoReturnPassed(step=path))
    if node.merge is not None:
        merged = plan.encode(node.merge(plan.read(after.data[""]), reply))
        _tell(after, between, e.DataMerged(scope="", path=path, data=e.Raw(merged)))
        if leg.then is None:
            # What was merged must be readable, also when nobody reads it any more.
            plan.read(merged)
    return _onward(plan, after, recorded, between, leg, now)


def _onward(  # noqa: PLR0917  by place, which is quicker
    plan: Plan, after: State, first: "e.AnyEvent", between: "list[e.AnyEvent]", leg: Leg, now: datetime
) -> Decision:
    """Go on behind the facts `first` and `between`, which `after` has seen: to the next step, or to the end.

    `after` counts the first fact and the last already.
    """
    then = leg.then
    if then is None:
        if (status := plan.saga.statuses.completed) is not None:
            _show(plan, after, between, status)
        completed = e.SagaCompleted(after.unconfirmed)
        APPLY[e.SagaCompleted](after, completed)
        return Decision((first, *between, completed), after)
    path, node, due = then.path, then.step, now + then.step.timeout
    made = node.do(plan.read(after.data[""]))
    if not isinstance(made, Command):  # pyright: ignore[reportUnnecessaryIsInstance]  a function may return anything
        raise TypeError(path)
    participant, name, payload = node.participant.name, storable(made.name), plan.encode(made.payload)
    issued = e.CommandIssued(path, participant, name, e.Raw(payload), due)
    if node.kind == "retriable" and not after.no_return:
        _tell(after, between, e.PointOfNoReturnPassed(step=path))
    if node.waiting is not None:
        _show(plan, after, between, node.waiting)
    after.nodes[path] = begun(participant, name, payload, due)
    after.timers[path] = due
    owner, saga_id = after.namespace, after.saga_id
    command_id = named(owner, saga_id, leg.id_ending)
    command = SendCommand(
        owner, saga_id, after.saga, path, "do", 1, 1, command_id, participant, name, payload, due
    )
    events = (first, *between, issued) if between else (first, issued)
    return Decision(events, after, (command,), due if len(after.timers) == 1 else after.wake_at)


def _tell(after: State, facts: "list[e.AnyEvent]", fact: "e.AnyEvent") -> None:
    facts.append(fact)
    apply(after, fact)


def _show(plan: Plan, after: State, facts: "list[e.AnyEvent]", status: str) -> None:
    """Move to the saga's own `status`."""
    if (fact := business.fact(plan, after, status)) is not None:
        _tell(after, facts, fact)
