"""Where spans go, as a user says it.

Rules: what is needed of OpenTelemetry is imported when it is asked for.
It does not: read settings.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from amends.ports.telemetry import Traces

__all__ = ["Traces", "traces", "traces_through"]

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor


def traces(
    endpoint: str,
    *,
    service_name: str = "amends",
    ratio: float = 1.0,
    headers: Mapping[str, str] | None = None,
    resource: Mapping[str, str] | None = None,
) -> Traces:
    """Return traces that go to an OTLP receiver over HTTP. Needs ``amends[telemetry]``.

    `endpoint`: its address, without ``/v1/traces``. `ratio`: the share of instances that are kept, of those whose
    starter has not decided about it. `resource`: what else is said of this service.

    Raises:
        ValueError: the address cannot be used.
    """
    from amends.adapters.otel.otlp import OtlpSpans

    described = {**(resource or {}), "service.name": service_name}
    return Traces(OtlpSpans(endpoint, resource=described, headers=headers), ratio)


def traces_through(
    processor: "SpanProcessor", *, resource: "Resource | None" = None, ratio: float = 1.0
) -> Traces:
    """Return traces that go through the span processor of the application's own OpenTelemetry SDK.

    `resource` is what its tracer provider was made with.
    """
    from amends.adapters.otel.pipeline import PipelineSpans

    return Traces(PipelineSpans(processor, resource=resource), ratio)
