"""Backward: what is undone next, and whether a turned part of the saga is clean (rules 4, 5, 6, 7 and 9).

Rules: the walk goes through the tree in reverse. Undone are exactly the steps that succeeded or may have; never one
that was refused or never began. An undo waits for exactly what ran after its step: a sequence goes back one by one,
each branch of a parallel by itself, what precedes the parallel waits for all of it. What stands in flight settles
first; what was only about to be tried again is given up as unknown.
It does not: decide that something turns (`progress`, `decide`).
"""

from collections.abc import Callable
from typing import Any

from amends.core import event as e
from amends.core.draft import FAILED_CALL, Draft
from amends.core.plan import (
    EachPlace,
    ParallelPlace,
    PausePlace,
    Place,
    SequencePlace,
    StepPlace,
    SubsagaPlace,
    ToleratePlace,
    UndoPlace,
    WaitPlace,
    WhenPlace,
)
from amends.core.state import Choice, FanOut, TimerState, Wait
from amends.core.transitions import DUE, SETTLED
from amends.definition.command import Cause, Rollback


def backward(draft: Draft, place: Place, keys: str, cause: Cause) -> bool:
    """Undo what can be undone now at and below `place`; tell whether nothing is left to undo or to wait for."""
    return _BACKWARD[type(place)](draft, place, keys, cause)


def cause_of(draft: Draft, path: str) -> Cause:
    """Return why the part at `path` goes back: its own cause where it turned by itself, else the saga's."""
    return draft.state.turned.get(path) or draft.state.turned[""]


def _step(draft: Draft, place: StepPlace, keys: str, cause: Cause) -> bool:
    path = place.path + keys
    step = draft.step(path)
    if step is None or step.phase in SETTLED:
        return True
    if step.phase == "retrying" and place.compensatable:
        draft.emit(e.OutcomeUnknown(step=path, reason=step.reason))
        step = draft.step(path)
    if step is None or step.phase not in DUE:
        return False
    undo = place.step.undo
    if undo is None:
        return True
    said = step.reply
    run = lambda: undo(  # noqa: E731
        draft.data(place.scope, keys), Rollback(None if said is None else place.reply(said), cause)
    )
    made = draft.call(path, "undo", run)
    _order(draft, path, place.step.participant.name, made, place.step.timeout)
    return False


def _order(draft: Draft, path: str, participant: str, made: object, timeout: Any) -> None:
    """Order the undo that a function made; one that cannot be made is stuck."""
    command = None if made is FAILED_CALL else draft.command(path, "undo", made)
    if command is not None:
        draft.issue(path, participant, command, "undo", timeout)
        return
    draft.emit(e.StepStuck(step=path, reason=draft.error(), direction="undo"))


def _undo_only(draft: Draft, place: UndoPlace, keys: str, cause: Cause) -> bool:
    path = place.path + keys
    step = draft.step(path)
    if step is not None and step.phase != "idle":
        return step.phase in SETTLED
    node = place.node
    made = draft.call(path, "undo", lambda: node.undo(draft.data(place.scope, keys), Rollback(None, cause)))
    _order(draft, path, node.participant.name, made, node.timeout)
    return False


def _sequence(draft: Draft, place: SequencePlace, keys: str, cause: Cause) -> bool:
    for child in place.backwards:
        clean = _BACKWARD[type(child)](draft, child, keys, _own(draft, child, keys, cause))
        if not clean:
            return False
    return True


def _own(draft: Draft, place: Place, keys: str, cause: Cause) -> Cause:
    return draft.state.turned.get(place.path + keys, cause)


def _parallel(draft: Draft, place: ParallelPlace, keys: str, cause: Cause) -> bool:
    clean = [backward(draft, child, keys, _own(draft, child, keys, cause)) for child in place.children]
    return all(clean)


def _each(draft: Draft, place: EachPlace, keys: str, cause: Cause) -> bool:
    fan = draft.state.nodes.get(place.path + keys)
    if not isinstance(fan, FanOut):
        return True
    clean = [backward(draft, place.body, f"{keys}[{key}]", cause) for key in fan.keys]
    return all(clean)


def _when(draft: Draft, place: WhenPlace, keys: str, cause: Cause) -> bool:
    choice = draft.state.nodes.get(place.path + keys)
    if not isinstance(choice, Choice):
        return True
    branch = place.child if choice.taken else place.otherwise
    return branch is None or backward(draft, branch, keys, cause)


def _tolerate(draft: Draft, place: ToleratePlace, keys: str, cause: Cause) -> bool:
    return backward(draft, place.child, keys, _own(draft, place, keys, cause))


def _wait(draft: Draft, place: WaitPlace, keys: str, cause: Cause) -> bool:
    path = place.path + keys
    wait = draft.state.nodes.get(path)
    if not isinstance(wait, Wait):
        return True
    if wait.how == "waiting":
        draft.emit(e.WaitEnded(path=path, how="rollback"))
    return place.otherwise is None or wait.how != "timeout" or backward(draft, place.otherwise, keys, cause)


def _pause(draft: Draft, place: PausePlace, keys: str, _cause: Cause) -> bool:
    path = place.path + keys
    timer = draft.state.nodes.get(path)
    if isinstance(timer, TimerState) and timer.running:
        draft.emit(e.PauseEnded(path=path))
    return True


def _subsaga(draft: Draft, place: SubsagaPlace, keys: str, cause: Cause) -> bool:
    return place.path + keys not in draft.state.nodes or backward(draft, place.child, keys, cause)


_BACKWARD: dict[type, Callable[[Draft, Any, str, Cause], bool]] = {
    StepPlace: _step,
    UndoPlace: _undo_only,
    SequencePlace: _sequence,
    ParallelPlace: _parallel,
    EachPlace: _each,
    WhenPlace: _when,
    ToleratePlace: _tolerate,
    WaitPlace: _wait,
    PausePlace: _pause,
    SubsagaPlace: _subsaga,
}
