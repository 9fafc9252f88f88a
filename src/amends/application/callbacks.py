"""Late replies: brings what comes through a door to the orchestrator of its namespace, and says what became of it.

Rules
- The door opens before there is an orchestrator, because the bindings must name its URL. A reply that comes earlier, or
  after the orchestrator was closed, is not recorded: its sender is told to send it again.
- `recorded` and `duplicate` are told apart by what the step looked like before. Two that arrive at the same moment may
  both be told `recorded`; the stream has one.
It does not: listen (a door does), or decide what a reply leads to (the core does).
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from amends.application.entrance import Entrance
from amends.application.errors import ActRefused, DefinitionUnknown, NotRunning, SagaUnknown
from amends.application.orchestrator import Orchestrator
from amends.core.decide import ANY_ATTEMPT
from amends.core.outcome import Failed, Refused
from amends.core.plan import Plan, StepPlace
from amends.core.state import State, StepState
from amends.core.trigger import Reply
from amends.ports import CallbackDoor, CallbackReply, Deliver, StreamKey, Verdict


class Callbacks:
    """A door for late replies; `amends.callbacks` makes it.

    Use it as ``async with callbacks(port=8096) as replies``, give `replies.url` to the bindings, and the orchestrator
    to `replies.deliver_to`.
    """

    def __init__(self, door: Callable[[Deliver], CallbackDoor]) -> None:
        """Make the door; nothing is let in before ``async with``."""
        self._door = door(self._deliver)
        self._orchestrators: dict[str, Orchestrator] = {}

    @property
    def url(self) -> str:
        """The `callback_url` for participants on this machine; with port 0 it is known once the door is open."""
        return self._door.url

    def deliver_to(self, amends: Orchestrator) -> None:
        """Bring replies for `amends`' namespace to it from now on."""
        self._orchestrators[amends.namespace] = amends

    async def __aenter__(self) -> Self:
        """Open the door. Raises OSError when the address cannot be had."""
        await self._door.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the door, after what is being answered."""
        await self._door.stop()

    async def _deliver(self, reply: CallbackReply) -> Verdict:
        if not self._orchestrators:
            raise NotRunning("no orchestrator takes replies yet; give one to `deliver_to`")
        amends = self._orchestrators.get(reply.namespace)
        return "unknown" if amends is None else await _record(amends.engine.entrance, reply)


async def _record(entrance: Entrance, reply: CallbackReply) -> Verdict:
    key = StreamKey(reply.namespace, reply.saga_id)
    try:
        plan, state = await entrance.state(key)
        before = _asked(plan, state, reply)
        if before is None:
            return "unknown"
        trigger = Reply(reply.step, reply.direction, reply.round, ANY_ATTEMPT, reply.answer)
        after = (await entrance.act(key, trigger)).nodes[reply.step]
    except DefinitionUnknown:
        # It was sent by a process that has the definition: not lost, if it comes again where that one is deployed.
        raise
    except SagaUnknown:
        return "unknown"
    except ActRefused as refused:
        if refused.code == "unknown-command":
            return "unknown"
        raise
    if _contradicts(after, reply):
        return "contradicted"
    return "duplicate" if after == before else "recorded"


def _asked(plan: Plan, state: State, reply: CallbackReply) -> StepState | None:
    """Return the step whose command is answered; None when no such command was ever issued."""
    step = state.nodes.get(reply.step)
    if not isinstance(step, StepState):
        return None
    if reply.direction == "undo":
        return step if 1 <= reply.round <= step.round else None
    place, _keys = plan.locate(reply.step)
    return step if reply.round == 1 and step.attempt and isinstance(place, StepPlace) else None


def _contradicts(step: object, reply: CallbackReply) -> bool:
    """Tell whether the first definite answer to a do says otherwise."""
    if not isinstance(step, StepState) or reply.direction == "undo" or isinstance(reply.answer, Failed):
        return False
    return bool(step.answered) and isinstance(reply.answer, Refused) != (step.answered == "refused")
