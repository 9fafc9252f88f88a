"""What goes in and out as JSON: the bodies of requests, and the shape of every answer for the document.

Rules: a request's struct is what it is read with; an answer's struct is what the document promises, and a test holds
the answers to it. What a saga's own data look like is the saga's matter: any JSON.
They do not: decide, or reach the application.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from amends.application.breakers import Stage
from amends.application.queries import SagaSummary
from amends.core.transitions import Phase, Status
from amends.definition import Cause
from amends.delivery.api.query import MOST_VERSION

MOST_REASON = 2_000
NULL = msgspec.Raw(b"null")
ABSENT = msgspec.Raw(b"")

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=MOST_VERSION)]
Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MOST_REASON)]
Path: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1_000)]


# --- requests ----------------------------------------------------------------------------------------------------


class StartBody(msgspec.Struct, frozen=True, kw_only=True):
    """Begin an instance: without `version` of the highest, without `id` under a new one."""

    saga: Name
    data: msgspec.Raw
    version: Version | None = None
    id: str | None = None


class SignalBody(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the instance waits for happened; the same `signal_id` counts once."""

    signal: Name
    content: msgspec.Raw = msgspec.field(default_factory=lambda: NULL)
    signal_id: Annotated[str, Meta(max_length=200)] = ""


class ActBody(msgspec.Struct, frozen=True, kw_only=True):
    """Who does it, and why."""

    by: Name
    reason: Words


class StepActBody(msgspec.Struct, frozen=True, kw_only=True):
    """To which step, who does it, and why."""

    step: Path
    by: Name
    reason: Words


class ResolveBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the participant would have answered: a `reply`, or the code with which it `refused`."""

    step: Path
    by: Name
    reason: Words
    reply: msgspec.Raw = msgspec.field(default_factory=lambda: ABSENT)
    refused: Annotated[str, Meta(max_length=100)] = ""


# --- answers -----------------------------------------------------------------------------------------------------


class StepDocument(msgspec.Struct, kw_only=True):
    """One step that has begun."""

    path: str
    phase: Phase
    attempts: int
    undo_round: int
    code: str
    reason: str
    reply: Any


class SagaDocument(msgspec.Struct, kw_only=True):
    """An instance as it stands."""

    id: str
    namespace: str
    saga: str
    version: int
    status: Status
    business_status: str
    paused: bool
    data: Any
    steps: list[StepDocument]
    undone: list[str]
    stuck: list[str]
    unconfirmed: list[str]
    contradicted: list[str]
    cause: Cause | None
    position: int


class SagasDocument(msgspec.Struct, kw_only=True):
    """A page of a listing; `next` is the cursor of the page behind it."""

    sagas: list[SagaSummary]
    next: str | None


class EventDocument(msgspec.Struct, kw_only=True):
    """One event; beside these fields stand its own (docs/events.md)."""

    position: int
    type: str
    time: datetime


class EventsDocument(msgspec.Struct, kw_only=True):
    """A page of an instance's events; the page behind it is ``after=next``."""

    events: list[EventDocument]
    next: int | None


class DefinitionDocument(msgspec.Struct, kw_only=True):
    """One version of a saga's definition; its `shape` is free of functions."""

    name: str
    version: int
    fingerprint: str
    participants: list[str]
    shape: Any


class DefinitionsDocument(msgspec.Struct, kw_only=True):
    """Definitions, by name and version."""

    definitions: list[DefinitionDocument]


class ParticipantDocument(msgspec.Struct, kw_only=True):
    """A participant: how it is bound, where to, what waits for it and what it has."""

    name: str
    binding: str
    address: str
    waiting: int
    in_flight: int
    breaker: Stage
    by_hand: bool
    trips: int
    held: dict[str, int]


class ParticipantsDocument(msgspec.Struct, kw_only=True):
    """Participants, by name."""

    participants: list[ParticipantDocument]


class VerdictDocument(msgspec.Struct, kw_only=True):
    """What became of a reply."""

    verdict: str


class HealthDocument(msgspec.Struct, kw_only=True):
    """It runs."""

    status: str


class FaultDocument(msgspec.Struct, kw_only=True):
    """What is wrong in one place: a JSON pointer, ``?parameter`` or a header's name."""

    pointer: str
    reason: str


class ProblemDocument(msgspec.Struct, kw_only=True):
    """Why not (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | msgspec.UnsetType = msgspec.UNSET
    errors: list[FaultDocument] | msgspec.UnsetType = msgspec.UNSET


class ReadyDocument(msgspec.Struct, kw_only=True):
    """Whether work may come; `troubles` say why records wait somewhere, by binding, or for the intake, and with
    `exchange` that processes do not act together.
    """

    status: str
    troubles: dict[str, str] = {}


class ParkedDocument(msgspec.Struct, kw_only=True):
    """A record that was parked: what it was, where it came from, why it is here and what became of it."""

    id: str
    state: Literal["waiting", "parked", "replayed", "discarded"]
    code: str
    reason: str
    saga_id: str
    topic: str
    partition: int
    offset: int
    key: str | None
    headers: list[tuple[str, str]]
    value_base64: str | None
    text: str | None
    """The value, where it is text."""
    parked_at: datetime
    until: datetime | None
    settled_at: datetime | None
    by: str
    note: str


class ParkedPage(msgspec.Struct, kw_only=True):
    """A page of parked records; the page behind it is ``after=next``."""

    parked: list[ParkedDocument]
    next: int | None
