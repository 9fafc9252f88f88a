"""A command's place in its trace, for the service that executes it.

Rules: with OpenTelemetry's API installed, the handler runs in a span below the attempt that sent the command, and what
it does itself hangs below that. Where a span is current already (the service's own instrumentation made it), the
handler's hangs below that one. Without the API nothing happens: `Command.traceparent` is there all the same.
It does not: export, or need the SDK.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final, Literal

from amends.participant.message import Command

_IS_THERE: Final = find_spec("opentelemetry") is not None


@contextmanager
def traced(command: Command, kind: Literal["server", "consumer"]) -> Generator[None]:
    """Run what executes `command` within its span."""
    if not _IS_THERE:
        yield
        return
    from opentelemetry import propagate, trace

    context = None
    if not trace.get_current_span().get_span_context().is_valid:
        carrier = {"traceparent": command.traceparent, "tracestate": command.tracestate}
        context = propagate.extract({name: value for name, value in carrier.items() if value})
    with trace.get_tracer("amends.participant").start_as_current_span(
        command.name,
        context=context,
        kind=trace.SpanKind.SERVER if kind == "server" else trace.SpanKind.CONSUMER,
        attributes={
            "amends.saga_id": command.saga_id,
            "amends.step": command.step,
            "amends.direction": command.direction,
            "amends.round": command.round,
            "amends.attempt": command.attempt,
        },
    ):
        yield
