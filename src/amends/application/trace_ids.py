"""The ids of a saga's spans: they follow from what the spans are about, so they are the same after a restart.

Rules: an instance's trace is that of whoever started it, where that was stored; else it follows from its identity
(namespace, saga id). The span of an attempt follows from its command id and number: whichever process sends it again,
what the participant did hangs below the same span.
It does not: make anything by chance, except for what has no identity (`fresh`).
"""

import os
from functools import lru_cache
from hashlib import blake2b

from amends.core.effect import Direction, TraceContext
from amends.ports import StreamKey
from amends.ports.telemetry import Attributes, SpanSubject
from amends.wire import trace_parent
from amends.wire.trace_parent import TraceParent

TRACE = 16
SPAN = 8
MOST_MASKS = 4_096
_LARGEST = (1 << 64) - 1
_IDENTITY = blake2b(digest_size=TRACE + SPAN, person=b"amends.saga")
"""Begun once: a copy takes half of what a beginning does."""


class SagaTrace:
    """Where an instance belongs: its trace, its own span, and what is remembered of it while it runs."""

    __slots__ = (
        "about",
        "began",
        "id",
        "is_sampled",
        "key",
        "notes",
        "number",
        "parent",
        "sent",
        "state",
        "trace",
    )

    def __init__(self, key: StreamKey, stored: TraceContext | None, *, ratio: float) -> None:
        """`stored`: what its starter was doing; `ratio`: which share is kept of those that nobody decided about."""
        identity = f"{key.namespace}/{key.saga_id}".encode(errors="surrogatepass")
        hashed = _IDENTITY.copy()
        hashed.update(identity)
        digest = hashed.digest()
        given = None if stored is None else trace_parent.read(stored.parent)
        if stored is None or given is None:
            self.trace, self.parent, self.state = digest[:TRACE], b"", ""
            self.is_sampled = is_kept(self.trace, ratio)
        else:
            self.trace, self.parent, self.is_sampled = given
            self.state = stored.state
        self.id = digest[TRACE:]
        self.number = int.from_bytes(self.id)
        self.key = key
        attributes: Attributes = (("amends.saga_id", key.saga_id),)
        if key.namespace != "default":
            attributes = (*attributes, ("amends.namespace", key.namespace))
        self.about = SpanSubject(attributes)
        """What all its spans say."""
        self.began = 0
        """Nanoseconds; 0: not known here."""
        self.sent: dict[str, int] = {}
        """When the attempts in flight were ordered, by the step's path."""
        self.notes: list[tuple[str, str, int]] | None = None
        """What happened that has no span of its own: name, path, nanoseconds. Most have none."""

    def attempt(self, step: str, direction: Direction, round_: int, attempt: int) -> bytes:
        """Return the id of an attempt's span."""
        return self.masked(attempt_mask(step, direction, round_, attempt))

    def masked(self, mask: int) -> bytes:
        """Return the id of the span of the attempt that has this mask."""
        return (self.number ^ mask).to_bytes(SPAN)

    def context(self, span: bytes) -> TraceContext:
        """Return what to tell whoever works below `span`."""
        parent = trace_parent.written(self.trace, span, is_sampled=self.is_sampled)
        return TraceContext(parent, self.state)


@lru_cache(maxsize=MOST_MASKS)
def attempt_mask(step: str, direction: Direction, round_: int, attempt: int) -> int:
    """Return what tells the attempt's span from its instance's: the same for all instances, so it is kept."""
    name = f"{step}/{direction}/{round_}#{attempt}".encode(errors="surrogatepass")
    return int.from_bytes(blake2b(name, digest_size=SPAN, person=b"amends.attempt").digest()) or 1


def reopened_id(key: StreamKey, position: int) -> bytes:
    """Return the id of the span of what followed after the end."""
    name = f"{key.namespace}/{key.saga_id}@{position}".encode(errors="surrogatepass")
    return blake2b(name, digest_size=SPAN, person=b"amends.reopened").digest()


def is_kept(trace: bytes, ratio: float) -> bool:
    """Tell whether a trace is among the share that is kept; the rule of OpenTelemetry's `TraceIdRatioBased`."""
    return ratio >= 1 or int.from_bytes(trace[8:]) < round(ratio * (_LARGEST + 1))


def fresh(ratio: float) -> TraceParent:
    """Return a new trace with a new span."""
    trace = os.urandom(TRACE)
    return TraceParent(trace, os.urandom(SPAN), is_kept(trace, ratio))


def fresh_span() -> bytes:
    """Return a new span id."""
    return os.urandom(SPAN)
