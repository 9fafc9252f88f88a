"""Where the service's traces go, by its settings.

Rules: without an address there are none. What is said of the service is OpenTelemetry's `NAME=VALUE,NAME=VALUE`, with
values percent-encoded.
It does not: make spans.
"""

import importlib.util
from urllib.parse import unquote

from amends import bootstrap
from amends.delivery.stores import NotServed
from amends.settings.telemetry import Telemetry


def traces(telemetry: Telemetry) -> bootstrap.Traces | None:
    """Return where traces go; None when none are made.

    Raises:
        NotServed: they cannot be made as it is said.
    """
    if telemetry.otlp_endpoint is None or telemetry.disabled:
        return None
    if importlib.util.find_spec("opentelemetry") is None:
        raise NotServed('telemetry.otlp-endpoint needs OpenTelemetry: pip install "amends[telemetry]"')
    try:
        return bootstrap.traces(
            telemetry.otlp_endpoint.text,
            service_name=telemetry.service_name,
            ratio=telemetry.ratio,
            headers={name: value.reveal() for name, value in telemetry.headers.items()},
            resource=attributes(telemetry.resource_attributes or ""),
        )
    except ValueError as error:
        raise NotServed(f"telemetry: {error}") from error


def attributes(text: str) -> dict[str, str]:
    """Return what `text` says. Raises ValueError."""
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError("resource-attributes: write NAME=VALUE, NAME=VALUE")
        found[name.strip()] = unquote(value.strip())
    return found
