"""Late replies: records an answer that came another way than back through its transport, and says what became of it.

Rules
- `recorded` and `duplicate` are told apart by what the step looked like before. Two that arrive at the same moment may
  both be told `recorded`; the stream has one.
- An event names a step and its items' keys; which place of the saga that is, and which round of an undo is meant, the
  instance says.
It does not: listen, or decide what a reply leads to (the core does).
"""

from amends.application.entrance import Entrance
from amends.application.errors import ActRefused
from amends.core.decide import ANY_ATTEMPT
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
    if reply.round < 1 or (reply.direction == "do" and reply.round != 1):
        return "unknown"
    attempt = reply.attempt if isinstance(reply.answer, Failed) else ANY_ATTEMPT
    trigger = Reply(reply.step, reply.direction, reply.round, attempt, reply.answer)
    return await _record(entrance, StreamKey(reply.namespace, reply.saga_id), trigger)


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
    step, was = after.nodes.get(reply.step), before.nodes.get(reply.step)
    is_do = reply.direction == "do"
    if not isinstance(step, StepState):
        return "unknown"
    if is_do and not isinstance(entrance.plan(after).locate(reply.step)[0], StepPlace):
        # What only rolls back has no do.
        return "unknown"
    if _contradicts(step, reply.answer, is_do=is_do):
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


def _contradicts(step: object, answer: Answer, *, is_do: bool) -> bool:
    """Tell whether the first definite answer to a do says otherwise."""
    if not isinstance(step, StepState) or not is_do or isinstance(answer, Failed):
        return False
    return bool(step.answered) and isinstance(answer, Refused) != (step.answered == "refused")
