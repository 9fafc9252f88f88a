"""What the core wants done in the outside world: send a command.

Rules: an effect is derived from stored facts alone, so the same effect comes out of a fresh decision and out of
recovery, and is carried out by the same code. It is never carried out before the facts it follows from are durable.
It does not: talk to anybody, know transports, or hold anything that cannot be rebuilt from the event stream.
Timers are no separate effect: the next wake-up is part of the state (`State.wake_at`).
"""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

Direction: TypeAlias = Literal["do", "undo"]


class SendCommand(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


def command_id(namespace: str, saga_id: str, step: str, direction: Direction, round_: int) -> str:
    """Name a command: saga id, step path, direction and round; the namespace only where it is not the default."""
    owner = saga_id if namespace == "default" else f"{namespace}:{saga_id}"
    return f"{owner}/{step}/{direction}/{round_}"
