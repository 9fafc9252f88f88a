"""The telemetry port: where finished spans go, and what whoever calls is doing.

Rules
- `emit` neither waits nor raises: a span that cannot be kept is lost, and nothing else is.
- `DOING` is what is being done here just now, for whoever begins something: set by the doors, while traces are on.
It does not: decide what is a span (`application/tracer.py`), or sample.
"""

from contextvars import ContextVar
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from amends.core.effect import TraceContext, TraceSource

SpanKind: TypeAlias = Literal["internal", "server", "client", "consumer"]
Attributes: TypeAlias = tuple[tuple[str, str | int], ...]

DOING: Final[ContextVar[TraceSource | None]] = ContextVar("amends_doing", default=None)


class SpanForm(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What many spans have in common; the same object stands for the same content, so it may be translated once."""

    name: str
    kind: SpanKind
    attributes: Attributes = ()


class SpanSubject(msgspec.Struct, eq=False, gc=False):
    """What several spans are about: attributes that they share, and room for what a sink makes of these."""

    attributes: Attributes
    written: bytes | None = None
    """Of the sink that they go to; nobody else's."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """Another span that this one has to do with."""

    trace: bytes
    span: bytes


class Note(msgspec.Struct, frozen=True, gc=False):
    """Something that happened during a span."""

    name: str
    at: int
    attributes: Attributes = ()


class Span(msgspec.Struct, frozen=True, gc=False):
    """One finished span. Instants are nanoseconds since 1970 (UTC)."""

    form: SpanForm
    trace: bytes
    """16 bytes."""
    id: bytes
    """8 bytes."""
    began: int
    ended: int
    parent: bytes = b""
    """8 bytes; empty at the root of a trace."""
    about: SpanSubject | None = None
    """What it shares with others that are about the same."""
    attributes: Attributes = ()
    """Its own, besides those of its form and its subject."""
    state: str = ""
    """The trace's `tracestate`."""
    failure: str | None = None
    """Why it did not succeed."""
    links: tuple[Link, ...] = ()
    notes: tuple[Note, ...] = ()


class SpanSink(Protocol):
    """Where spans go."""

    @property
    def lost(self) -> int:
        """How many could not be kept, since it was opened."""
        ...

    def emit(self, span: Span) -> None:
        """Take a finished span."""
        ...

    def doing(self) -> TraceContext | None:
        """Return what the application's own tracing says is being done; None when it says nothing."""
        ...

    async def open(self) -> None:
        """Begin to take spans."""
        ...

    async def close(self) -> None:
        """Pass on what was taken, if that does not take long. Closing twice is harmless."""
        ...


class Traces(NamedTuple):
    """Where spans go, and of how many instances."""

    sink: SpanSink
    ratio: float = 1.0
    """The share that is kept of those whose starter has not decided about it."""
