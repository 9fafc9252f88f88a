"""How a test speaks to a person: instants, calls, commands, facts, and what differs between two JSON documents.

Rules: a *call* is a step's path for its do, and the same with ``undo `` before it for its undo; instants are what has
passed since the start; a line is cut, a difference is shown whole.
It does not: judge. It only words.
"""

import difflib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from amends.core import event as e
from amends.core.effect import Direction, SendCommand
from amends.core.outcome import Answer, Failed, Refused, Succeeded, Unconfirmed

UNDO = "undo "
WIDEST = 120
UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


def call_of(step: str, direction: Direction) -> str:
    """Return how a test names a do or an undo."""
    return f"{UNDO}{step}" if direction == "undo" else step


def parse_call(call: str) -> tuple[str, Direction]:
    """Return step and direction of a call."""
    return (call.removeprefix(UNDO), "undo") if call.startswith(UNDO) else (call, "do")


def name_of(command: SendCommand) -> str:
    """Return the call that `command` belongs to."""
    return call_of(command.step, command.direction)


def passed(length: timedelta) -> str:
    """Return a length of time as ``+3 d 2 h 0.5 s``."""
    left = round(length / timedelta(milliseconds=1))
    parts: list[str] = []
    for unit, size in UNITS[:-1]:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    if left or not parts:
        parts.append(f"{left / 1000:g} s")
    return "+" + " ".join(parts)


def cut(text: str) -> str:
    """Return the beginning of `text`, as much as a line of a transcript takes."""
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def document(raw: bytes) -> str:
    """Return a JSON document in one line; other bytes as they are."""
    try:
        return msgspec.json.encode(msgspec.json.decode(raw)).decode()
    except msgspec.DecodeError:
        return repr(raw)


def command_line(command: SendCommand) -> str:
    """Return ``call  name payload`` of a command, with the attempt where it is not the first."""
    again = f" (attempt {command.attempt})" if command.attempt > 1 else ""
    return f"{name_of(command)}{again}  {command.name} {document(command.payload)}"


def answer_line(answer: Answer) -> str:
    """Return what a participant said."""
    match answer:
        case Succeeded(reply=reply):
            return f"replies {document(reply)}"
        case Refused(code=code, reason=reason):
            return f"refuses: {code}{f' ({reason})' if reason else ''}"
        case Failed(reason=reason, fault=fault):
            return f"fails: {reason} ({fault})"
        case Unconfirmed():
            return "hands over, unconfirmed"


def lines_of(document: bytes) -> list[str]:
    """Return a JSON document as lines, members in the order of their names."""
    plain = msgspec.json.decode(document)
    ordered = msgspec.json.encode(plain, order="deterministic")
    return msgspec.json.format(ordered, indent=2).decode().splitlines()


def difference(expected: list[str], found: list[str]) -> str:
    """Return both as one text: ``-`` was expected, ``+`` was found."""
    told = difflib.ndiff(expected, found)
    return "\n".join(f"  {line}" for line in told if not line.startswith("? "))


def same_json(one: bytes, other: bytes) -> bool:
    """Tell whether two documents say the same."""
    return bool(msgspec.json.decode(one) == msgspec.json.decode(other))


def fact_line(fact: "e.AnyEvent", since_start: Callable[[Any], str]) -> str | None:
    """Return a fact in words, None for one that the transcript tells otherwise."""
    word = FACTS.get(type(fact))
    return None if word is None else word(fact, since_start)


def _again(fact: e.AttemptFailed, since_start: Callable[[Any], str]) -> str | None:
    if fact.retry_at is None:
        return None
    return f"{call_of(fact.step, fact.direction)} is tried again at {since_start(fact.retry_at)}"


def _turned(fact: e.RollbackBegun, _since_start: Callable[[Any], str]) -> str:
    by = f" of {fact.cause.step}" if fact.cause.step else ""
    return f"{fact.path or 'the saga'} turns round because of {fact.cause.code!r}{by}"


def _waits(fact: e.WaitStarted, since_start: Callable[[Any], str]) -> str:
    until = "" if fact.until is None else f" until {since_start(fact.until)}"
    return f"waits for the signal {fact.signal!r}{until}"


FACTS: dict[type, Callable[[Any, Callable[[Any], str]], str | None]] = {
    e.AttemptFailed: _again,
    e.BranchChosen: lambda fact, _: f"{fact.path} {'is' if fact.taken else 'is not'} taken",
    e.BusinessStatusChanged: lambda fact, _: f"[{fact.status}]",
    e.BusinessStatusRejected: lambda fact, _: f"[{fact.current}] stays: {fact.wanted} may not follow it",
    e.CancelRefused: lambda fact, _: f"the cancel came too late: {fact.reason}",
    e.DeadlinePassed: lambda fact, _: f"the deadline passes{', and only warns' if fact.ignored else ''}",
    e.FunctionRaised: lambda fact, _: f"{fact.function} of {fact.path} raised {fact.error}",
    e.NodeStuck: lambda fact, _: f"{fact.path} is stuck: {fact.reason}",
    e.OutcomeUnknown: lambda fact, _: f"{fact.step} is given up, its outcome is unknown",
    e.PauseEnded: lambda fact, _: f"{fact.path} ends",
    e.PauseStarted: lambda fact, at: f"{fact.path} lasts until {at(fact.until)}",
    e.PointOfNoReturnPassed: lambda fact, _: f"{fact.step} passed the point of no return",
    e.ReplyContradicted: lambda fact, _: f"this contradicts the first answer to {fact.step}, which stands",
    e.RollbackBegun: _turned,
    e.SagaAbandoned: lambda _fact, _: "abandoned",
    e.SagaCompensated: lambda _fact, _: "compensated",
    e.SagaCompleted: lambda _fact, _: "completed",
    e.SagaReopened: lambda fact, _: f"opened again: {fact.step} succeeded late and has to be undone",
    e.StepRefused: lambda fact, _: f"{fact.step} is refused without being asked: {fact.reason}",
    e.StepStuck: lambda fact, _: f"{call_of(fact.step, fact.direction)} is stuck: {fact.reason}",
    e.WaitEnded: lambda fact, _: f"{fact.path} ends by {fact.how}",
    e.WaitStarted: _waits,
}
"""What stands in a transcript beside the messages and the acts."""
