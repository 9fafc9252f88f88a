"""The callback port: a door through which come the replies that a participant promised with 202.

Rules: a door brings each reply to `Deliver` and tells its sender the verdict. When `Deliver` raises, nothing was
recorded, and the sender is told to send it again.
It does not: judge a reply, or know whether anybody waits for it.
"""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeAlias

import msgspec

from amends.core.effect import Direction
from amends.core.outcome import Failed, Refused, Succeeded

Verdict: TypeAlias = Literal["recorded", "duplicate", "contradicted", "unknown"]
"""`recorded`: it is durable now. `duplicate`: it changed nothing. `contradicted`: another answer stands, and this one
is shown beside it. `unknown`: no such command was sent."""


class CallbackReply(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which command is answered, and the answer."""

    command_id: str
    saga_id: str
    namespace: str
    step: str
    direction: Direction
    round: int
    answer: Succeeded | Refused | Failed
    attempt: int = 0
    """Which attempt is answered; 0: not said, the one in flight is meant. Only a failure needs it."""


Deliver: TypeAlias = Callable[[CallbackReply], Awaitable[Verdict]]


class CallbackDoor(Protocol):
    """Where replies come in."""

    @property
    def url(self) -> str:
        """Where participants send them."""
        ...

    async def start(self) -> None:
        """Let replies in. Raises OSError when the address cannot be had."""
        ...

    async def stop(self) -> None:
        """Let none in any more, after what is being answered. Stopping twice is harmless."""
        ...
