"""Hooks: the user's own functions around each step.

Rules
- `before` is called when an attempt's order is durable and it is about to be handed to its participant; again when it
  is sent again (a restart, a breaker that closes). `after` is called when its answer is durable, however it came, once.
- They are called on the event loop and nothing waits for what they return: one that takes long holds up everything; one
  that has to wait makes a task of its own.
- What one raises is logged, at most once every ten seconds for each, and changes nothing else.
They do not: see payloads, or decide anything.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from amends.application.instance import Instance
from amends.core import event as e
from amends.core.decision import Decision
from amends.core.effect import Direction, SendCommand, command_id
from amends.core.state import State, StepState
from amends.core.transitions import IN_FLIGHT

log = logging.getLogger("amends.hooks")

QUIET: Final = 10.0
"""Seconds in which a hook that raises again is not logged again."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt of a step."""

    namespace: str
    saga_id: str
    saga: str
    step: str
    """Its path: `hold-stock[apple]`."""
    direction: Direction
    round: int
    attempt: int
    participant: str
    command: str
    """The command's name."""
    command_id: str
    trace_id: str = ""
    """32 hexadecimal digits; empty unless traces are on."""


class AttemptEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt came to."""

    outcome: str
    """`succeeded`, `refused`, `unconfirmed`, or `failed`: no trustworthy answer."""
    at: datetime
    """When that was decided (UTC)."""
    code: str = ""
    """Of a refusal; of a failure, its fault: `timeout`, `transient`…"""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class StepHook:
    """Functions around each attempt of each step."""

    before: Callable[[Attempt], object] | None = None
    after: Callable[[Attempt, AttemptEnd], object] | None = None


class Hooks:
    """The hooks of one orchestrator."""

    def __init__(
        self,
        hooks: Sequence[StepHook],
        *,
        trace_id: Callable[[str], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call `hooks` in their order; `trace_id` says which trace an instance has, `monotonic` tells seconds."""
        self._trace_id = trace_id
        self._before = [hook.before for hook in hooks if hook.before is not None]
        self._after = [hook.after for hook in hooks if hook.after is not None]
        self._monotonic = monotonic
        self._said: dict[int, float] = {}

    def sending(self, instance: Instance, command: SendCommand) -> SendCommand:
        """Tell of an attempt that is about to be handed over."""
        if not self._before:
            return command
        attempt = Attempt(
            namespace=command.namespace,
            saga_id=command.saga_id,
            saga=command.saga,
            step=command.step,
            direction=command.direction,
            round=command.round,
            attempt=command.attempt,
            participant=command.participant,
            command=command.name,
            command_id=command.command_id,
            trace_id=self._trace_id(instance.key.saga_id),
        )
        for hook in self._before:
            try:
                hook(attempt)
            except Exception as error:  # noqa: BLE001  a hook never harms the saga
                self._raised(hook, attempt, error)
        return command

    def committed(self, instance: Instance, decision: Decision, at: datetime) -> None:
        """Tell of the attempts that a stored decision ended."""
        if not self._after:
            return
        ends = [*_ends(instance.state, decision, at)]
        trace_id = self._trace_id(instance.key.saga_id) if ends else ""
        for each, end in ends:
            attempt = replace(each, trace_id=trace_id)
            for hook in self._after:
                try:
                    hook(attempt, end)
                except Exception as error:  # noqa: BLE001  a hook never harms the saga
                    self._raised(hook, attempt, error)

    def _raised(self, hook: Callable[..., object], attempt: Attempt, error: Exception) -> None:
        now, said = self._monotonic(), self._said.get(id(hook))
        if said is None or now - said >= QUIET:
            self._said[id(hook)] = now
            text = "a hook raised for %s, attempt %d; the saga goes on"
            log.error(
                text, attempt.command_id, attempt.attempt, exc_info=error, extra={"saga": attempt.saga_id}
            )


def _ends(before: State, decision: Decision, at: datetime) -> Iterator[tuple[Attempt, AttemptEnd]]:
    for event in decision.events:
        match event:
            case e.ReplyRecorded():
                end = AttemptEnd(outcome=event.outcome, at=at, code=event.code, reason=event.reason)
                number = 0
            case e.AttemptFailed():
                end = AttemptEnd(outcome="failed", at=at, code=event.fault, reason=event.reason)
                number = event.attempt
            case _:
                continue
        step = before.nodes.get(event.step)
        if isinstance(step, StepState) and step.phase in IN_FLIGHT:
            yield _attempt(before, step, event, number or step.attempt), end


def _attempt(
    before: State, step: StepState, event: e.ReplyRecorded | e.AttemptFailed, number: int
) -> Attempt:
    return Attempt(
        namespace=before.namespace,
        saga_id=before.saga_id,
        saga=before.saga,
        step=event.step,
        direction=event.direction,
        round=event.round,
        attempt=number,
        participant=step.participant,
        command=step.name,
        command_id=command_id(before.namespace, before.saga_id, event.step, event.direction, event.round),
    )
