"""Where a step stands in the tree, and how far a part of the tree is: read from the state, without the engine's walk.

Rules: written again from the rules' own words, on purpose apart from `core.progress` and `core.compensation`, so that
one can be held against the other.
It does not: change or begin anything.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from amends.core import plan as p
from amends.core.state import Choice, FanOut, State, StepState, TimerState, Wait

KEY: Final = re.compile(r"\[[^\]]*\]")
At: TypeAlias = tuple[p.Place, str]
"""A place and the keys it stands under."""
QUIET: Final = frozenset({"idle", "refused", "passed", "undone", "left"})


def children(place: p.Place) -> tuple[p.Place, ...]:
    """Return the places right below `place`."""
    match place:
        case p.SequencePlace() | p.ParallelPlace():
            return place.children
        case p.EachPlace():
            return (place.body,)
        case p.ToleratePlace() | p.SubsagaPlace():
            return (place.child,)
        case p.WhenPlace():
            return (place.child,) if place.otherwise is None else (place.child, place.otherwise)
        case p.WaitPlace():
            return () if place.otherwise is None else (place.otherwise,)
        case _:
            return ()


def chains(plan: p.Plan) -> dict[str, tuple[p.Place, ...]]:
    """Return for each static path the places from the root down to it."""
    found: dict[str, tuple[p.Place, ...]] = {}

    def descend(place: p.Place, above: tuple[p.Place, ...]) -> None:
        chain = (*above, place)
        found[place.path] = chain
        for child in children(place):
            descend(child, chain)

    descend(plan.root, ())
    return found


def chain_to(found: dict[str, tuple[p.Place, ...]], path: str) -> list[At]:
    """Return the places from the root down to `path`, each with its keys."""
    static, bracket, rest = path.partition("[")
    waiting = KEY.findall(bracket + rest)
    chain: list[At] = []
    keys = ""
    for place in found[static]:
        chain.append((place, keys))
        if isinstance(place, p.EachPlace) and waiting:
            keys += waiting.pop(0)
    return chain


def begun_below(state: State, place: p.Place, keys: str) -> Iterator[At]:
    """Yield `place` and what may have begun below it: the chosen branches and the expanded items."""
    yield place, keys
    node = state.nodes.get(place.path + keys)
    match place:
        case p.EachPlace():
            names = node.keys if isinstance(node, FanOut) else ()
            below = [(place.body, f"{keys}[{name}]") for name in names]
        case p.WhenPlace():
            branch = _branch(place, node)
            below = [] if branch is None else [(branch, keys)]
        case p.WaitPlace(otherwise=otherwise):
            timed_out = isinstance(node, Wait) and node.how == "timeout"
            below = [(otherwise, keys)] if timed_out and otherwise is not None else []
        case p.SubsagaPlace():
            below = [] if node is None else [(place.child, keys)]
        case _:
            below = [(child, keys) for child in children(place)]
    for child, child_keys in below:
        yield from begun_below(state, child, child_keys)


def _branch(place: p.WhenPlace, node: object) -> p.Place | None:
    if not isinstance(node, Choice):
        return None
    return place.child if node.taken else place.otherwise


def quiet(state: State, place: p.Place, keys: str) -> bool:
    """Whether nothing at or below is under way or still to be undone."""
    return all(_is_quiet(state, at, at_keys) for at, at_keys in begun_below(state, place, keys))


def _is_quiet(state: State, place: p.Place, keys: str) -> bool:
    node = state.nodes.get(place.path + keys)
    match place:
        case p.StepPlace():
            done = (
                isinstance(node, StepState)
                and node.phase in ("succeeded", "unknown")
                and place.step.undo is None
            )
            return node is None or done or (isinstance(node, StepState) and node.phase in QUIET)
        case p.UndoPlace():
            return isinstance(node, StepState) and node.phase in ("undone", "left")
        case p.WaitPlace():
            return not (isinstance(node, Wait) and node.how == "waiting")
        case p.PausePlace():
            return not (isinstance(node, TimerState) and node.running)
        case _:
            return True


def finished(state: State, place: p.Place, keys: str) -> bool:
    """Whether what stands at and below is done, so that what follows may begin."""
    path = place.path + keys
    if path in state.completed or (path in state.turned and isinstance(place, p.ToleratePlace)):
        return True
    return _FINISHED[type(place)](state, place, keys)


def _step(state: State, place: p.StepPlace, keys: str) -> bool:
    node = state.nodes.get(place.path + keys)
    merged = place.step.merge is None or (isinstance(node, StepState) and (node.merged or node.reply is None))
    return isinstance(node, StepState) and (node.phase == "passed" or (node.phase == "succeeded" and merged))


def _parallel(state: State, place: p.ParallelPlace, keys: str) -> bool:
    return sum(finished(state, child, keys) for child in place.children) >= place.need


def _each(state: State, place: p.EachPlace, keys: str) -> bool:
    node = state.nodes.get(place.path + keys)
    return isinstance(node, FanOut) and all(
        finished(state, place.body, f"{keys}[{key}]") for key in node.keys
    )


def _when(state: State, place: p.WhenPlace, keys: str) -> bool:
    node = state.nodes.get(place.path + keys)
    branch = _branch(place, node)
    return isinstance(node, Choice) and (branch is None or finished(state, branch, keys))


def _wait(state: State, place: p.WaitPlace, keys: str) -> bool:
    node = state.nodes.get(place.path + keys)
    if not isinstance(node, Wait) or node.how == "waiting":
        return False
    return node.how == "signal" or (place.otherwise is not None and finished(state, place.otherwise, keys))


def _pause(state: State, place: p.PausePlace, keys: str) -> bool:
    node = state.nodes.get(place.path + keys)
    return isinstance(node, TimerState) and not node.running


_FINISHED: dict[type, Callable[[State, Any, str], bool]] = {
    p.StepPlace: _step,
    p.UndoPlace: lambda _state, _place, _keys: True,
    p.SequencePlace: lambda state, place, keys: all(finished(state, child, keys) for child in place.children),
    p.ParallelPlace: _parallel,
    p.EachPlace: _each,
    p.WhenPlace: _when,
    p.ToleratePlace: lambda state, place, keys: finished(state, place.child, keys),
    p.WaitPlace: _wait,
    p.PausePlace: _pause,
    p.SubsagaPlace: lambda state, place, keys: finished(state, place.child, keys),
}
