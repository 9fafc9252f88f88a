"""What happened to one saga, as rows in the order in which things began.

Rules: made from the events alone, as any desk gives them. A command is one row, from its first attempt to its answer;
so is a wait and a pause; what happens in a moment is a row without a length. An event that is not known here is passed
over.
It does not: print.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from amends.delivery.cli.output import Colour

Event: TypeAlias = Mapping[str, Any]
WAITED: Final[Mapping[str, str]] = {"signal": "came", "timeout": "time over", "rollback": "turned round"}
"""How a wait ended."""


@dataclass(kw_only=True)
class Entry:
    """One row."""

    began: datetime
    what: str
    at: str = ""
    attempts: int | None = None
    ended: datetime | None = None
    outcome: str = ""
    detail: str = ""
    colour: Colour = ""

    @property
    def took(self) -> timedelta | None:
        """From the beginning to the end; None for what has no length, or has not ended."""
        return None if self.ended is None else self.ended - self.began

    def end(self, now: datetime, outcome: str, *, detail: str = "", colour: Colour = "") -> None:
        """Note an outcome; the last one counts."""
        self.ended, self.outcome, self.colour = now, outcome, colour
        self.detail = detail or self.detail


@dataclass
class _Timeline:
    entries: list[Entry] = field(default_factory=list[Entry])
    open: dict[str, Entry] = field(default_factory=dict[str, Entry])
    """By what an event calls it: a command by step and direction, a wait or a pause by its path."""

    def begin(self, key: str, entry: Entry) -> None:
        self.entries.append(entry)
        self.open[key] = entry

    def moment(self, now: datetime, what: str, detail: str = "", colour: Colour = "") -> None:
        self.entries.append(Entry(began=now, what=what, detail=detail, colour=colour))

    def end(self, key: str, now: datetime, outcome: str, *, detail: str = "", colour: Colour = "") -> None:
        entry = self.open.get(key)
        if entry is None:
            entry = Entry(began=now, what=key)
            self.entries.append(entry)
        entry.end(now, outcome, detail=detail, colour=colour)

    def take(self, event: Event) -> None:
        now = datetime.fromisoformat(event["time"])
        _command(self, event, now)
        _node(self, event, now)
        _whole(self, event, now)


def timeline(events: Iterable[Event]) -> Sequence[Entry]:
    """Return the rows of one saga's events."""
    made = _Timeline()
    for event in events:
        made.take(event)
    return made.entries


def _command(made: _Timeline, event: Event, now: datetime) -> None:
    step, undo = event.get("step", ""), event.get("direction") == "undo"
    key = f"undo {step}" if undo else step
    detail = _because(event)
    match event["type"]:
        case "CommandIssued":
            rounds = f" ({event['round']})" if event.get("round", 1) > 1 else ""
            made.begin(key, Entry(began=now, what=key + rounds, at=event["participant"], attempts=1))
        case "AttemptStarted" if key in made.open:
            made.open[key].attempts = event["attempt"]
        case "AttemptFailed" if key in made.open:
            made.open[key].attempts, made.open[key].detail = event["attempt"], event["reason"]
        case "ReplyRecorded":
            outcome = event.get("outcome", "succeeded")
            late = ", late" if event.get("late") else ""
            made.end(key, now, outcome + late, detail=detail, colour=_colour(outcome))
        case "ReplyContradicted":
            made.moment(now, key, f"a later answer says {event['outcome']}; the first stands", "red")
        case "StepRefused":
            made.end(key, now, "refused", detail=detail, colour="yellow")
        case "OutcomeUnknown":
            made.end(key, now, "unknown", detail=detail, colour="yellow")
        case "StepStuck":
            made.end(key, now, "stuck", detail=detail, colour="red")
        case "StepRetried":
            made.moment(now, f"retry {key}", _said(event))
        case "StepResolved":
            made.end(key, now, f"resolved: {event.get('outcome', 'succeeded')}", detail=_said(event))
        case "StepSkipped":
            made.end(key, now, "skipped", detail=_said(event), colour="yellow")
        case _:
            pass


def _node(made: _Timeline, event: Event, now: datetime) -> None:
    path = event.get("path", "")
    match event["type"]:
        case "WaitStarted":
            made.begin(path, Entry(began=now, what=f"wait for {event['signal']}"))
        case "WaitEnded":
            made.end(path, now, WAITED.get(event["how"], "ended"))
        case "PauseStarted":
            made.begin(path, Entry(began=now, what=path, detail=f"until {event['until']}"))
        case "PauseEnded":
            made.end(path, now, "over")
        case "SignalReceived":
            made.moment(now, f"signal {event['signal']}")
        case "NodeStuck":
            made.moment(now, path, f"stuck: {event['reason']}", "red")
        case "NodeFailed":
            made.moment(now, path, _because(event), "yellow")
        case "FunctionRaised":
            made.moment(now, path, f"{event['function']} raised {event['error']}", "red")
        case "RollbackBegun":
            cause = event["cause"]
            part = f"turned round: {path}" if path else "turned round"
            step = f"{cause['step']}: " if cause.get("step") else ""
            made.moment(now, part, step + _because(cause), "yellow")
        case _:
            pass


def _whole(made: _Timeline, event: Event, now: datetime) -> None:
    match event["type"]:
        case "SagaStarted":
            made.moment(now, "started")
        case "PointOfNoReturnPassed":
            made.moment(now, "point of no return", event["step"])
        case "CancelRequested":
            made.moment(now, "cancel", _said(event))
        case "CancelRefused":
            made.moment(now, "cancel refused", event["reason"])
        case "DeadlinePassed":
            made.moment(now, "deadline passed", "too late to turn round" if event.get("ignored") else "")
        case "SagaPaused":
            made.moment(now, "paused", _said(event))
        case "SagaResumed":
            made.moment(now, "resumed", _said(event))
        case "BusinessStatusRejected":
            made.moment(now, "business status", f"{event['current']} cannot become {event['wanted']}", "red")
        case "SagaCompleted" | "SagaCompensated":
            open_ends = ", ".join(event.get("unconfirmed", ()))
            word = "completed" if event["type"] == "SagaCompleted" else "compensated"
            made.moment(now, word, f"unconfirmed: {open_ends}" if open_ends else "", "green")
        case "SagaAbandoned":
            made.moment(now, "abandoned", _said(event), "red")
        case "SagaReopened":
            made.moment(now, "opened again", f"a late success of {event['step']}", "yellow")
        case _:
            pass


def _colour(outcome: str) -> Colour:
    return "" if outcome == "succeeded" else "yellow"


def _because(event: Event) -> str:
    return ": ".join(text for text in (event.get("code"), event.get("reason")) if text)


def _said(event: Event) -> str:
    return f"{event['by']}: {event['reason']}"
