"""Late replies: records an answer that came another way than back through its transport, and says what became of it.

Rules
- `recorded` and `duplicate` are told apart by what the step looked like before. Two that arrive at the same moment may
  both be told `recorded`; the stream has one.
- An event names a step and its items' keys; which place of the saga that is, and which round of an undo is meant, the
  instance says.
It does not: listen, or decide what a reply leads to (the core does).
"""

from collections.abc import Callable

from amends.application.entrance import Entrance
from amends.application.errors import ActRefused, AmendsError
from amends.application.instance import Ask
from amends.core.decision import ANY_ATTEMPT
from amends.core.outcome import Answer, Failed, Refused
from amends.core.plan import Place, Plan, StepPlace, UndoPlace
from amends.core.state import State, StepState
from amends.core.trigger import Reply
from amends.ports import CallbackReply, StreamKey, Verdict
from amends.ports.intake import EventCame


async def record_reply(entrance: Entrance, reply: CallbackReply) -> Verdict:
    """Record the answer to the command that it names.

    Raises:
        SagaUnknown: there is no such instance, or (DefinitionUnknown) this process does not have its definition.
    """
    trigger = _trigger(reply)
    if trigger is None:
        return "unknown"
    return await _record(entrance, StreamKey(reply.namespace, reply.saga_id), trigger)


def record_soon(entrance: Entrance, reply: CallbackReply, told: Callable[[Verdict | None], None]) -> bool:
    """Record the answer to the command that it names, without a task: `told` is called when that is durable.

    It hears None when it came to nothing: `record_reply` then says why. Returns False, and does nothing, when the
    instance is held elsewhere.
    """
    trigger = _trigger(reply)
    if trigger is None:
        return False
    ask = Ask(trigger)
    ask.waiter = _Waiter(entrance, trigger, ask, told)
    return entrance.submit(StreamKey(reply.namespace, reply.saga_id), ask)


class _Waiter:
    """Stands where a future would, and calls back at once: a future's callback would cost a turn of the loop."""

    __slots__ = ("_ask", "_entrance", "_reply", "_told")

    def __init__(
        self, entrance: Entrance, reply: Reply, ask: Ask, told: Callable[[Verdict | None], None]
    ) -> None:
        self._entrance = entrance
        self._reply = reply
        self._ask = ask
        self._told = told

    def done(self) -> bool:
        return self._ask.waiter is None

    def set_result(self, after: State) -> None:
        ask = self._ask
        # They do not hold on to each other any more: such a cycle would stay in memory until it is searched for.
        ask.waiter = None
        try:
            verdict = _verdict(self._entrance, ask.before or after, after, self._reply)
        except AmendsError:
            verdict = None
        self._told(verdict)

    def set_exception(self, _error: BaseException) -> None:
        self._ask.waiter = None
        self._told(None)


def _trigger(reply: CallbackReply) -> Reply | None:
    """Return what a reply means to the core; None when no command has that round."""
    if reply.round < 1 or (reply.direction == "do" and reply.round != 1):
        return None
    attempt = reply.attempt if isinstance(reply.answer, Failed) else ANY_ATTEMPT
    return Reply(reply.step, reply.direction, reply.round, attempt, reply.answer)


async def record_event(entrance: Entrance, namespace: str, event: EventCame) -> Verdict:
    """Record the answer that an event means.

    Raises:
        SagaUnknown: as `record_reply`.
    """
    key = StreamKey(namespace, event.saga_id)
    plan, state = await entrance.state(key)
    found = _meant(plan, state, event)
    if found is None:
        return "unknown"
    path, step = found
    round_ = 1 if event.direction == "do" else step.round
    return await _record(entrance, key, Reply(path, event.direction, round_, ANY_ATTEMPT, event.answer))


async def _record(entrance: Entrance, key: StreamKey, reply: Reply) -> Verdict:
    try:
        before, after = await entrance.compare(key, reply)
    except ActRefused as refused:
        if refused.code == "unknown-command":
            return "unknown"
        raise
    return _verdict(entrance, before, after, reply)


def _verdict(entrance: Entrance, before: State, after: State, reply: Reply) -> Verdict:
    step, was = after.nodes.get(reply.step), before.nodes.get(reply.step)
    is_do = reply.direction == "do"
    if not isinstance(step, StepState):
        return "unknown"
    if is_do and not (step.answered or isinstance(entrance.plan(after).locate(reply.step)[0], StepPlace)):
        # What only rolls back has no do.
        return "unknown"
    if is_do and _contradicts(step, reply.answer):
        return "contradicted"
    return "duplicate" if step == was else "recorded"


def _meant(plan: Plan, state: State, event: EventCame) -> tuple[str, StepState] | None:
    """Return the step that an event is about, if its command was issued."""
    participant = event.participant.rpartition("/")[2]
    for static, place in plan.places.items():
        if static.rpartition("/")[2] != event.step or _participant(place) != participant:
            continue
        step = state.nodes.get(static + event.keys)
        if isinstance(step, StepState) and (step.attempt if event.direction == "do" else step.round):
            return static + event.keys, step
    return None


def _participant(place: Place) -> str:
    match place:
        case StepPlace():
            return place.step.participant.name
        case UndoPlace():
            return place.node.participant.name
        case _:
            return ""


def _contradicts(step: StepState, answer: Answer) -> bool:
    """Tell whether the first definite answer to a do says otherwise."""
    if not step.answered or isinstance(answer, Failed):
        return False
    return isinstance(answer, Refused) != (step.answered == "refused")
