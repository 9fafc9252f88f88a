"""The straight way: what happens most of the time, decided without the walk.

A step was answered yes, all before it is done, nothing is amiss, and behind it in the definition stands another step,
or the end. What follows is known from the definition alone, so the plan knows it (`Leg`).

Rules
- It is a short cut and no rule: where it has an answer, it is the walk's, to the last byte (tests/core/test_straight.py
  holds them against each other). Where it has none, `decide` walks.
- Whatever is out of the ordinary has no answer here: a reply that cannot be read, a function that raises or returns
  what cannot be sent (the walk calls it again, and makes a fact of it), an instance to which anything else happened.
- A step on its way says that all before it is done: it began for no other reason, and what is done stays so unless
  something turned, failed or is stuck.
It does not: say what an event does to a state, but for the two that every step has, which are applied here without
asking the table of transitions.
"""

from datetime import datetime

import msgspec

from amends.core import event as e, trigger as t
from amends.core.codec import Unreadable, kept
from amends.core.decision import Decision
from amends.core.draft import storable
from amends.core.evolve import IDLE, apply, confirmed, ordered
from amends.core.outcome import Succeeded
from amends.core.plan import Leg, Plan, StepPlace
from amends.core.state import State, StepState, Value
from amends.definition.command import Command


def straight(plan: Plan, state: State, trigger: t.Trigger, now: datetime) -> Decision | None:
    """Return what the walk would decide; None when only the walk can tell."""
    if type(trigger) is t.Reply:
        return _answered(plan, state, trigger, now)
    if type(trigger) is t.Start and not state.position:
        return _started(plan, state, trigger, now)
    return None


def first_fact(plan: Plan, trigger: t.Start, now: datetime) -> e.SagaStarted:
    """Return the fact that an instance begins. Raises Unreadable: its data do not fit."""
    saga, decoder = plan.saga, plan.decoders[""]
    decoder(trigger.data)
    return e.SagaStarted(
        saga=saga.name,
        version=saga.version,
        fingerprint=plan.fingerprint,
        data=kept(decoder, trigger.data),
        deadline=None if saga.deadline is None else now + saga.deadline,
        trace=trigger.trace,
    )


def _started(plan: Plan, state: State, trigger: t.Start, now: datetime) -> Decision | None:
    leg = plan.legs.get("")
    if leg is None:
        return None
    try:
        fact = first_fact(plan, trigger, now)
    except Unreadable:
        return None
    after = state.fork()
    apply(after, fact)
    return _onward(plan, after, leg, fact, now)


def _answered(plan: Plan, state: State, trigger: t.Reply, now: datetime) -> Decision | None:
    path, answer = trigger.step, trigger.answer
    leg, step = plan.legs.get(path), state.nodes.get(path)
    if leg is None or type(step) is not StepState or step.phase != "doing":
        return None
    if trigger.direction == "undo" or type(answer) is not Succeeded or _is_amiss(state):
        return None
    try:
        leg.reply(answer.reply)
    except Unreadable:
        return None
    fact = e.ReplyRecorded(step=path, reply=kept(leg.reply, answer.reply))
    after = state.fork()
    after.nodes[path] = confirmed(step, "succeeded", Value(bytes(fact.reply)))
    after.timers.pop(path, None)
    after.position += 1
    return _onward(plan, after, leg, fact, now)


def _is_amiss(state: State) -> bool:
    """Tell whether anything has happened that may make more follow, or less.

    What failed or is stuck while a step is on its way belongs to a part that turned.
    """
    return bool(state.turned or state.paused or state.final or state.cancel is not None)


def _onward(plan: Plan, after: State, leg: Leg, fact: "e.AnyEvent", now: datetime) -> Decision | None:
    """Go on behind `fact`, which `after` has seen: to the next step, or to the end."""
    facts = [fact]
    if leg.no_return and not after.no_return:
        facts.append(e.PointOfNoReturnPassed(step=leg.no_return))
        apply(after, facts[-1])
    then = leg.then
    if then is None:
        facts.append(e.SagaCompleted(unconfirmed=after.unconfirmed))
        apply(after, facts[-1])
        return Decision(tuple(facts), after)
    path, due = then.path, now + then.step.timeout
    issued = _order(plan, then, after, due)
    if issued is None:
        return None
    step = after.nodes[path] = ordered(IDLE, issued)
    after.timers[path] = due
    after.position += 1
    return Decision((*facts, issued), after, (after.command(path, step),))


def _order(plan: Plan, place: StepPlace, state: State, due: datetime) -> e.CommandIssued | None:
    """Return the order of a step's command; None when its function gives none that can be sent."""
    step = place.step
    try:
        made = step.do(plan.decoders[""](state.data[""].raw))
        if not isinstance(made, Command):  # pyright: ignore[reportUnnecessaryIsInstance]  a function may return anything
            return None
        name, payload = storable(made.name), plan.codec.encode(made.payload)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  whatever it is, the walk will say
        return None
    return e.CommandIssued(
        step=place.path,
        participant=step.participant.name,
        name=name,
        payload=msgspec.Raw(payload),
        due=due,
    )
