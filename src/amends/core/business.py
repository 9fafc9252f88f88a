"""The saga's own business statuses, and the one place where their transitions are validated.

Rules: a status that is there already changes nothing; one that the saga's table does not allow is recorded as rejected
and the old one stays.
It does not: influence what happens next.
"""

from amends.core import event as e
from amends.core.draft import Draft
from amends.core.plan import Plan, StepPlace, WaitPlace
from amends.core.state import State
from amends.definition.command import CANCELLED, DEADLINE, Cause


def change(draft: Draft, status: str | None) -> None:
    """Move to `status` where the saga's table of transitions allows it."""
    if status is not None and (said := fact(draft.plan, draft.state, status)) is not None:
        draft.emit(said)


def fact(plan: Plan, state: State, status: str) -> e.BusinessStatusChanged | e.BusinessStatusRejected | None:
    """Return what is to be told when `status` is wanted; None where it is there already."""
    current, table = state.business, plan.saga.statuses.transitions
    if status == current:
        return None
    if table is not None and current and status not in table.get(current, ()):
        return e.BusinessStatusRejected(current=current, wanted=status)
    return e.BusinessStatusChanged(status=status)


def turned(draft: Draft, cause: Cause) -> None:
    """Show that the whole saga turned round: the failed step's word, or the saga's own.

    What has no word of its own, such as a function that raised, looks like a cancel where the end has none either, and
    not as if it still waited.
    """
    statuses, refused = draft.plan.saga.statuses, _refused(draft, cause)
    own = statuses.cancelled if cause.code in (CANCELLED, DEADLINE) else None
    last = statuses.cancelled if statuses.compensated is None else None
    change(draft, refused or own or statuses.compensating or last)
    if refused or own:
        change(draft, statuses.compensating)


def _refused(draft: Draft, cause: Cause) -> str | None:
    if not cause.step:
        return None
    place, _keys = draft.locate(cause.step)
    match place:
        case StepPlace():
            return place.step.refused
        case WaitPlace():
            return place.node.refused
        case _:
            return None
