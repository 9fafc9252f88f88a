"""The stage that a scenario is played on: one instance in the pure core, its time, its commands, what was told so far.

Rules
- The core decides; what it decided is stored as JSON at once, as a store would have it.
- A command that goes out is *new* until the test expects it. Nothing else may happen while one is new.
- Time moves only when it is told to, from timer to timer, so that what is due first happens first.
- Every failure is a `ScenarioFailed` with the transcript and what is outstanding.
It does not: know what a test expects (`scenario`), or talk to anybody.
"""

from datetime import datetime
from typing import Any, NoReturn

from amends.core import event as e, trigger as t
from amends.core.codec import Codec
from amends.core.decide import decide
from amends.core.decision import Decision, Rejected
from amends.core.effect import SendCommand
from amends.core.evolve import evolve
from amends.core.outcome import Answer
from amends.core.plan import compile_saga
from amends.core.state import State, StepState, initial
from amends.core.transitions import IN_FLIGHT
from amends.core.upcast import from_body, to_body
from amends.definition import Saga
from amends.testing import wording

__tracebackhide__ = True


class ScenarioFailed(AssertionError):
    """The saga did something else than the scenario says; the text has the transcript."""


class Stage:
    """One instance on its way."""

    def __init__(self, saga: Saga[Any], *, saga_id: str, now: datetime, codec: Codec | None) -> None:
        """Compile `saga`; nothing happens before the first trigger."""
        self.plan = compile_saga(saga, codec)
        self.state: State = initial("default", saga_id)
        self.begun = self.now = now
        self.rows: list[bytes] = []
        self.told: list[tuple[str, str]] = []
        self.new: list[SendCommand] = []
        """Commands that went out and that the test has not expected yet."""
        self.undone: list[str] = []
        self.last_reply: t.Reply | None = None
        self.latest: dict[str, SendCommand] = {}
        """The last attempt of every command, by its call."""
        self._sent: set[tuple[str, int]] = set()

    # --- what happens ---

    def give(self, line: str, trigger: t.Trigger) -> Decision:
        """Tell `line` (unless it is empty), let the core decide, store what it decided.

        Raises:
            Rejected: the rules forbid it.
        """
        if line:
            self.tell(line)
        before = self.state
        decision = decide(self.plan, before, trigger, self.now)
        if decision.events:
            self.rows.append(to_body(decision.events))
        self.state = decision.state
        for fact in decision.events:
            self._note(fact)
        if before.status != self.state.status and not self.state.final:
            self.tell(f"[{self.state.status}]")
        for command in decision.commands:
            self._send(command)
        return decision

    def must(self, line: str, trigger: t.Trigger) -> Decision:
        """Let the core decide what it may not refuse."""
        try:
            return self.give(line, trigger)
        except Rejected as rejected:
            self.fail(f"{line}: the rules forbid it ({rejected.code}): {rejected}")

    def _note(self, fact: "e.AnyEvent") -> None:
        match fact:
            case e.ReplyRecorded(direction="undo") | e.StepResolved(direction="undo"):
                self.undone.append(fact.step)
            case _:
                pass
        line = wording.fact_line(fact, self.since_start)
        if line is not None:
            self.tell(line)

    def _send(self, command: SendCommand) -> None:
        name = (command.command_id, command.attempt)
        if name in self._sent:
            self.tell(f"--> {command.participant}: {wording.name_of(command)} is sent once more")
            return
        self._sent.add(name)
        self.new.append(command)
        self.latest[wording.name_of(command)] = command
        self.tell(f"--> {command.participant}: {wording.command_line(command)}")

    def reply(self, command: SendCommand, answer: Answer) -> None:
        """Bring a participant's answer to `command`."""
        reply = t.Reply(command.step, command.direction, command.round, command.attempt, answer)
        self.last_reply = reply
        self.must(f"<-- {wording.name_of(command)} {wording.answer_line(answer)}", reply)

    def crash(self) -> None:
        """Throw the state away and fold it from what is stored; what is outstanding is sent again."""
        folded = initial(self.state.namespace, self.state.saga_id)
        for row in self.rows:
            folded = evolve(folded, from_body(row))
        self.tell(f"crash: {folded.position} events are folded")
        if folded != self.state:
            self.fail("the stored events give another state than the one before the crash")
        self.state = folded
        for command in folded.outstanding():
            self._send(command)

    # --- time ---

    def advance_to(self, instant: datetime) -> None:
        """Let the time pass, from timer to timer, until `instant` or until a command goes out."""
        while (due := self.state.wake_at) is not None and due <= instant and not self.new:
            self._move(due)
            position = self.state.position
            self.give("", t.Tick())
            if self.state.position == position:
                break
        if not self.new:
            self._move(instant)

    def _move(self, instant: datetime) -> None:
        self.now = max(self.now, instant)

    def since_start(self, instant: datetime) -> str:
        """Return an instant as a test reads it."""
        return wording.passed(instant - self.begun)

    # --- what is outstanding ---

    def step(self, path: str) -> StepState | None:
        """Return the step at `path`, None when it has not begun."""
        node = self.state.nodes.get(path)
        return node if isinstance(node, StepState) else None

    def unanswered(self) -> list[SendCommand]:
        """Return the commands that were expected and are not answered."""
        return [command for command in self.outstanding() if command not in self.new]

    def outstanding(self) -> list[SendCommand]:
        """Return all commands that are in flight, also while the saga is paused."""
        state = self.state
        return [state.command(path, step) for path, step in state.steps() if _in_flight(step)]

    # --- what is said when something is wrong ---

    def tell(self, line: str) -> None:
        """Add a line to the transcript."""
        self.told.append((self.since_start(self.now), line))

    def transcript(self) -> str:
        """Return what happened so far; an instant stands where it changes."""
        lines: list[str] = []
        before = ""
        for at, line in self.told:
            lines.append(f"  {'' if at == before else at:<10} {wording.cut(line)}".rstrip())
            before = at
        return "\n".join(lines)

    def fail(self, what: str) -> NoReturn:
        """Say what is wrong, what happened so far and what is outstanding."""
        saga = self.plan.saga
        state = self.state
        flags = [state.status, *(["paused"] if state.paused else []), *filter(None, [state.business])]
        outstanding = [f"  {self._outstanding_line(command)}" for command in self.outstanding()]
        raise ScenarioFailed(
            "\n".join(
                [
                    what,
                    "",
                    f"So far, {saga.name} version {saga.version}:",
                    self.transcript(),
                    "",
                    f"Status: {', '.join(flags)}",
                    "Outstanding:" if outstanding else "Outstanding: nothing",
                    *outstanding,
                ]
            )
        )

    def _outstanding_line(self, command: SendCommand) -> str:
        unexpected = ", not expected yet" if command in self.new else ""
        until = "" if command.due is None else f", times out at {self.since_start(command.due)}"
        return f"{wording.name_of(command)} at {command.participant}{until}{unexpected}"


def _in_flight(step: StepState) -> bool:
    return step.phase in IN_FLIGHT
