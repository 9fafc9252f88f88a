"""A tiny language for one saga's life: each line is a trigger, each answer the complete log of what it led to.

saga NAME [data]         begin, with data other than the usual
ok|no|fail|silent STEP[/undo[/round]] [reply or code]
tick 30s   cancel   pause   resume   abandon   signal NAME [content] [id]
retry STEP   skip STEP   resolve STEP ok|no [reply]
crash                    throw the state away and fold what is stored
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from amends.core import trigger as t
from amends.core.decision import Decision, Rejected
from amends.core.effect import Direction
from amends.core.event import AnyEvent
from amends.core.evolve import evolve
from amends.core.outcome import Answer, Failed, Refused, Succeeded, Unconfirmed
from amends.core.plan import Plan, compile_saga
from amends.core.state import State, StepState, initial
from amends.simulation.transcript import command_line, event_line, status_line
from tests.core.both_ways import decide
from tests.core.sagas import ORDER, SAGAS

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Life:
    """One instance, its stored events and its clock."""

    def __init__(self, plan: Plan, data: bytes = ORDER) -> None:
        self.plan = plan
        self.data = data
        self.now = BEGIN
        self.state: State = initial("default", "s1")
        self.stored: list[bytes] = []
        self.last = Decision((), self.state)

    @property
    def status(self) -> str:
        return self.state.status

    def give(self, trigger: t.Trigger) -> Decision:
        """Decide, store, and keep the state."""
        self.last = decide(self.plan, self.state, trigger, self.now)
        self.stored += [msgspec.json.encode(event) for event in self.last.events]
        self.state = self.last.state
        assert self.folded() == self.state, "the stored events give another state"
        return self.last

    def folded(self) -> State:
        events: list[AnyEvent] = [msgspec.json.decode(event, type=AnyEvent) for event in self.stored]
        return evolve(initial("default", "s1"), events)

    def start(self) -> Decision:
        return self.give(t.Start(self.data))

    def reply(self, call: str, answer: Answer) -> Decision:
        step, direction, round_ = call_of(call)
        node = self.state.nodes.get(step)
        attempt = node.attempt if isinstance(node, StepState) else 1
        if not round_:
            round_ = node.round if isinstance(node, StepState) and direction == "undo" else 1
        return self.give(t.Reply(step, direction, round_, attempt, answer))

    def ok(self, *calls: str, reply: bytes = b"null") -> Decision:
        for call in calls:
            self.reply(call, Succeeded(reply))
        return self.last

    def no(self, call: str, code: str = "no") -> Decision:
        return self.reply(call, Refused(code, "said no"))

    def fail(self, call: str) -> Decision:
        return self.reply(call, Failed("broken line"))

    def tick(self, seconds: float) -> Decision:
        self.now += timedelta(seconds=seconds)
        return self.give(t.Tick())

    def tell(self, line: str) -> list[str]:
        """Do what `line` says; return the log."""
        before = self.state
        try:
            decision = self._told(*line.split())
        except Rejected as rejected:
            return [f"   rejected ({rejected.code}): {rejected}"]
        if decision is None:
            return [f"   folded {len(self.stored)} events"] + [
                f"   => {command_line(c)}" for c in self.state.outstanding()
            ]
        log = [f"   {event_line(event, self.now)}" for event in decision.events] or ["   nothing"]
        log += [f"   => {command_line(command)}" for command in decision.commands]
        if status_line(before) != status_line(self.state):
            log.append(f"   [{status_line(self.state)}]")
        return log

    def _told(self, word: str, *rest: str) -> Decision | None:
        match word, rest:
            case "start", _:
                return self.start()
            case "ok", (call, *reply):
                return self.ok(call, reply=" ".join(reply).encode() or b"null")
            case "no", (call, *code):
                return self.no(call, *code)
            case "fail", (call,):
                return self.fail(call)
            case "silent", (call,):
                return self.reply(call, Unconfirmed())
            case "tick", (length,):
                return self.tick(float(length[:-1]) * UNITS[length[-1]])
            case "signal", (name, *more):
                content, signal_id = [*more, "null", ""][:2] if len(more) != 1 else [more[0], ""]
                return self.give(t.Signal(name, content.encode(), signal_id))
            case "resolve", (step, "no"):
                return self.give(t.Resolve(step, Refused("no"), "ann", "looked"))
            case "resolve", (step, _, *reply):
                return self.give(
                    t.Resolve(step, Succeeded(" ".join(reply).encode() or b"null"), "ann", "looked")
                )
            case "crash", _:
                self.state = self.folded()
                return None
            case _:
                return self.give(ACTS[word](*rest, "ann", "asks"))


ACTS: dict[str, Callable[..., t.Trigger]] = {
    "cancel": t.Cancel,
    "pause": t.Pause,
    "resume": t.Resume,
    "retry": t.Retry,
    "skip": t.Skip,
    "abandon": t.Abandon,
}


def call_of(text: str) -> tuple[str, Direction, int]:
    step, slash, rest = text.partition("/undo")
    if not slash:
        return step, "do", 1
    return step, "undo", int(rest[1:] or 0)


def transcript(text: str) -> str:
    """Return `text` with the log of each line that begins with ``>`` made anew; other notes begin with ``#``."""
    out: list[str] = []
    life: Life | None = None
    for line in text.splitlines():
        if line.startswith("#"):
            out += ([""] if out and not out[-1].startswith("#") else []) + [line]
        elif line.startswith("> saga "):
            name, _, data = line.removeprefix("> saga ").partition(" ")
            life = Life(compile_saga(SAGAS[name]()), data.encode() or ORDER)
            out += ["", line, *life.tell("start")]
        elif line.startswith("> ") and life is not None:
            out += [line, *life.tell(line.removeprefix("> "))]
    return "\n".join(out).strip() + "\n"
