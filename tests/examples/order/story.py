"""Plays one order through the pure core: commands out, answers in by hand, and what happened as lines to read.

    [WAITING_STOCK]                      the saga's business status
    do    pay charge amount=25.00 …      a command, by its step, with its name where that differs, and its payload
    undo  pay refund amount=25.00 …
    … pay: declined                      what was answered, unless it was a plain yes
    compensated                          the end

Every payload names the order; the lines leave that out.

Rules: answers come one at a time, in the order in which the commands went out; a yes is the default. Time stands still
unless nothing else can happen; then it jumps to the next timer. Each decision is folded again and must give the same
state.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from amends.core import event as e
from amends.core.decide import decide
from amends.core.effect import SendCommand
from amends.core.evolve import evolve
from amends.core.outcome import Failed, Refused, Succeeded
from amends.core.plan import Plan
from amends.core.state import State, initial
from amends.core.trigger import Cancel, Reply, Start, Tick, Trigger

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

Answers = Mapping[str, Refused | Failed | None]
"""By step; None is silence. A step with ``undo `` before it stands for its undo."""


@dataclass
class Story:
    """One instance on its way."""

    plan: Plan
    replies: Mapping[str, object]
    """What a yes to a command of this name says."""
    answers: Answers = field(default_factory=dict[str, Refused | Failed | None])
    cancel_at: str = ""
    """The customer cancels while this step is in flight."""
    state: State = field(default_factory=lambda: initial("default", "o-1"))
    now: datetime = NOON
    lines: list[str] = field(default_factory=list[str])
    snapshots: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    outstanding: deque[SendCommand] = field(default_factory=deque[SendCommand])

    def play(self, data: object) -> "Story":
        """Start and go on to the end, or until somebody has to help."""
        self.feed(Start(msgspec.json.encode(data)))
        while self.state.status in ("running", "compensating"):
            if self.outstanding:
                self.answer(self.outstanding.popleft())
            else:
                self.wait()
        self.lines.append(self.state.status)
        return self

    def feed(self, trigger: Trigger) -> None:
        """Let the core decide, and see that its facts alone lead to the same state."""
        before = self.state
        decision = decide(self.plan, before, trigger, self.now)
        assert evolve(before, decision.events) == decision.state
        self.state = decision.state
        self.lines += [
            f"[{fact.status}]" for fact in decision.events if isinstance(fact, e.BusinessStatusChanged)
        ]
        assert not any(isinstance(fact, e.BusinessStatusRejected) for fact in decision.events)
        for command in decision.commands:
            self.outstanding.append(command)
            self.lines.append(line(command))
        self.snapshots.append(self.phases())

    def answer(self, command: SendCommand) -> None:
        """Answer as the scenario says, else yes."""
        if command.step == self.cancel_at and command.direction == "do":
            self.feed(Cancel(by="ada", reason="changed her mind"))
        yes = Succeeded(msgspec.json.encode(self.replies.get(command.name, {})))
        told = command.step if command.direction == "do" else f"undo {command.step}"
        answer = self.answers.get(told, yes)
        if answer is None:
            self.lines.append(f"… {told}: silence")
            return
        if not isinstance(answer, Succeeded):
            self.lines.append(f"… {told}: {answer.code if isinstance(answer, Refused) else answer.reason}")
        self.feed(Reply(command.step, command.direction, command.round, command.attempt, answer))

    def wait(self) -> None:
        """Let the time pass to the next timer."""
        assert self.state.wake_at is not None, "nothing can happen any more"
        self.now = max(self.now, self.state.wake_at)
        self.feed(Tick())

    def phases(self) -> dict[str, str]:
        """Return how the state tracks each step that has begun."""
        return {path: step.phase for path, step in self.state.steps()}

    def told(self) -> str:
        """Return the story, one line each."""
        return "\n".join(self.lines)


def line(command: SendCommand) -> str:
    """Return a command as a line; a repeated attempt says so."""
    payload = msgspec.json.decode(command.payload, type=dict[str, object])
    assert payload.pop("order_id") == command.saga_id
    again = f"(attempt {command.attempt})" if command.attempt > 1 else ""
    name = "" if command.step.startswith(command.name) else command.name
    fields = " ".join(f"{key}={value}" for key, value in payload.items())
    return " ".join(word for word in (f"{command.direction:5}", command.step, again, name, fields) if word)
