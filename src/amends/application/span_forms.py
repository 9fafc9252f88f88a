"""The words that spans are told in: names, attributes, and which events are worth a note.

Rules: attributes begin with `amends.`; a step's name goes without the keys of its items, which are in `amends.step`.
Forms are kept, so that the same words are the same object.
It does not: know instances.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from amends.application.trace_ids import attempt_mask
from amends.core import event as e
from amends.core.effect import Direction
from amends.ports.telemetry import Attributes, Note, SpanForm

MOST_FORMS: Final = 4_096

_KEYS: Final = re.compile(r"\[[^\]]*\]")
QUIET: Final = frozenset(
    {
        e.SagaStarted,
        e.CommandIssued,
        e.AttemptStarted,
        e.AttemptFailed,
        e.ReplyRecorded,
        e.DataMerged,
        e.BranchChosen,
        e.ItemsExpanded,
        e.NodeCompleted,
        e.SagaCompleted,
        e.SagaCompensated,
        e.SagaAbandoned,
    }
)
"""What has a span of its own, or says nothing in a trace."""


AttemptWords: TypeAlias = tuple[str, str, Direction, int, int, str, str]
"""What is told of an attempt: the saga, the step's path, the direction, the round, the number, the participant, and the
outcome (`succeeded`, `refused`, `unconfirmed` or `failed`). A plain tuple, because one is made for every attempt.
"""
_NAMES: Final = ("saga", "step", "direction", "round", "attempt", "participant", "outcome")


class AttemptForm(NamedTuple):
    """How the spans of attempts are told that have the same words."""

    form: SpanForm
    named: Attributes
    """What they say besides: the item's path."""
    mask: int
    """What tells their ids from that of their instance."""


_ATTEMPTS: Final[dict[AttemptWords, AttemptForm]] = {}


def attempt_form(words: AttemptWords) -> AttemptForm:
    """Return how an attempt's span is told."""
    found = _ATTEMPTS.get(words)
    if found is not None:
        return found
    saga, step, direction, round_, attempt = words[:5]
    mask = attempt_mask(step, direction, round_, attempt)
    if "[" in step:
        # An item's key is its own: its form is that of all items.
        form = attempt_form((saga, _KEYS.sub("", step), *words[2:])).form
        return AttemptForm(form, (("amends.item", step),), mask)
    values: tuple[str | int, ...] = words
    named: Attributes = tuple(
        (f"amends.{name}", value) for name, value in zip(_NAMES, values, strict=True) if value != ""
    )
    name = step if direction == "do" else f"{step} undo"
    if len(_ATTEMPTS) >= MOST_FORMS:
        _ATTEMPTS.clear()
    made = _ATTEMPTS[words] = AttemptForm(SpanForm(name, "client", named), (), mask)
    return made


@lru_cache(maxsize=MOST_FORMS)
def saga_form(saga: str, version: int, status: str, reopened: str) -> SpanForm:
    """Return the form of an instance's span; `reopened`: the end that it had reached before, if it had."""
    attributes = (("amends.saga", saga), ("amends.version", version), ("amends.status", status))
    return SpanForm(f"{saga} reopened" if reopened else saga, "internal", attributes)


@lru_cache(maxsize=MOST_FORMS)
def request_form(method: str, route: str, status: int) -> SpanForm:
    """Return the form of a request's span."""
    attributes = (
        ("http.request.method", method),
        ("http.route", route),
        ("http.response.status_code", status),
    )
    return SpanForm(f"{method} {route}", "server", attributes)


@lru_cache(maxsize=MOST_FORMS)
def listener_form(topic: str, outcome: str) -> SpanForm:
    """Return the form of the span of a record that came in."""
    attributes = (
        ("messaging.system", "kafka"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", topic),
        ("amends.outcome", outcome),
    )
    return SpanForm(f"process {topic}", "consumer", attributes)


def note_of(event: e.AnyEvent, at: int) -> Note | None:
    """Return the note of an event; None when it is not worth one. `at`: nanoseconds."""
    kind = type(event)
    if kind in QUIET:
        return None
    path = getattr(event, "step", None) or getattr(event, "path", None) or ""
    return Note(kind.__name__, at, about_step(path))


@lru_cache(maxsize=MOST_FORMS)
def about_step(path: str) -> Attributes:
    """Return what a note says of the place that it is about."""
    return (("amends.step", path),) if path else ()
