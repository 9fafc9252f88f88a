"""What the orchestrator raises to its caller.

Rules: the text says what happened, to which saga, and what to do. A mistake of the program that calls is a ValueError
as well.
It does not: say what a store raises (`amends.ports.store_errors`).
"""

from amends.core.decision import Rejected


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


class NoSuchSaga(SagaUnknown):
    """No definition of that name, or none of that version, was given to this orchestrator."""

    def __init__(
        self, name: str, version: int | None, near: tuple[str, ...], versions: tuple[int, ...]
    ) -> None:
        """Name what there is instead: names that are like `name`, or the versions that `name` has."""
        if versions:
            has = ", ".join(str(known) for known in versions)
            super().__init__(
                f"saga {name[:40]!r} has no version {version} here; it has {has}: use one of them, or deploy it"
            )
        else:
            hint = f"did you mean {' or '.join(near)}?" if near else "deploy its definition"
            super().__init__(f"there is no saga {name[:40]!r} here; {hint}")
        self.name = name
        self.version = version
        self.near = near
        self.versions = versions


class DefinitionChanged(DefinitionUnknown):
    """An open instance was begun on another definition of the same name and version."""


class NoSuchParticipant(AmendsError):
    """No participant is bound under that name."""

    def __init__(self, name: str, bound: tuple[str, ...]) -> None:
        """Keep the names that are."""
        super().__init__(f"no participant is bound as {name[:40]!r}; there is: {', '.join(bound) or 'none'}")
        self.bound = bound


class PositionMoved(AmendsError):
    """The instance is not where the caller saw it; nothing happened."""

    def __init__(self, saga_id: str, expected: int, actual: int) -> None:
        """Keep both positions."""
        super().__init__(
            f"saga {saga_id!r} is at position {actual}, not at {expected} where you saw it; nothing was done: look at "
            "it again and decide anew"
        )
        self.saga_id = saga_id
        self.expected = expected
        self.actual = actual


class PositionUnknown(AmendsError, ValueError):
    """The stream has no such position."""

    def __init__(self, saga_id: str, position: int, end: int) -> None:
        """Keep what was asked for and what there is."""
        super().__init__(f"saga {saga_id!r} has no position {position}; it has 1 to {end}")
        self.position = position
        self.end = end


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


class DataUnfit(ActRefused, ValueError):
    """The data do not fit the type that they are for: the saga's own, a signal's or a reply's."""


def as_error(rejected: Rejected) -> AmendsError:
    """Return what the core's no is for the orchestrator's caller."""
    match rejected.code:
        case "conflict":
            return SagaConflict(str(rejected))
        case "not-started":
            return SagaUnknown(str(rejected))
        case "unreadable":
            return DataUnfit(rejected.code, str(rejected))
        case _:
            return ActRefused(rejected.code, str(rejected))
