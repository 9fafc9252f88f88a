"""A counter-example as a page that a person reads: each choice, the facts it led to, and what the world then holds.

Rules: the trace is made again from the start, so the page shows what happens, not what was remembered.
It does not: search (`explore`).
"""

from collections.abc import Iterator

from amends.core import trigger as t
from amends.core.plan import Plan
from amends.core.state import initial
from amends.simulation.explore import (
    NOW,
    Ask,
    Choice,
    Deliver,
    Execute,
    Fire,
    Found,
    Lose,
    Settings,
    Violation,
    step_once,
)
from amends.simulation.invariants import Subject
from amends.simulation.transcript import event_line, status_line
from amends.simulation.world import Call, World


def page(plan: Plan, settings: Settings, violation: Violation) -> str:
    """Return the shortest way to `violation`, one choice after the other."""
    head = [f"rule {violation.rule}: {violation.sentence}", f"but: {violation.complaint}", ""]
    return "\n".join([*head, *_told(plan, settings, violation.trace)]) + "\n"


def _told(plan: Plan, settings: Settings, trace: tuple[Choice, ...]) -> Iterator[str]:
    subject = Subject(plan, settings.data, NOW, barrier=settings.barrier, replies=settings.replies)
    state, world = initial("default", "s"), World()
    for number, choice in enumerate(trace, 1):
        yield f"{number}. {choice_line(choice)}"
        try:
            state, world, decision = step_once(subject, settings, state, world, choice)
        except Found as found:
            yield f"   {found.complaint}"
            return
        for event in decision.events if decision is not None else ():
            yield f"   {event_line(event)}"
        there = ", ".join(f"{step} x{count}" for step, count in sorted(world.effects)) or "nothing"
        yield f"   {status_line(state)}; there is: {there}"


def choice_line(choice: Choice) -> str:
    """Return a choice as a sentence."""
    match choice:
        case Execute(call, yes):
            return f"the participant {'acts on' if yes else 'refuses'} {_call(call)}"
        case Deliver((call, yes)):
            return f"the {'yes' if yes else 'no'} to {_call(call)} arrives"
        case Lose((call, yes)):
            return f"the {'yes' if yes else 'no'} to {_call(call)} is lost"
        case Fire(path):
            return f"time passes for {path or 'the saga'}"
        case Ask(trigger):
            return _asked(trigger)


def _asked(trigger: object) -> str:
    name = type(trigger).__name__.lower()
    match trigger:
        case t.Retry() | t.Resolve() | t.Skip():
            return f"{name} {trigger.step}"
        case t.Signal():
            return f"{name} {trigger.signal} {trigger.content.decode()}"
        case _:
            return name


def _call(call: Call) -> str:
    return f"{call.step}/{call.direction}/{call.round}"
