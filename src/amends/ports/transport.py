"""The transport port: takes a durable command to a participant and brings its answer.

Rules: `send` classifies whatever happens into an `Answer` and raises nothing but cancellation; it sends once (retries
belong to the core); it may be called many times, and at the same time, for the same command.
It does not: persist, retry, or decide what an answer leads to.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer


class Transport(Protocol):
    """One binding of one participant."""

    async def send(self, command: SendCommand) -> Answer | Accepted:
        """Deliver `command` once and return what the participant said."""
        ...

    async def close(self) -> None:
        """Release connections. Closing twice is harmless."""
        ...


Told: TypeAlias = Callable[[Answer | Accepted], None]
"""Hears what the participant said to a command."""


@runtime_checkable
class Posts(Protocol):
    """What a transport has besides when it can take a command without anybody who waits for it."""

    @property
    def posts(self) -> bool:
        """Whether this binding's transport can."""
        ...

    def post(self, command: SendCommand, told: Told) -> Callable[[], None]:
        """Begin to deliver `command` once; `told` hears what `send` would return, never before this has returned.

        What is returned gives the delivery up: whoever does that is not told any more.
        """
        ...


@runtime_checkable
class Knows(Protocol):
    """What a transport has besides when its participant can be asked what became of a command."""

    @property
    def knows(self) -> bool:
        """Whether this binding's participant can."""
        ...

    async def status(self, command: SendCommand) -> Answer | None:
        """Return the answer that the participant gave to `command`; None when nobody knows of one.

        It is only asked: nothing is done that was not done before.
        """
        ...


class Binding(NamedTuple):
    """How a participant is bound, to be shown to people."""

    kind: str
    """``local``, ``http``…"""
    address: str
    """Where its commands go, without credentials; empty when that is this process."""


@runtime_checkable
class Described(Protocol):
    """What a transport has besides when it can say where its commands go."""

    @property
    def binding(self) -> Binding:
        """How the participant is bound."""
        ...


@runtime_checkable
class Troubled(Protocol):
    """What a transport has besides when its commands may have to wait for their way out."""

    @property
    def trouble(self) -> str:
        """What keeps commands from being sent just now; empty when nothing does."""
        ...
