"""Events, commands and choices in one short line each, for people: transcripts, counter-examples.

Rules: what differs is shown, what is at its default is left out; no ids, no instants, so that a diff shows behaviour.
It does not: keep anything back that tells two behaviours apart.
"""

from datetime import datetime
from typing import Any

import msgspec

from amends.core.effect import SendCommand
from amends.core.event import AnyEvent, CommandIssued, ItemsExpanded, RollbackBegun, SagaStarted
from amends.core.state import State

LATER = ("due", "retry_at", "until", "deadline")
HIDDEN = frozenset({"fingerprint", "shape", "payload", "due"})


def event_line(event: AnyEvent, now: datetime | None = None) -> str:
    """Return `event` as ``Name path field=value``; instants as seconds after `now`."""
    match event:
        case SagaStarted():
            return f"SagaStarted {event.saga} v{event.version} {_text(event.data)}" + _after(
                event.deadline, now
            )
        case CommandIssued():
            ordered = _command(event.step, event.direction, event.round)
            return f"CommandIssued {ordered} {event.name} {_text(event.payload)}"
        case ItemsExpanded():
            return f"ItemsExpanded {event.path} {', '.join(event.keys) or 'none'}"
        case RollbackBegun():
            cause = event.cause
            return f"RollbackBegun {event.path or 'all'} because {cause.code} {cause.step}".rstrip()
        case _:
            return f"{type(event).__name__} {_fields(event, now)}".rstrip()


def _command(step: str, direction: str, round_: int) -> str:
    return f"{step}/{direction}/{round_}"


def _after(instant: datetime | None, now: datetime | None) -> str:
    return "" if instant is None or now is None else f" deadline=+{(instant - now).total_seconds():g}s"


def _fields(event: AnyEvent, now: datetime | None) -> str:
    shown: list[str] = []
    named: dict[str, Any] = {name: getattr(event, name) for name in event.__struct_fields__}
    defaults = dict(zip(event.__struct_fields__, _defaults(type(event)), strict=True))
    place = named.pop("step", None) or named.pop("path", None)
    if place is not None:
        direction, round_ = named.pop("direction", ""), named.pop("round", 0)
        shown.append(
            _command(place, direction, round_) if round_ else f"{place}{direction and '/' + direction}"
        )
    for name, value in named.items():
        if name in HIDDEN or value == defaults[name] or value in ("", None):
            continue
        if name in LATER:
            if now is not None:
                shown.append(f"{name}=+{(value - now).total_seconds():g}s")
        else:
            shown.append(f"{name}={_text(value)}")
    return " ".join(shown)


def _defaults(of: type) -> list[Any]:
    return [field.default for field in msgspec.structs.fields(of)]


def _text(value: Any) -> str:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or "none"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value).lower() if isinstance(value, bool) else str(value)


def command_line(command: SendCommand) -> str:
    """Return a command as ``participant.name step/direction/round #attempt``."""
    again = f" #{command.attempt}" if command.attempt > 1 else ""
    call = _command(command.step, command.direction, command.round)
    return f"{command.participant}.{command.name} {call}{again}"


def status_line(state: State) -> str:
    """Return the statuses, and what a person should know."""
    shown = [state.status + (" (paused)" if state.paused else "")]
    if state.business:
        shown.append(state.business)
    if state.stuck:
        shown.append("stuck: " + ", ".join(state.stuck))
    if state.unconfirmed:
        shown.append("unconfirmed: " + ", ".join(state.unconfirmed))
    if state.contradicted:
        shown.append("contradicted: " + ", ".join(state.contradicted))
    return " | ".join(shown)
