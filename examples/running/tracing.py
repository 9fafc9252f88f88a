"""Traces of the examples' processes: on when the environment names a receiver, as any OpenTelemetry service does it.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 amends demo fulfilment

Rules: a service installs the SDK once and does nothing else; the participants' kit makes its spans.
Does not do: require the SDK. Without the address nothing is imported.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager

from amends import Traces, traces

ADDRESS = "OTEL_EXPORTER_OTLP_ENDPOINT"


@contextmanager
def exported(name: str) -> Generator[None]:
    """Send this service's spans while the block lasts; what is left is sent at its end."""
    if not os.environ.get(ADDRESS):
        yield
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def traced() -> Traces | None:
    """Return where the orchestrator's own traces go."""
    address = os.environ.get(ADDRESS)
    return traces(address, service_name="orchestrator") if address else None
