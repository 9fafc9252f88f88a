"""The caller's trace (W3C Trace Context), for the log.

Rules: what is not a good `traceparent` is no trace at all, and never an error.
It does not: make traces.
"""

import re

_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


def trace_of(parent: str) -> str:
    """Return the trace id in a `traceparent`; empty when there is none."""
    found = _PARENT.fullmatch(parent) if len(parent) < 200 else None  # noqa: PLR2004  it has 55 characters
    return found["trace"] if found else ""
