"""What the orchestrator raises to its caller.

Rules: the text says what happened, to which saga, and what to do. A mistake of the program that calls is a ValueError
as well.
It does not: say what a store raises (`amends.ports.store_errors`).
"""

from amends.core.decide import Rejected


class AmendsError(Exception):
    """Base of what the orchestrator raises."""


class NotRunning(AmendsError):
    """The orchestrator is not open, or has stopped; the text says why."""


class Overloaded(AmendsError):
    """Too many instances are in work and too many callers wait already; try again later."""


class SagaUnknown(AmendsError):
    """There is no such instance, or no such definition."""


class DefinitionUnknown(SagaUnknown):
    """The instance is there; this process does not have the definition that it runs on."""


class SagaIdInvalid(AmendsError, ValueError):
    """The saga id has characters that an id must not have, or is empty or too long."""


class NotEncodable(AmendsError, ValueError):
    """The data have no JSON form; the text says what has none."""


class SagaConflict(AmendsError):
    """The saga id stands for an instance with other data, or of another saga."""


class ActRefused(AmendsError):
    """The rules forbid what was asked of this instance. `code` names the rule for programs."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.code = code


def as_error(rejected: Rejected) -> AmendsError:
    """Return what the core's no is for the orchestrator's caller."""
    match rejected.code:
        case "conflict":
            return SagaConflict(str(rejected))
        case "not-started":
            return SagaUnknown(str(rejected))
        case _:
            return ActRefused(rejected.code, str(rejected))
