"""Spans into the application's own OpenTelemetry pipeline: the span processor that its tracer provider has.

Rules: a span arrives finished, with the ids that Amends gave it; the processor's `on_end` takes it, `on_start` is not
called. What the processor raises is lost with its span and counted.
It does not: own the processor; whoever made it closes it.
"""

from importlib.metadata import version
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind as OtelKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from amends.adapters.otel.doing import current
from amends.core.effect import TraceContext
from amends.ports.telemetry import Span, SpanKind

_KINDS: Final[dict[SpanKind, OtelKind]] = {
    "internal": OtelKind.INTERNAL,
    "server": OtelKind.SERVER,
    "client": OtelKind.CLIENT,
    "consumer": OtelKind.CONSUMER,
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class PipelineSpans:
    """Fills the span sink port."""

    def __init__(self, processor: SpanProcessor, *, resource: Resource | None = None) -> None:
        """Give spans to `processor`; `resource` is what its tracer provider was made with."""
        self._processor = processor
        self._resource = Resource.create() if resource is None else resource
        self._scope = InstrumentationScope("amends", version("amends"))
        self.lost = 0

    def emit(self, span: Span) -> None:
        """Hand a span over."""
        try:
            self._processor.on_end(self._translated(span))
        except Exception:  # noqa: BLE001  the port's rule: nothing else is lost
            self.lost += 1

    def doing(self) -> TraceContext | None:
        """Return what the application's own tracing says is being done."""
        return current()

    async def open(self) -> None:
        """Nothing to begin."""

    async def close(self) -> None:
        """Nothing to end."""

    def _translated(self, span: Span) -> ReadableSpan:
        state = TraceState.from_header([span.state]) if span.state else None
        status = Status(StatusCode.UNSET) if span.failure is None else Status(StatusCode.ERROR, span.failure)
        return ReadableSpan(
            span.form.name,
            context=_context(span.trace, span.id, state),
            parent=_context(span.trace, span.parent, state) if span.parent else None,
            resource=self._resource,
            attributes=dict(
                (*span.form.attributes, *(span.about.attributes if span.about else ()), *span.attributes)
            ),
            events=[Event(note.name, dict(note.attributes), note.at) for note in span.notes],
            links=[Link(_context(link.trace, link.span, None)) for link in span.links],
            kind=_KINDS[span.form.kind],
            status=status,
            start_time=span.began,
            end_time=span.ended,
            instrumentation_scope=self._scope,
        )


def _context(trace: bytes, span: bytes, state: TraceState | None) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace), int.from_bytes(span), is_remote=False, trace_flags=_SAMPLED, trace_state=state
    )
