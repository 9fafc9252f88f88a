"""Forward: what begins next, and whether a part of the saga is done or has failed (rules 3, 6 and 8).

Rules: one walk from the root, in the order of the definition; a node begins when what precedes it is done. The walk is
repeated from the facts every time, so it needs no memory of its own. Failure goes up until something tolerates it.
It does not: undo anything (`compensation`), or look at replies and timers (`decide`).
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import msgspec

from amends.core import business, event as e
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
    key_of,
)
from amends.core.state import Choice, FanOut, StepState, TimerState, Wait
from amends.definition.command import NOT_NEEDED, RAISED, REJECTED, TIMEOUT, UNKNOWN, Cause


class Progress(Enum):
    """How far a node is."""

    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


ACTIVE: Final = Progress.ACTIVE
DONE: Final = Progress.DONE
FAILED: Final = Progress.FAILED


def forward(draft: Draft, place: Place, keys: str) -> Progress:
    """Begin what can begin at and below `place`; tell how far it is. On `FAILED` `draft.failure` says why."""
    return _FORWARD[type(place)](draft, place, keys)


def _fail(draft: Draft, cause: Cause, at: str | None = None) -> Progress:
    draft.failure = cause
    draft.failed_at = cause.step if at is None else at
    return FAILED


def _known_failure(draft: Draft, path: str) -> Progress | None:
    """Return what an earlier fact says about a composition: failed, stuck, or done by a person's word."""
    state = draft.state
    if state.failed and path in state.failed:
        return _fail(draft, state.failed[path])
    if state.stuck and path in state.stuck:
        return ACTIVE
    if state.completed and path in state.completed:
        return DONE
    return None


def _after_fault(draft: Draft, path: str) -> Progress:
    return _known_failure(draft, path) or ACTIVE


def _raised(draft: Draft, path: str) -> Progress:
    draft.fail_raised(path)
    return _after_fault(draft, path)


def _step(draft: Draft, place: StepPlace, keys: str) -> Progress:
    path = place.path + keys
    state = draft.state
    step = state.nodes.get(path)
    if type(step) is not StepState or (phase := step.phase) == "idle":
        return ACTIVE if draft.holding else _begin(draft, place, keys, path)
    if phase == "succeeded":
        plain = place.step.merge is None and not state.failed and not state.stuck
        return DONE if plain else _merged(draft, place, keys, step)
    if phase == "passed":
        return DONE
    if phase == "refused":
        return _fail(draft, Cause(code=step.code, reason=step.reason, step=path))
    if phase in ("doing", "retrying", "stuck"):
        return ACTIVE
    return _fail(draft, Cause(code=UNKNOWN, reason=step.reason, step=path))


def _begin(draft: Draft, place: StepPlace, keys: str, path: str) -> Progress:
    step = place.step
    made = draft.call(path, "do", _run_do, draft, place, keys)
    command = None if made is FAILED_CALL else draft.command(path, "do", made)
    if command is None:
        return _do_raised(draft, place, path)
    if step.kind == "retriable" and not draft.state.no_return:
        draft.emit(e.PointOfNoReturnPassed(step=path))
    if step.waiting is not None:
        business.change(draft, step.waiting)
    draft.issue(path, step.participant.name, command, "do", step.timeout)
    return ACTIVE


def _run_do(draft: Draft, place: StepPlace, keys: str) -> Any:
    return place.step.do(draft.data(place.scope, keys))


def _do_raised(draft: Draft, place: StepPlace, path: str) -> Progress:
    """Nothing was sent: before the point of no return the step is refused, whatever its kind; else a person looks."""
    error = draft.error()
    if place.step.kind == "retriable" and draft.state.no_return:
        draft.emit(e.StepStuck(step=path, reason=error))
        return ACTIVE
    draft.emit(e.StepRefused(step=path, code=RAISED, reason=error))
    return _fail(draft, Cause(code=RAISED, reason=error, step=path))


def _merged(draft: Draft, place: StepPlace, keys: str, step: StepState) -> Progress:
    """Bring the reply into the data, once; a merge that raises lets a compensatable step fail and be undone."""
    path = place.path + keys
    if draft.state.failed or draft.state.stuck:
        known = _known_failure(draft, path)
        if known is not None:
            return known
    merge, reply = place.step.merge, step.reply
    if merge is None or step.merged or reply is None:
        return DONE
    merged = draft.call(path, "merge", lambda: merge(draft.data(place.scope, keys), place.reply(reply)))
    if merged is not FAILED_CALL and _store(draft, place.scope + keys, path, merged, "merge"):
        return DONE
    if place.compensatable:
        draft.fail_raised(path)
    else:
        draft.emit(e.StepStuck(step=path, reason="the merge of its reply raised"))
    return _after_fault(draft, path)


def _store(draft: Draft, scope: str, path: str, data: object, function: "e.Function") -> bool:
    raw = draft.store(path, function, scope, data)
    if raw is not None:
        draft.emit(e.DataMerged(scope=scope, path=path, data=raw))
    return raw is not None


def _sequence(draft: Draft, place: SequencePlace, keys: str) -> Progress:
    for child in place.children:
        progress = _FORWARD[type(child)](draft, child, keys)
        if progress is not DONE:
            return progress
    return DONE


def _all(draft: Draft, places: "list[tuple[Place, str]]") -> Progress:
    """Join all: a failure shows at once, and nothing new begins after it."""
    result = DONE
    for place, keys in places:
        progress = _FORWARD[type(place)](draft, place, keys)
        if progress is FAILED:
            return FAILED
        if progress is ACTIVE:
            result = ACTIVE
    return result


def _parallel(draft: Draft, place: ParallelPlace, keys: str) -> Progress:
    if place.need == len(place.children):
        return _all(draft, [(child, keys) for child in place.children])
    known = _known_failure(draft, place.path + keys)
    return _enough(draft, place, keys) if known is None else known


def _enough(draft: Draft, place: ParallelPlace, keys: str) -> Progress:
    """Join k of m: a failed branch goes back by itself; when enough are done the others are not needed."""
    done = 0
    open_branches: list[str] = []
    for child in place.children:
        path = child.path + keys
        if path in draft.state.turned:
            continue
        progress = forward(draft, child, keys) if done < place.need else ACTIVE
        if progress is FAILED:
            draft.emit(e.RollbackBegun(path=path, cause=draft.failure))
        elif progress is DONE:
            done += 1
        else:
            open_branches.append(path)
    if done < place.need:
        return ACTIVE if done + len(open_branches) >= place.need else _too_few(draft, place, keys)
    for path in open_branches:
        draft.emit(e.RollbackBegun(path=path, cause=Cause(code=NOT_NEEDED, step=place.path + keys)))
    draft.emit(e.NodeCompleted(path=place.path + keys))
    return DONE


def _too_few(draft: Draft, place: ParallelPlace, keys: str) -> Progress:
    causes = [
        draft.state.turned[path]
        for child in place.children
        if (path := child.path + keys) in draft.state.turned
    ]
    return _fail(draft, causes[-1], at=place.path + keys)


def _each(draft: Draft, place: EachPlace, keys: str) -> Progress:
    path = place.path + keys
    known = _known_failure(draft, path)
    if known is not None:
        return known
    fan = draft.state.nodes.get(path)
    if not isinstance(fan, FanOut):
        if draft.holding:
            return ACTIVE
        fan = _expand(draft, place, keys, path)
        if fan is None:
            return _raised(draft, path)
    progress = _all(draft, [(place.body, f"{keys}[{key}]") for key in fan.keys])
    if progress is DONE and place.node.collect is not None:
        return ACTIVE if draft.holding else _collect(draft, place, keys, fan)
    return progress


def _expand(draft: Draft, place: EachPlace, keys: str, path: str) -> FanOut | None:
    node = place.node
    items = draft.call(path, "items", lambda: tuple(node.items(draft.data(place.scope, keys))))
    if items is FAILED_CALL:
        return None
    raws: dict[str, msgspec.Raw] = {}
    for item in items:
        name = draft.call(path, "key", _key, node.key, item)
        if name is FAILED_CALL:
            return None
        if name in raws or not name:
            draft.raised(path, "key", f"the key {name!r} is empty or there twice")
            return None
        raw = draft.store(path, "items", place.path, item)
        if raw is None:
            return None
        raws[name] = raw
    draft.emit(e.ItemsExpanded(path=path, keys=tuple(raws), items=tuple(raws.values())))
    return FanOut(tuple(raws))


def _key(key: Callable[[Any], object], item: object) -> str:
    name = key(item)
    if not isinstance(name, str):
        raise TypeError(f"key returned {type(name).__name__}, not str")
    return key_of(name)


def _collect(draft: Draft, place: EachPlace, keys: str, fan: FanOut) -> Progress:
    path = place.path + keys
    collect = place.node.collect

    def collected() -> Any:
        items = [draft.data(place.path, f"{keys}[{key}]") for key in fan.keys]
        return collect(draft.data(place.scope, keys), items) if collect else None

    return _finish(draft, place.scope + keys, path, "collect", collected)


def _finish(draft: Draft, scope: str, path: str, function: "e.Function", run: Callable[[], Any]) -> Progress:
    """Run what brings a composition's end back into the data, once, and mark it completed."""
    merged = draft.call(path, function, run)
    if merged is FAILED_CALL or not _store(draft, scope, path, merged, function):
        return _raised(draft, path)
    draft.emit(e.NodeCompleted(path=path))
    return DONE


def _when(draft: Draft, place: WhenPlace, keys: str) -> Progress:
    path = place.path + keys
    known = _known_failure(draft, path)
    if known is not None:
        return known
    choice = draft.state.nodes.get(path)
    if not isinstance(choice, Choice):
        if draft.holding:
            return ACTIVE
        taken = draft.call(
            path, "condition", lambda: bool(place.node.condition(draft.data(place.scope, keys)))
        )
        if taken is FAILED_CALL:
            return _raised(draft, path)
        draft.emit(e.BranchChosen(path=path, taken=taken))
        choice = Choice(taken)
    branch = place.child if choice.taken else place.otherwise
    return DONE if branch is None else forward(draft, branch, keys)


def _tolerate(draft: Draft, place: ToleratePlace, keys: str) -> Progress:
    path = place.path + keys
    if path in draft.state.turned:
        return DONE
    progress = forward(draft, place.child, keys)
    if progress is not FAILED:
        return progress
    cause = draft.failure
    only_when = place.node.only_when
    if only_when is not None:
        known = _known_failure(draft, path)
        if known is not None:
            return known
        tolerated = draft.call(path, "only_when", lambda: bool(only_when(draft.data(place.scope, keys))))
        if tolerated is FAILED_CALL:
            return _raised(draft, path)
        if not tolerated:
            return _fail(draft, cause)
    draft.emit(e.RollbackBegun(path=path, cause=cause))
    return DONE


def _wait(draft: Draft, place: WaitPlace, keys: str) -> Progress:
    path = place.path + keys
    known = _known_failure(draft, path)
    if known is not None:
        return known
    wait = draft.state.nodes.get(path)
    node = place.node
    if not isinstance(wait, Wait):
        if draft.holding:
            return ACTIVE
        business.change(draft, node.waiting)
        until = None if node.timeout is None else draft.now + node.timeout
        draft.emit(e.WaitStarted(path=path, signal=node.signal, until=until))
        wait = Wait(node.signal)
    if wait.how == "waiting":
        return _take_signal(draft, place, keys, path) if node.signal in draft.state.signals else ACTIVE
    if wait.how == "signal":
        # Only a person's retry comes here with a content: its merge raised.
        return _merge_signal(draft, place, keys, wait.content)
    if place.otherwise is not None and wait.how == "timeout":
        return forward(draft, place.otherwise, keys)
    return _fail(draft, Cause(code=TIMEOUT, reason=f"no {node.signal!r} came in time", step=path))


def _take_signal(draft: Draft, place: WaitPlace, keys: str, path: str) -> Progress:
    node = place.node
    content = draft.state.signals[node.signal][0]
    draft.emit(e.WaitEnded(path=path, how="signal"))
    accept = node.accept
    if accept is not None:
        said = lambda: bool(accept(draft.data(place.scope, keys), place.content(content)))  # noqa: E731
        accepted = draft.call(path, "accept", said)
        if accepted is FAILED_CALL:
            return _raised(draft, path)
        if not accepted:
            draft.emit(e.NodeFailed(path=path, code=REJECTED, reason=f"the signal {node.signal!r} said no"))
            return _after_fault(draft, path)
    return _merge_signal(draft, place, keys, content)


def _merge_signal(draft: Draft, place: WaitPlace, keys: str, content: bytes | None) -> Progress:
    path, merge = place.path + keys, place.node.merge
    if merge is None or content is None:
        return DONE
    merged = draft.call(path, "merge", lambda: merge(draft.data(place.scope, keys), place.content(content)))
    if merged is FAILED_CALL or not _store(draft, place.scope + keys, path, merged, "merge"):
        return _raised(draft, path)
    return DONE


def _pause(draft: Draft, place: PausePlace, keys: str) -> Progress:
    path = place.path + keys
    known = _known_failure(draft, path)
    if known is not None:
        return known
    timer = draft.state.nodes.get(path)
    if isinstance(timer, TimerState):
        return ACTIVE if timer.running else DONE
    if draft.holding:
        return ACTIVE
    length = place.node.length
    until = draft.call(
        path,
        "length",
        lambda: draft.now + (length(draft.data(place.scope, keys)) if callable(length) else length),
    )
    if until is FAILED_CALL:
        return _raised(draft, path)
    business.change(draft, place.node.waiting)
    draft.emit(e.PauseStarted(path=path, until=until))
    return ACTIVE


def _subsaga(draft: Draft, place: SubsagaPlace, keys: str) -> Progress:
    path = place.path + keys
    known = _known_failure(draft, path)
    if known is not None:
        return known
    node = place.node
    if path not in draft.state.nodes:
        if draft.holding:
            return ACTIVE
        data = draft.call(path, "data", lambda: node.data(draft.data(place.scope, keys)))
        if data is FAILED_CALL or not _open_scope(draft, place, path, data):
            return _raised(draft, path)
    progress = forward(draft, place.child, keys)
    merge = node.merge
    if progress is not DONE or merge is None:
        return progress
    if draft.holding:
        return ACTIVE
    end = lambda: merge(draft.data(place.scope, keys), draft.data(place.path, keys))  # noqa: E731
    return _finish(draft, place.scope + keys, path, "merge", end)


def _open_scope(draft: Draft, place: SubsagaPlace, path: str, data: object) -> bool:
    raw = draft.store(path, "data", path, data)
    saga = place.node.saga
    if raw is not None:
        draft.emit(e.SubsagaStarted(path=path, saga=saga.name, version=saga.version, data=raw))
    return raw is not None


def _undo_only(_draft: Draft, _place: UndoPlace, _keys: str) -> Progress:
    return DONE


_FORWARD: dict[type, Callable[[Draft, Any, str], Progress]] = {
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
