"""Random sagas that the linter accepts, and random triggers for them."""

from datetime import timedelta
from itertools import count
from typing import Any

import msgspec
from hypothesis import strategies as st

from amends.core import trigger as t
from amends.core.outcome import Answer, Failed, Refused, Succeeded, Unconfirmed
from amends.core.plan import Plan, compile_saga
from amends.core.state import State, StepState
from amends.definition import (
    Command,
    DefinitionError,
    Node,
    Saga,
    Step,
    each,
    parallel,
    pause_for,
    sequence,
    subsaga,
    tolerate,
    wait_for,
    when,
)
from tests.core import sagas


class Data(msgspec.Struct, frozen=True):
    """Data of every saga and of every item, so that any node fits anywhere."""

    flag: bool = True
    number: int = 3
    kids: tuple[str, ...] = ("a", "b")


KINDS = ("step", "paying", "pivot", "retriable", "kept", "undo-only", "wait", "pause", "broken")
COMPOSITIONS = ("sequence", "parallel", "some", "each", "when", "tolerate", "subsaga", "otherwise")


def halved(data: Data, receipt: sagas.Receipt) -> Data:
    """A merge that raises now and then."""
    if receipt.number == 0:
        raise ZeroDivisionError
    return msgspec.structs.replace(data, number=data.number + receipt.number, flag=not data.flag)


def kids(data: Data) -> list[Data]:
    return [Data(flag=data.flag, number=number, kids=()) for number in range(len(data.kids))]


def key(data: Data) -> str:
    return str(data.number)


def broken_at_odd(data: Data) -> Command[None]:
    if data.number % 2:
        raise ValueError("odd")
    return Command("even")


def leaf(kind: str, name: str) -> Node[Any]:
    match kind:
        case "paying":
            return Step(
                name, sagas.at("p"), do=lambda _d: Command("pay"), undo=sagas.refund, merge=halved,
                retry=sagas.TWICE, undo_retry=sagas.ONCE, reply=sagas.Receipt,
            )  # fmt: skip
        case "pivot":
            return sagas.pivot(name)
        case "retriable":
            return sagas.retriable(name, retry=sagas.TWICE)
        case "kept":
            return sagas.kept(name)
        case "undo-only":
            return sagas.undone_before(name)
        case "wait":
            return wait_for(name, int, timeout=timedelta(minutes=1), accept=lambda _data, said: said > 0)
        case "pause":
            return pause_for(timedelta(seconds=40), name=name)
        case "broken":
            return Step(name, sagas.at("p"), do=broken_at_odd, undo=sagas.undo_of(name), retry=sagas.ONCE)
        case _:
            return sagas.step(name)


def composed(kind: str, name: str, below: list[Node[Any]]) -> Node[Any]:
    first = below[0]
    match kind:
        case "parallel":
            return parallel(*below)
        case "some":
            return parallel(*below, join=max(1, len(below) - 1))
        case "each":
            return each(kids, first, key=key, item=Data, name=name)
        case "when":
            return when(lambda data: data.flag, first, below[1] if below[1:] else None)
        case "tolerate":
            return tolerate(first)
        case "subsaga":
            return subsaga(Saga(name, version=1, data=Data, body=first), data=lambda data: data)
        case "otherwise":
            return wait_for(name, int, timeout=timedelta(minutes=1), otherwise=first)
        case _:
            return sequence(*below)


SHAPES = st.recursive(
    st.sampled_from(KINDS),
    lambda below: st.tuples(st.sampled_from(COMPOSITIONS), st.lists(below, min_size=1, max_size=3)),
    max_leaves=7,
)


def built(shape: Any, numbers: "count[int]") -> Node[Any]:
    if isinstance(shape, str):
        return leaf(shape, f"n{next(numbers)}")
    kind, below = shape
    return composed(kind, f"n{next(numbers)}", [built(part, numbers) for part in below])


def plan_of(shape: Any) -> Plan | None:
    """Return the saga of this shape, None where the linter refuses it."""
    body = built(shape, count(1))
    try:
        return compile_saga(Saga("random", version=1, data=Data, body=body, deadline=timedelta(minutes=3)))
    except DefinitionError:
        return None


PLANS = SHAPES.map(plan_of).filter(lambda plan: plan is not None)
REPLIES = (b"null", b'{"number":1}', b'{"number":0}', b'"nonsense"')


YES = Succeeded(b'{"number":1}')
ANSWERS: tuple[Answer, ...] = (
    *(YES for _ in range(8)),
    Refused("no", "said no"),
    Failed("broken"),
    Unconfirmed(),
    *(Succeeded(reply) for reply in REPLIES),
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw mostly a yes that can be read."""
    answer: Answer = draw(st.sampled_from(ANSWERS))
    return answer


@st.composite
def triggers(draw: st.DrawFn, state: State, plan: Plan) -> t.Trigger:
    """Draw something that may happen in `state`, sensible or not."""
    steps = [path for path, _step in state.steps()] or ["nowhere"]
    path = draw(st.sampled_from(steps))
    node = state.nodes.get(path)
    step = node if isinstance(node, StepState) else StepState()
    backwards = step.phase in ("undoing", "undo-retrying", "undo-stuck")
    direction: Any = draw(st.sampled_from(("undo", "undo", "do") if backwards else ("do", "do", "undo")))
    round_ = draw(st.sampled_from((max(1, step.round), 1, 2))) if direction == "undo" else 1
    reply = t.Reply(path, direction, round_, step.attempt, draw(answers()))
    stuck = draw(st.sampled_from([*state.stuck, *steps]))
    signal = draw(st.sampled_from(sorted(plan.signals) or ["none"]))
    said = t.Signal(
        signal, draw(st.sampled_from((b"1", b"0", b'"x"'))), draw(st.sampled_from(("", "1", "2")))
    )
    acts: tuple[t.Trigger, ...] = (
        *ASKED,
        t.Retry(stuck, "ann", "again"),
        t.Skip(stuck, "ann", "goes on"),
        t.Resolve(stuck, Succeeded(), "ann", "looked"),
        t.Resolve(stuck, Refused("no"), "ann", "looked"),
    )
    if draw(st.integers(0, 30)) == 0:
        return t.Abandon("ann", "gives up")
    likely: tuple[t.Trigger, ...] = (reply, reply, reply, draw(st.sampled_from(acts)), said)
    return draw(st.sampled_from(likely))


ASKED: tuple[t.Trigger, ...] = (
    t.Tick(),
    t.Tick(),
    t.Cancel("ann", "asks"),
    t.Pause("ann", "waits"),
    t.Resume("ann", "goes on"),
    t.Resume("ann", "goes on"),
    t.Start(b"{}"),
)
