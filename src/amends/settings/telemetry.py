"""The section `telemetry`: where traces go.

Rules: as in `model`; OpenTelemetry's own variables are taken as Spring's are.
It does not: send.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from amends.settings.keys import key
from amends.settings.kinds import decimal, headers, switch, text, url
from amends.settings.secret import Secret, Url

NO_HEADERS: Mapping[str, Secret] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Telemetry:
    otlp_endpoint: Url | None = key(
        None,
        url(),
        "The OTLP receiver that traces go to over HTTP, without `/v1/traces`; without it no traces are made.",
        spring="otel.exporter.otlp.endpoint",
    )
    headers: Mapping[str, Secret] = key(
        NO_HEADERS,
        headers(),
        "Headers for the receiver, such as a key.",
        spring="otel.exporter.otlp.headers",
    )
    service_name: str = key(
        "amends", text(100), "The name of this service in traces.", spring="otel.service.name"
    )
    resource_attributes: str | None = key(
        None,
        text(2_000),
        "What else is said of this service: `NAME=VALUE, NAME=VALUE`.",
        spring="otel.resource.attributes",
    )
    ratio: float = key(
        1.0,
        decimal(0, 1),
        "The share of instances that are traced, of those whose starter sent no `traceparent`.",
        spring="otel.traces.sampler.arg",
    )
    disabled: bool = key(
        False, switch(), "No traces are made, whatever the rest says.", spring="otel.sdk.disabled"
    )
