"""What looks on while the engine works: the meter, the tracer, the user's hooks.

Rules: a witness is told what is durable, after that is so and before it is acted on; an observer also of what is sent.
Neither waits or raises. Where nobody looks on there are none, and that costs the look at one attribute.
It does not: decide.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from amends.core.decision import Decision
from amends.core.effect import SendCommand

if TYPE_CHECKING:
    from amends.application.instance import Instance


class Witness(Protocol):
    """Is told of what is stored."""

    def committed(self, instance: "Instance", decision: Decision, at: datetime) -> None:
        """Take notice of a decision that is stored; `instance` is still as it was before."""
        ...


class Observer(Witness, Protocol):
    """Looks on at what is stored and sent."""

    def sending(self, instance: "Instance", command: SendCommand) -> SendCommand:
        """Return `command` as it is to be handed over."""
        ...
