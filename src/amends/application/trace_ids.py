"""The ids of a saga's spans: they follow from what the spans are about, so they are the same after a restart.

Rules: an instance's trace is that of whoever started it, where that was stored; else it follows from its identity
(namespace, saga id). The span of an attempt follows from its command id and number: whichever process sends it again,
what the participant did hangs below the same span.
It does not: make anything by chance, except for what has no identity (`fresh`).
"""

import os
from functools import lru_cache
from hashlib import blake2b

import msgspec

from amends.core.effect import Direction, TraceContext
from amends.ports import StreamKey
from amends.ports.telemetry import Attributes, Note, SpanSubject
from amends.wire import trace_parent
from amends.wire.trace_parent import TraceParent

TRACE = 16
SPAN = 8
MOST_MASKS = 4_096
_LARGEST = (1 << 64) - 1
_IDENTITY = blake2b(digest_size=TRACE + SPAN, person=b"amends.saga")
"""Begun once: a copy takes half of what a beginning does."""


class SagaTrace(msgspec.Struct, eq=False, gc=False):
    """Where an instance belongs: its trace, its own span, and what is remembered of it while it runs.

    `saga_trace` makes it. Nothing that it holds could hold it, so the collector of garbage need not look at it.
    """

    key: StreamKey
    trace: bytes
    parent: bytes
    state: str
    is_sampled: bool
    id: bytes
    number: int
    """The same, as a number."""
    about: SpanSubject
    """What all its spans say."""
    began: int = 0
    """Nanoseconds; 0: not known here."""
    sent: dict[str, int] = {}
    """When the attempts in flight were ordered, by the step's path."""
    notes: list[Note] | None = None
    """What happened that has no span of its own."""

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


def saga_trace(key: StreamKey, stored: TraceContext | None, ratio: float) -> SagaTrace:
    """Return the trace of an instance.

    `stored`: what its starter was doing; `ratio`: which share is kept of those that nobody decided about.
    """
    namespace, saga_id = key
    hashed = _IDENTITY.copy()
    hashed.update(f"{namespace}/{saga_id}".encode("utf-8", "surrogatepass"))
    digest = hashed.digest()
    id_ = digest[TRACE:]
    attributes: Attributes = (("amends.saga_id", saga_id),)
    if namespace != "default":
        attributes = (*attributes, ("amends.namespace", namespace))
    given = None if stored is None else trace_parent.read(stored.parent)
    if stored is None or given is None:
        trace, parent, state = digest[:TRACE], b"", ""
        is_sampled = is_kept(trace, ratio)
    else:
        trace, parent, is_sampled = given
        state = stored.state
    number = int.from_bytes(id_)
    return SagaTrace(key, trace, parent, state, is_sampled, id_, number, SpanSubject(attributes))


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
