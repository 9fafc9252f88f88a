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
from amends.core.codec import kept
from amends.core.decision import Decision
from amends.core.draft import storable
from amends.core.evolve import APPLY, begun, confirmed
from amends.core.outcome import Succeeded
from amends.core.plan import Plan, StepPlace
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


def first_fact(plan: Plan, trigger: t.Start, now: datetime) -> e.SagaStarted:
    """Return the fact that an instance begins, whose data can be read."""
    saga = plan.saga
    return e.SagaStarted(
        saga=saga.name,
        version=saga.version,
        fingerprint=plan.fingerprint,
        data=e.Raw(kept(plan.decoders[""], trigger.data)),
        deadline=None if saga.deadline is None else now + saga.deadline,
        trace=trigger.trace,
    )


def _started(plan: Plan, state: State, trigger: t.Start, now: datetime) -> Decision | None:
    leg = plan.legs.get("")
    if leg is None or leg.then is None:
        return None
    after = state.fork()
    facts: list[e.AnyEvent] = []
    _tell(after, facts, first_fact(plan, trigger, now))
    if (status := plan.saga.statuses.started) is not None:
        _show(plan, after, facts, status)
    # The first function is handed the data: whether they can be read shows there.
    return _onward(plan, after, facts, leg.then, now)


def _answered(plan: Plan, state: State, trigger: t.Reply, now: datetime) -> Decision | None:
    path, answer = trigger.step, trigger.answer
    leg, step = plan.legs.get(path), state.nodes.get(path)
    if leg is None or leg.step is None or type(step) is not StepState or step.phase != "doing":
        return None
    if trigger.direction == "undo" or type(answer) is not Succeeded or not _is_well(state):
        return None
    place, then, merge = leg.step, leg.then, leg.step.step.merge
    reply, document = leg.read(answer.reply), answer.reply if leg.is_kept else b"null"
    after = state.fork()
    facts: list[e.AnyEvent] = [e.ReplyRecorded(step=path, reply=e.Raw(document))]
    after.nodes[path] = confirmed(step, "succeeded", document)
    after.timers.pop(path, None)
    if place.step.kind == "pivot" and not after.no_return:
        _tell(after, facts, e.PointOfNoReturnPassed(step=path))
    if merge is not None:
        merged = plan.encode(merge(plan.read(after.data[""]), reply))
        _tell(after, facts, e.DataMerged(scope="", path=path, data=e.Raw(merged)))
        if then is None:
            # What was merged must be readable, also when nobody reads it any more.
            plan.read(merged)
    return _onward(plan, after, facts, then, now)


def _is_well(state: State) -> bool:
    """Tell whether nothing has happened that may make more follow, or less.

    What failed or is stuck while a step is on its way belongs to a part that turned.
    """
    return not (state.turned or state.paused or state.final or state.cancel is not None)


def _onward(
    plan: Plan, after: State, facts: "list[e.AnyEvent]", then: StepPlace | None, now: datetime
) -> Decision:
    """Go on behind `facts`, which `after` has seen: to the step `then`, or to the end."""
    if then is None:
        if (status := plan.saga.statuses.completed) is not None:
            _show(plan, after, facts, status)
        _tell(after, facts, e.SagaCompleted(unconfirmed=after.unconfirmed))
        after.position += len(facts)
        return Decision(tuple(facts), after)
    path, node, due = then.path, then.step, now + then.step.timeout
    made = node.do(plan.read(after.data[""]))
    if not isinstance(made, Command):  # pyright: ignore[reportUnnecessaryIsInstance]  a function may return anything
        raise TypeError(path)
    payload = plan.encode(made.payload)
    issued = e.CommandIssued(
        step=path,
        participant=node.participant.name,
        name=storable(made.name),
        payload=e.Raw(payload),
        due=due,
    )
    if node.kind == "retriable" and not after.no_return:
        _tell(after, facts, e.PointOfNoReturnPassed(step=path))
    if node.waiting is not None:
        _show(plan, after, facts, node.waiting)
    facts.append(issued)
    step = after.nodes[path] = begun(issued, payload)
    after.timers[path] = due
    after.position += len(facts)
    return Decision(tuple(facts), after, (after.command(path, step),))


def _tell(after: State, facts: "list[e.AnyEvent]", fact: "e.AnyEvent") -> None:
    facts.append(fact)
    APPLY[type(fact)](after, fact)


def _show(plan: Plan, after: State, facts: "list[e.AnyEvent]", status: str) -> None:
    """Move to the saga's own `status`."""
    if (fact := business.fact(plan, after, status)) is not None:
        _tell(after, facts, fact)
