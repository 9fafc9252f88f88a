"""Advance: from the facts to their consequences, forward, then back, then the end (rules 3, 6, 8 and 10).

Rules: what fails turns the saga round, but not under a pivot in flight; behind the point of no return it waits for a
person. The end is told when nothing is left to do, to undo or to wait for.
It does not: look at triggers (`decide`), or walk the tree (`progress`, `compensation`).
"""

from amends.core import business, event as e
from amends.core.compensation import backward, cause_of
from amends.core.draft import Draft
from amends.core.progress import DONE, FAILED, forward
from amends.definition.command import Cause


def advance(draft: Draft) -> None:
    """Follow the facts to their consequences: forward, then back, then the end."""
    state = draft.state
    if state.paused or state.final == "abandoned":
        return
    done = "" not in state.turned and not state.final and _go_forward(draft)
    clean = not state.turned or _turned_parts_are_clean(draft)
    if state.final:
        return
    if "" in state.turned:
        if backward(draft, draft.plan.root, "", state.turned[""]) and clean:
            _compensated(draft)
    elif done and clean:
        business.change(draft, draft.plan.saga.statuses.completed)
        draft.emit(e.SagaCompleted(unconfirmed=state.unconfirmed))


def _go_forward(draft: Draft) -> bool:
    """Begin what can begin; tell whether all is done. A failure turns the saga round, but not under a pivot in flight:
    it waits for that. Behind the point of no return the failed node waits for a person, and the rest goes on.
    """
    while (progress := forward(draft, draft.plan.root, "")) is FAILED:
        if not draft.state.no_return:
            if not pivot_in_flight(draft):
                turn(draft, draft.failure)
            return False
        if draft.failed_at in draft.state.stuck:
            return False
        cause = draft.failure
        draft.emit(e.NodeStuck(path=draft.failed_at, reason=cause.reason or cause.code))
    return progress is DONE


def _turned_parts_are_clean(draft: Draft) -> bool:
    """Let every part that turned by itself go back beside the rest; tell whether all of them are clean."""
    clean = True
    for path in list(draft.state.turned):
        if path:
            place, keys = draft.locate(path)
            clean = backward(draft, place, keys, cause_of(draft, path)) and clean
    return clean


def turn(draft: Draft, cause: Cause) -> None:
    """Turn the whole saga round."""
    draft.emit(e.RollbackBegun(path="", cause=cause))
    business.turned(draft, cause)


def _compensated(draft: Draft) -> None:
    business.change(draft, draft.plan.saga.statuses.compensated)
    draft.emit(e.SagaCompensated(unconfirmed=draft.state.unconfirmed))


def pivot_in_flight(draft: Draft) -> str:
    """Return the pivot that was begun and whose outcome nobody knows yet; empty when there is none."""
    for path in draft.plan.pivots:
        step = draft.step(path)
        if step is not None and step.phase in ("doing", "retrying", "stuck"):
            return path
    return ""
