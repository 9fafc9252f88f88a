"""What looks on while the engine works: the tracer, the user's hooks, or both.

Rules: it is told what is durable, after that is so and before it is acted on; it neither waits nor raises. Where nobody
looks on there is none, and that costs the look at one attribute.
It does not: decide.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from amends.core.decide import Decision
from amends.core.effect import SendCommand

if TYPE_CHECKING:
    from amends.application.instance import Instance


class Observer(Protocol):
    """Looks on."""

    def sending(self, instance: "Instance", command: SendCommand) -> SendCommand:
        """Return `command` as it is to be handed over."""
        ...

    def committed(self, instance: "Instance", decision: Decision, at: datetime) -> None:
        """Take notice of a decision that is stored; `instance` is still as it was before."""
        ...


class Observers:
    """Several at once, one after the other."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        """Tell `observers` in their order."""
        self._all = tuple(observers)

    def sending(self, instance: "Instance", command: SendCommand) -> SendCommand:
        """Return `command` as it is to be handed over."""
        for each in self._all:
            command = each.sending(instance, command)
        return command

    def committed(self, instance: "Instance", decision: Decision, at: datetime) -> None:
        """Take notice of a decision that is stored."""
        for each in self._all:
            each.committed(instance, decision, at)
