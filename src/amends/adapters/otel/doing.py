"""What the application is doing, by OpenTelemetry's API: the span that is current where somebody starts a saga.

Rules: no current span is None. It does not: make one current.
"""

from opentelemetry import trace

from amends.core.effect import TraceContext
from amends.wire.trace_parent import written


def current() -> TraceContext | None:
    """Return the context of the current span."""
    span = trace.get_current_span()
    if span is trace.INVALID_SPAN:
        return None
    context = span.get_span_context()
    if not context.is_valid:
        return None
    parent = written(
        context.trace_id.to_bytes(16),
        context.span_id.to_bytes(8),
        is_sampled=context.trace_flags.sampled,
    )
    return TraceContext(parent, context.trace_state.to_header())
