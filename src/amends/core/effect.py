"""What the core wants done in the outside world: send a command.

Rules: an effect is derived from stored facts alone, so the same effect comes out of a fresh decision and out of
recovery, and is carried out by the same code. It is never carried out before the facts it follows from are durable.
It does not: talk to anybody, know transports, or hold anything that cannot be rebuilt from the event stream.
Timers are no separate effect: the next wake-up is part of the state (`State.wake_at`).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

Direction: TypeAlias = Literal["do", "undo"]


class TraceContext(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where something belongs in a distributed trace (W3C Trace Context). No decision reads it."""

    parent: str
    """A `traceparent`: 55 characters, checked by whoever took it in."""
    state: str = ""
    """The `tracestate` beside it; empty when there is none."""


TraceSource: TypeAlias = Callable[[], TraceContext]


class SendCommand(msgspec.Struct, frozen=True, gc=False):
    """A command that is outstanding: issued, durable, and not answered yet.

    The command id is stable over retries and restarts; only `attempt` grows. A participant may see it many times
    and must act once.
    """

    namespace: str
    saga_id: str
    saga: str
    step: str
    """Step path, ASCII, such as ``reserve-stock[sku-1]``."""
    direction: Direction
    round: int
    attempt: int
    command_id: str
    participant: str
    name: str
    payload: bytes
    """JSON document."""
    due: datetime | None
    """When the orchestrator stops waiting for this attempt's answer (UTC)."""
    trace: TraceSource | None = None
    """Says what this attempt's participant is told; None unless traces are on."""


def command_id(namespace: str, saga_id: str, step: str, direction: Direction, round_: int) -> str:
    """Name a command: saga id, step path, direction and round; the namespace only where it is not the default."""
    return named(namespace, saga_id, id_ending(step, direction, round_))


def id_ending(step: str, direction: Direction, round_: int) -> str:
    """Return what in a command's id does not depend on the instance."""
    # Nearly always it is the first round; a number is dear to write.
    return f"/{step}/{direction}/1" if round_ == 1 else f"/{step}/{direction}/{round_}"


def named(namespace: str, saga_id: str, ending: str) -> str:
    """Return the id of an instance's command that ends in `ending`."""
    return saga_id + ending if namespace == "default" else f"{namespace}:{saga_id}{ending}"
