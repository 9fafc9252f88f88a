"""The native contract's words on the wire: CloudEvents 1.0 in binary content mode, attributes as `ce_` headers.

Rules: `docs/kafka.md` has the whole contract. Header names are lower case, values are UTF-8. What this service writes
has a source that begins with `/amends/`, so that it knows its own messages.
It does not: produce or consume.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from amends.core.effect import Direction, SendCommand

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
    command: SendCommand, *, reply_to: str | None, now: float, content_type: bytes = JSON
) -> list[tuple[str, bytes]]:
    """Return the headers of one attempt's record; `now` is in seconds since 1970."""
    headers: list[tuple[str, bytes]] = [
        ("content-type", content_type),
        *_standing(
            command.name,
            command.namespace,
            command.saga,
            command.step,
            command.direction,
            command.round,
            command.attempt,
            reply_to or "",
        ),
        ("ce_id", command.command_id.encode()),
        ("ce_subject", command.saga_id.encode()),
        ("ce_time", _time(int(now * 1000))),
    ]
    if command.trace is not None:
        trace = command.trace()
        headers.append(("traceparent", trace.parent.encode()))
        if trace.state:
            headers.append(("tracestate", trace.state.encode()))
    return headers


@lru_cache(maxsize=1)
def _time(milliseconds: int) -> bytes:
    """Return a time as text. Remembered: commands go in batches, many within one millisecond."""
    seconds, rest = divmod(milliseconds, 1000)
    return b"%s.%03dZ" % (_second(seconds), rest)


@lru_cache(maxsize=1)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat().encode()


@lru_cache(maxsize=1_000)
def _standing(  # noqa: PLR0917  the cache takes them by place, which is quicker
    name: str,
    namespace: str,
    saga: str,
    step: str,
    direction: Direction,
    round_: int,
    attempt: int,
    reply_to: str,
) -> tuple[tuple[str, bytes], ...]:
    """Return those headers that the same command has for every instance."""
    named = {
        "ce_source": f"/amends/{namespace}",
        "ce_amendscommand": name,
        "ce_amendsnamespace": namespace,
        "ce_amendssaga": saga,
        "ce_amendsstep": step,
        "ce_amendsdirection": direction,
        "ce_amendsround": str(round_),
        "ce_amendsattempt": str(attempt),
    }
    if reply_to:
        named["ce_amendsreplyto"] = reply_to
    return (*_FIXED, *((name, value.encode()) for name, value in named.items()))


def is_own(headers: Headers) -> bool:
    """Tell whether this service, or another instance of it, wrote the record."""
    return any(name == "ce_source" and value.startswith(OWN_SOURCE) for name, value in headers)
