"""`traceparent` and `tracestate` (W3C Trace Context, level 1): read strictly, written as they are.

Rules: what is not a good `traceparent` is no trace at all, and never an error; without one its `tracestate` means
nothing.
It does not: make ids, or keep anything.
"""

import re
from typing import NamedTuple

LONGEST: int = 200
"""A `traceparent` has 55 characters; a later version may have more."""
LONGEST_STATE: int = 512
SAMPLED = 1

_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(-.*)?"
)
_STATE = re.compile(r"[\x20-\x7e]+")


class TraceParent(NamedTuple):
    """What a good `traceparent` says."""

    trace: bytes
    """16 bytes."""
    span: bytes
    """8 bytes."""
    is_sampled: bool
    """Whether its sender keeps the trace."""


def read(parent: str) -> TraceParent | None:
    """Return what `parent` says; None when it is no `traceparent`."""
    found = _PARENT.fullmatch(parent) if len(parent) < LONGEST else None
    if found is None:
        return None
    flags = int(found["flags"], 16)
    return TraceParent(bytes.fromhex(found["trace"]), bytes.fromhex(found["span"]), bool(flags & SAMPLED))


def written(trace: bytes, span: bytes, *, is_sampled: bool) -> str:
    """Return the `traceparent` for these ids."""
    return f"00-{trace.hex()}-{span.hex()}-{'01' if is_sampled else '00'}"


def trace_of(parent: str) -> str:
    """Return the trace id in a `traceparent`, as 32 digits; empty when there is none."""
    found = _PARENT.fullmatch(parent) if len(parent) < LONGEST else None
    return found["trace"] if found else ""


def state_of(state: str) -> str:
    """Return a `tracestate` that may be passed on; empty when it may not."""
    return state if len(state) <= LONGEST_STATE and _STATE.fullmatch(state) else ""
