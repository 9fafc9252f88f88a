"""The native contract's words on the wire: CloudEvents 1.0 in binary content mode, attributes as `ce_` headers.

Rules: `docs/kafka.md` has the whole contract. Header names are lower case, values are UTF-8. What this service writes
has a source that begins with `/amends/`, so that it knows its own messages.
It does not: produce or consume.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from amends.core.effect import SendCommand

REPLY_TYPE = "amends.reply"
COMMAND_TYPE = "amends.command"
OWN_SOURCE = b"/amends/"
JSON = b"application/json"

Headers = Sequence[tuple[str, bytes]]

_FIXED: tuple[tuple[str, bytes], ...] = (
    ("ce_specversion", b"1.0"),
    ("ce_type", COMMAND_TYPE.encode()),
)


def command_headers(
    command: SendCommand, *, reply_to: str | None, now: datetime, content_type: bytes = JSON
) -> list[tuple[str, bytes]]:
    """Return the headers of one attempt's record."""
    named = {
        "ce_id": command.command_id,
        "ce_source": f"/amends/{command.namespace}",
        "ce_subject": command.saga_id,
        "ce_time": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ce_amendscommand": command.name,
        "ce_amendsnamespace": command.namespace,
        "ce_amendssaga": command.saga,
        "ce_amendsstep": command.step,
        "ce_amendsdirection": command.direction,
        "ce_amendsround": str(command.round),
        "ce_amendsattempt": str(command.attempt),
    }
    if reply_to is not None:
        named["ce_amendsreplyto"] = reply_to
    if command.trace is not None:
        trace = command.trace()
        named["traceparent"] = trace.parent
        if trace.state:
            named["tracestate"] = trace.state
    return [
        *_FIXED,
        ("content-type", content_type),
        *((name, value.encode()) for name, value in named.items()),
    ]


def is_own(headers: Headers) -> bool:
    """Tell whether this service, or another instance of it, wrote the record."""
    return any(name == "ce_source" and value.startswith(OWN_SOURCE) for name, value in headers)
