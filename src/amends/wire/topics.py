"""Which topics carry what: how a participant, or one of its steps, is spoken to over a log of messages.

    StepTopics(step="request-stock", keys=("productId",), saga_id="bookingId",
               do=WayTopics(topic="saga.request_stock", succeeded=("product.reserved",),
                            refused=("product.reservation_failed",)),
               undo=WayTopics(topic="saga.release_stock"))

Rules: values only, read from a file of bindings (`amends.settings`), used by what sends, what reads and what documents.
It does not: know a broker.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

Serialization: TypeAlias = Literal["json", "avro"]
"""What the values on a topic are."""


class Registry(NamedTuple):
    """Where the schemas of topics stand, and as whom it is asked."""

    url: str
    username: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WayTopics:
    """The topics of a step's do, or of its undo."""

    topic: str
    succeeded: tuple[str, ...] = ()
    """Empty, as `refused`: nobody answers, and nobody waits."""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTopics:
    """How one step of a participant speaks in events."""

    step: str
    saga_id: str
    """The field of events that holds the saga's id; one inside another is written ``outer.inner``."""
    do: WayTopics | None = None
    undo: WayTopics | None = None
    keys: tuple[str, ...] = ()
    """The fields that hold the items' keys, the outermost `each` first."""
    code: str = "code"
    """The field of a refusal's code; the topic's name stands in where there is none."""
    reason: str = "reason"

    @property
    def ways(self) -> tuple[WayTopics, ...]:
        """The do and the undo, as far as they are bound."""
        return tuple(way for way in (self.do, self.undo) if way is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTopic:
    """A topic whose events start a saga."""

    topic: str
    saga: str
    saga_id: str
    data: str = ""
    """The event becomes this field of the saga's data; empty: it is the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicBindings:
    """Who is spoken to over topics: `native` by the topic of its commands, `events` by its steps; what starts sagas."""

    native: Mapping[str, str] = field(default_factory=dict[str, str])
    events: Mapping[str, tuple[StepTopics, ...]] = field(default_factory=dict[str, tuple[StepTopics, ...]])
    starts: tuple[StartTopic, ...] = ()
    serialization: Mapping[str, Serialization] = field(default_factory=dict[str, Serialization])
    """What single topics carry, where that is not what all others do."""

    @property
    def participants(self) -> frozenset[str]:
        """The names of the bindings."""
        return frozenset(self.native) | frozenset(self.events)

    def incoming(self) -> frozenset[str]:
        """The topics that are read for events."""
        answers = (topic for way in self._ways() for topic in (*way.succeeded, *way.refused))
        return frozenset(answers) | {start.topic for start in self.starts}

    def outgoing(self) -> frozenset[str]:
        """The topics that commands are written to."""
        return frozenset(self.native.values()) | {way.topic for way in self._ways()}

    def carrying(self, wanted: Serialization, *, replies: str, others: Serialization) -> frozenset[str]:
        """Return the topics that carry `wanted`, where all that are not named carry `others`.

        Raises:
            ValueError: a topic is named that nobody reads or writes.
        """
        topics = self.incoming() | self.outgoing() | {replies}
        strange = sorted(self.serialization.keys() - topics)
        if strange:
            raise ValueError(f"serialization names {', '.join(strange)}, which no binding uses")
        return frozenset(topic for topic in topics if self.serialization.get(topic, others) == wanted)

    def _ways(self) -> Iterator[WayTopics]:
        for steps in self.events.values():
            for step in steps:
                yield from step.ways
