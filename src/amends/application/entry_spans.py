"""Spans of what comes in: a request, and a record of a topic.

Rules
- A request continues the trace of its caller, and what it starts hangs below it.
- A record is taken as a phase of its own: a span at the root of its own trace, *linked* to the span of the instance
  that it is for and to whatever its sender was doing. An instance that a record starts continues the sender's trace.
- What is begun within them finds what is being done in `DOING`.
They do not: read requests or records.
"""

from contextvars import Token
from types import TracebackType
from typing import Self

from amends.application.span_forms import listener_form, request_form
from amends.application.trace_ids import fresh, fresh_span
from amends.application.tracer import Tracer
from amends.core.effect import TraceContext, TraceSource
from amends.ports import StreamKey
from amends.ports.intake import Outcome, Record
from amends.ports.telemetry import DOING, Attributes, Link, Span
from amends.wire import trace_parent

BROKEN = 500
"""The first status that says: something is wrong here."""


class RequestSpan:
    """Use it as ``with RequestSpan(...) as span``; `answered` says what was answered."""

    def __init__(self, tracer: Tracer, method: str, route: str, *, parent: str, state: str) -> None:
        """`parent` and `state` are what the request says of its caller's trace; empty when it says nothing."""
        given = trace_parent.read(parent)
        self._tracer = tracer
        self._method, self._route = method, route
        begun = given or fresh(tracer.ratio)
        self._trace, self._is_sampled = begun.trace, begun.is_sampled
        self._parent = begun.span if given else b""
        self._state = trace_parent.state_of(state) if given else ""
        self._id = fresh_span()
        self._began = tracer.now()
        self._status = 0
        self._links: tuple[Link, ...] = ()
        self._attributes: Attributes = ()
        self._token: Token[TraceSource | None] | None = None

    @property
    def trace_id(self) -> str:
        """The trace's id, as 32 digits."""
        return self._trace.hex()

    def _context(self) -> TraceContext:
        parent = trace_parent.written(self._trace, self._id, is_sampled=self._is_sampled)
        return TraceContext(parent, self._state)

    def answered(self, status: int, key: StreamKey | None) -> None:
        """Take notice of the answer, and of the instance that it was about."""
        self._status = status
        if key is not None:
            self._attributes = (("amends.saga_id", key.saga_id),)
            saga = self._tracer.known(key)
            if saga is not None and saga.trace != self._trace:
                self._links = (Link(saga.trace, saga.id),)

    def __enter__(self) -> Self:
        """Begin: what is started from now on hangs below this span."""
        self._token = DOING.set(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self._token is not None:
            DOING.reset(self._token)
        if not self._is_sampled:
            return
        broke = self._status >= BROKEN or error is not None
        self._tracer.sink.emit(
            Span(
                form=request_form(self._method, self._route, self._status),
                trace=self._trace,
                id=self._id,
                parent=self._parent,
                state=self._state,
                began=self._began,
                ended=self._tracer.now(),
                attributes=self._attributes,
                failure=(type(error).__name__ if error else f"status {self._status}") if broke else None,
                links=self._links,
            )
        )


class ListenerSpan:
    """Use it as ``with ListenerSpan(...) as span``; `came_to` says what became of the record."""

    def __init__(self, tracer: Tracer, record: Record) -> None:
        """Begin to take `record`."""
        self._tracer = tracer
        self._record = record
        headers = dict(record.headers)
        parent = headers.get("traceparent", b"").decode("ascii", "replace")
        self._given = trace_parent.read(parent)
        self._sender: TraceContext | None = None
        if self._given is not None:
            state = headers.get("tracestate", b"").decode("ascii", "replace")
            self._sender = TraceContext(parent, trace_parent.state_of(state))
        self._began = tracer.now()
        self._outcome = ""
        self._key: StreamKey | None = None
        self._token: Token[TraceSource | None] | None = None

    def came_to(self, outcome: Outcome, key: StreamKey | None) -> None:
        """Take notice of what became of it, and of the instance that it was for."""
        self._outcome = outcome
        self._key = key

    def __enter__(self) -> Self:
        """Begin: what is started from now on continues the sender's trace."""
        sender = self._sender
        self._token = DOING.set(None if sender is None else lambda: sender)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self._token is not None:
            DOING.reset(self._token)
        saga = None if self._key is None else self._tracer.known(self._key)
        own, given = fresh(self._tracer.ratio), self._given
        decided = given if saga is None else saga
        if not (own if decided is None else decided).is_sampled:
            return
        links = [Link(saga.trace, saga.id)] if saga is not None else []
        if given is not None:
            links.append(Link(given.trace, given.span))
        record = self._record
        about: Attributes = () if self._key is None else (("amends.saga_id", self._key.saga_id),)
        self._tracer.sink.emit(
            Span(
                form=listener_form(record.topic, self._outcome or "again"),
                trace=own.trace,
                id=own.span,
                began=self._began,
                ended=self._tracer.now(),
                attributes=(
                    *about,
                    ("messaging.destination.partition.id", str(record.partition)),
                    ("messaging.kafka.offset", record.offset),
                ),
                failure=None if error is None else f"{type(error).__name__}: it is taken again",
                links=tuple(links),
            )
        )
