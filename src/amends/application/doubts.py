"""Doubts: before the outcome of a command is called unknown, or its step stuck, the participant is asked what it knows.

Rules
- Only where the binding can ask (`Knows`), once for each attempt, within a bounded time, a few at a time. While the
  breaker is not closed nobody is asked: there is nobody to answer.
- What is found is a reply like any other. If nothing is, the attempt has failed as it would have without asking.
- Meanwhile nothing is decided about that attempt, and its time stands still; the instance goes on otherwise. A crash
  meanwhile leaves an attempt that is outstanding, as ever.
It does not: decide what follows, or ask on behalf of anybody else.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Final, TypeAlias

from amends.application.dispatcher import Dispatcher
from amends.application.instance import Ask
from amends.application.lane import SILENT
from amends.core.decision import Decision
from amends.core.effect import SendCommand
from amends.core.event import AttemptFailed, OutcomeUnknown, StepStuck
from amends.core.outcome import Answer, Failed
from amends.core.state import State, StepState
from amends.core.transitions import IN_FLIGHT
from amends.ports import Knows

log = logging.getLogger("amends.doubts")

NOTHING: Final[frozenset[str]] = frozenset()
ASKED_WITHIN: Final = 10.0
"""Seconds."""
AT_A_TIME: Final = 20
"""Questions to one participant."""
END_OF_KNOWLEDGE: Final = (OutcomeUnknown, StepStuck)

Told: TypeAlias = Callable[[SendCommand, Answer], None]


class Doubts:
    """One per engine."""

    def __init__(self, dispatcher: Dispatcher, told: Told) -> None:
        """`told` is told what was found, or how the attempt failed."""
        self._lane_of = dispatcher.lane_of
        lanes = dispatcher.lanes.values()
        self.are_possible = any(
            isinstance(each, Knows) and each.knows for each in (lane.transport for lane in lanes)
        )
        self._told = told
        self._asking: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._room: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_A_TIME))

    def raised_by(self, state: State, decision: Decision, ask: Ask) -> frozenset[str]:
        """Ask about each command that `decision` would give up; return the paths of their steps.

        `state` is the one before the decision, in which they are in flight. What a person or a callback brings is
        taken as it is, and so is what was asked already.
        """
        if ask.is_settled or ask.waiter is not None:
            return NOTHING
        found: set[str] = set()
        for event in decision.events:
            if isinstance(event, END_OF_KNOWLEDGE):
                step = state.nodes.get(event.step)
                if isinstance(step, StepState) and step.phase in IN_FLIGHT:
                    command = state.command(event.step, step)
                    if self._asks(command, decision):
                        found.add(event.step)
        return frozenset(found) if found else NOTHING

    def _asks(self, command: SendCommand, decision: Decision) -> bool:
        """Tell whether the participant is being asked about `command` from now on, or was already."""
        attempt = (command.command_id, command.attempt)
        if attempt in self._asking:
            return True
        lane = self._lane_of(command)
        if lane is None or not lane.gate.breaker.is_closed:
            return False
        transport = lane.transport
        if not isinstance(transport, Knows) or not transport.knows:
            return False
        otherwise = _failure(decision, command.step)
        task = asyncio.create_task(self._ask(command, transport, otherwise, self._room[lane.name]))
        self._asking[attempt] = task
        return True

    async def _ask(
        self, command: SendCommand, transport: Knows, otherwise: Failed, room: asyncio.Semaphore
    ) -> None:
        known: Answer | None = None
        try:
            async with room, asyncio.timeout(ASKED_WITHIN):
                known = await transport.status(command)
        except TimeoutError:
            log.info("%s: nobody said in time what became of it", command.command_id)
        except Exception as error:  # noqa: BLE001  whoever breaks while asked has said nothing
            log.warning("%s: asking what became of it raised %r", command.command_id, error)
        del self._asking[command.command_id, command.attempt]
        self._told(command, otherwise if known is None or isinstance(known, Failed) else known)

    async def stop(self) -> None:
        """Ask no more; what was in doubt is outstanding, and sent again at the next opening."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def _failure(decision: Decision, step: str) -> Failed:
    """Return how the attempt failed that `decision` would give up."""
    for event in decision.events:
        if isinstance(event, AttemptFailed) and event.step == step:
            return Failed(event.reason, event.fault)
    return SILENT
