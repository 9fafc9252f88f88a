"""A test of one saga that reads like its sequence diagram.

    given(fulfil_order, order)
        .expect("reserve-stock", "reserve", {"sku": "sku-7"}).replies("R-1")
        .expect("pay", "charge", {"cents": 4990}).refuses("declined")
        .expect("undo reserve-stock", "release", {"reservation": "R-1"}).replies()
        .undone("reserve-stock")
        .compensated()

Rules
- Pure and synchronous: the saga runs in the core, on a clock that only the scenario moves.
- Every command that goes out is expected before anything else happens, together with those that go out beside it
  (`expect_all`). One that nobody expects is a failure at once.
- What the participants say is read as in production: a reply that does not fit the step is a failure of the test.
It does not: use a store, an event loop or a participant; `harness` does.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar, overload

from amends.application.view import SagaView, view
from amends.core import trigger as t
from amends.core.codec import Codec, Unreadable
from amends.core.decision import Rejected, RejectionCode
from amends.core.effect import SendCommand
from amends.core.outcome import Answer, Failed, Fault, Refused, Succeeded, Unconfirmed
from amends.core.plan import StepPlace
from amends.core.state import Wait
from amends.core.transitions import Status
from amends.definition import Command, Saga
from amends.testing import wording
from amends.testing.claims import RETRYING, claim, nothing_new, why_not
from amends.testing.stage import ScenarioFailed, Stage

__all__ = ["Scenario", "ScenarioFailed", "Sent", "given"]
__tracebackhide__ = True

D = TypeVar("D")
R = TypeVar("R")

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOMEBODY = "somebody"
REASON = "the test says so"


def given(
    saga: Saga[D],
    data: D,
    *,
    saga_id: str = "test-1",
    now: datetime = BEGIN,
    codec: Codec | None = None,
) -> "Scenario[D]":
    """Start an instance of `saga` and tell its story.

    Raises:
        DefinitionError: the saga breaks a rule.
        ScenarioFailed: the data do not fit the saga.
    """
    stage = Stage(saga, saga_id=saga_id, now=now, codec=codec)
    try:
        raw = stage.plan.codec.encode(data)
    except Unreadable as error:
        stage.fail(f"the data have no JSON form: {error}")
    stage.must(f"start {wording.document(raw)}", t.Start(raw))
    return Scenario(stage)


class Scenario(Generic[D]):
    """What happens to one instance, line by line; every verb returns the scenario, or a command to answer.

    A *call* names a command: the step's path (``pay``, ``reserve-stock[sku-1]``), and for its undo ``undo pay``.
    """

    def __init__(self, stage: Stage) -> None:
        """Go on with what stands on `stage`; `given` makes it."""
        self._stage = stage

    # --- commands ---

    @overload
    def expect(self, call: str) -> "Sent[D, Any]": ...
    @overload
    def expect(self, call: str, command: Command[R]) -> "Sent[D, R]": ...
    @overload
    def expect(self, call: str, command: str, payload: object = None) -> "Sent[D, Any]": ...

    def expect(
        self, call: str, command: Command[Any] | str | None = None, payload: object = None
    ) -> "Sent[D, Any]":
        """Expect exactly this command to have gone out; say next what its participant answers.

        The command is given as name and payload, as a `Command`, or not at all. A step that is to be tried again is
        waited for.
        """
        wanted: Command[Any] | None = Command(command, payload) if isinstance(command, str) else command
        (sent,) = claim(self._stage, {call: wanted})
        return Sent(self, self._stage, sent)

    def expect_all(self, *calls: str | Mapping[str, Command[Any]]) -> "Scenario[D]":
        """Expect exactly these commands to have gone out together; answer each with `on`, in any order."""
        wanted: dict[str, Command[Any] | None] = {}
        for call in calls:
            wanted.update({call: None} if isinstance(call, str) else call)
        claim(self._stage, wanted)
        return self

    def on(self, call: str) -> "Sent[D, Any]":
        """Take up a command that was expected before, to answer it."""
        nothing_new(self._stage, f"on {call}")
        open_ = {wording.name_of(command): command for command in self._stage.unanswered()}
        if call not in open_:
            self._stage.fail(f"{call} is not outstanding{why_not(self._stage, call)}")
        return Sent(self, self._stage, open_[call])

    def all_reply(self, reply: object = None) -> "Scenario[D]":
        """Let all commands that are outstanding succeed with the same reply."""
        nothing_new(self._stage, "all reply")
        for command in self._stage.unanswered():
            Sent[D, Any](self, self._stage, command).replies(reply)
        return self

    def late(self, call: str) -> "Sent[D, Any]":
        """Take up a command that nobody waits for any more: its answer comes late."""
        nothing_new(self._stage, f"late {call}")
        command = self._stage.latest.get(call)
        if command is None:
            self._stage.fail(f"{call} never went out, so there is no late answer to it")
        if command in self._stage.outstanding():
            self._stage.fail(f'{call} is still waited for: answer it with on("{call}")')
        return Sent(self, self._stage, command)

    def duplicate(self) -> "Scenario[D]":
        """Bring the last answer a second time; it must change nothing."""
        reply = self._stage.last_reply
        if reply is None:
            self._stage.fail("there is no answer yet that could be doubled")
        call = wording.call_of(reply.step, reply.direction)
        if self._stage.must(f"<-- {call} {wording.answer_line(reply.answer)}, once more", reply).events:
            self._stage.fail(f"the second answer to {call} changed something")
        return self

    # --- what happens from outside ---

    def after(self, length: timedelta) -> "Scenario[D]":
        """Let time pass; what is due meanwhile happens in its order."""
        stage = self._stage
        shown = wording.passed(length)
        nothing_new(self._stage, f"after {shown}")
        until = stage.now + length
        stage.tell(f"... {shown} pass")
        stage.advance_to(until)
        if stage.now < until:
            nothing_new(self._stage, f"after {shown}, already at {stage.since_start(stage.now)}")
        return self

    def signal(
        self,
        signal: str,
        content: object = None,
        *,
        signal_id: str = "",
        rejected: RejectionCode | None = None,
    ) -> "Scenario[D]":
        """Tell the saga that something happened."""
        raw = self._stage.plan.codec.encode(content)
        return self._act(
            f"signal {signal} {wording.document(raw)}", t.Signal(signal, raw, signal_id), rejected
        )

    def cancel(
        self, *, by: str = SOMEBODY, reason: str = REASON, rejected: RejectionCode | None = None
    ) -> "Scenario[D]":
        """Ask the saga to turn round."""
        return self._act("cancel", t.Cancel(by, reason), rejected)

    def pause(
        self, *, by: str = SOMEBODY, reason: str = REASON, rejected: RejectionCode | None = None
    ) -> "Scenario[D]":
        """Begin nothing new."""
        return self._act("pause", t.Pause(by, reason), rejected)

    def resume(
        self, *, by: str = SOMEBODY, reason: str = REASON, rejected: RejectionCode | None = None
    ) -> "Scenario[D]":
        """Go on after a pause."""
        return self._act("resume", t.Resume(by, reason), rejected)

    def retry(
        self, step: str, *, by: str = SOMEBODY, reason: str = REASON, rejected: RejectionCode | None = None
    ) -> "Scenario[D]":
        """Have a stuck step tried again."""
        return self._act(f"retry {step}", t.Retry(step, by, reason), rejected)

    def resolve(
        self,
        step: str,
        reply: object = None,
        *,
        refused: str = "",
        by: str = SOMEBODY,
        reason: str = REASON,
        rejected: RejectionCode | None = None,
    ) -> "Scenario[D]":
        """Settle a stuck step with the reply, or the refusal code, that its participant would have given."""
        raw = self._stage.plan.codec.encode(reply)
        answer: Succeeded | Refused = Refused(refused, reason) if refused else Succeeded(raw)
        line = f"resolve {step}: {wording.answer_line(answer)}"
        return self._act(line, t.Resolve(step, answer, by, reason), rejected)

    def skip(
        self, step: str, *, by: str = SOMEBODY, reason: str = REASON, rejected: RejectionCode | None = None
    ) -> "Scenario[D]":
        """Go on without a stuck step."""
        return self._act(f"skip {step}", t.Skip(step, by, reason), rejected)

    def abandon(
        self, *, by: str = SOMEBODY, reason: str = REASON, rejected: RejectionCode | None = None
    ) -> "Scenario[D]":
        """Give the instance up."""
        return self._act("abandon", t.Abandon(by, reason), rejected)

    def crash(self) -> "Scenario[D]":
        """Throw the state away and fold it from its stored JSON, as after a restart."""
        self._stage.crash()
        return self

    def _act(self, line: str, trigger: t.Trigger, rejected: RejectionCode | None) -> "Scenario[D]":
        nothing_new(self._stage, line)
        stage = self._stage
        if rejected is None:
            stage.must(line, trigger)
            return self
        try:
            stage.give(line, trigger)
        except Rejected as no:
            if no.code != rejected:
                stage.fail(f"{line}: expected to be rejected as {rejected}, but it is {no.code}: {no}")
            stage.tell(f"rejected: {no.code}")
        else:
            stage.fail(f"{line}: expected to be rejected as {rejected}, but it was accepted")
        return self

    # --- how it stands ---

    @property
    def view(self) -> SagaView[D]:
        """The instance as it stands, as `Orchestrator.get` would show it."""
        return view(self._stage.plan, self._stage.state)

    def status(self, expected: Status) -> "Scenario[D]":
        """The engine's status is this."""
        return self._same("status", expected, self._stage.state.status)

    def business_status(self, expected: str) -> "Scenario[D]":
        """The saga's own status is this."""
        return self._same("business status", expected, self._stage.state.business)

    def data(self, expected: D) -> "Scenario[D]":
        """The saga's data are these, after every merge."""
        raw, found = self._stage.plan.codec.encode(expected), self._stage.state.data[""]
        if not wording.same_json(raw, found):
            told = wording.difference(wording.lines_of(raw), wording.lines_of(found))
            self._stage.fail(f"the data differ (- expected, + found)\n{told}")
        return self

    def undone(self, *steps: str) -> "Scenario[D]":
        """Undone are exactly these steps, confirmed in this order."""
        return self._listed("undone", steps, self._stage.undone)

    def stuck_at(self, *steps: str) -> "Scenario[D]":
        """A person is waited for, at exactly these steps."""
        nothing_new(self._stage, "stuck_at")
        return self._listed("stuck", sorted(steps), sorted(self._stage.state.stuck))

    def contradicted(self, *steps: str) -> "Scenario[D]":
        """A later answer said otherwise at exactly these steps."""
        return self._listed("contradicted", steps, self._stage.state.contradicted)

    def waits_for(self, signal: str) -> "Scenario[D]":
        """The signal is waited for."""
        nothing_new(self._stage, f"waits_for {signal}")
        nodes = self._stage.state.nodes.values()
        waits = {node.signal for node in nodes if isinstance(node, Wait) and node.how == "waiting"}
        if signal not in waits:
            self._stage.fail(
                f"expected to wait for {signal!r}; waited for is: {', '.join(sorted(waits)) or 'no signal'}"
            )
        return self

    def nothing_outstanding(self) -> "Scenario[D]":
        """Every command was expected and answered."""
        nothing_new(self._stage, "nothing_outstanding")
        if self._stage.outstanding():
            self._stage.fail("expected nothing to be outstanding")
        return self

    def completed(self, *, unconfirmed: tuple[str, ...] = ()) -> "Scenario[D]":
        """All is done, and nothing is outstanding."""
        return self._ended("completed", unconfirmed)

    def compensated(self, *, unconfirmed: tuple[str, ...] = ()) -> "Scenario[D]":
        """All that was done is undone, confirmed, and nothing is outstanding."""
        return self._ended("compensated", unconfirmed)

    def abandoned(self, *, unconfirmed: tuple[str, ...] = ()) -> "Scenario[D]":
        """A person gave the instance up."""
        return self._ended("abandoned", unconfirmed)

    def _ended(self, how: Status, unconfirmed: tuple[str, ...]) -> "Scenario[D]":
        nothing_new(self._stage, how)
        self.status(how)
        if how != "abandoned":
            self.nothing_outstanding()
        return self._listed("unconfirmed", unconfirmed, self._stage.state.unconfirmed)

    def _same(self, what: str, expected: str, found: str) -> "Scenario[D]":
        if expected != found:
            self._stage.fail(f"{what}: expected {expected or 'none'}, it is {found or 'none'}")
        return self

    def _listed(self, what: str, expected: Iterable[str], found: Iterable[str]) -> "Scenario[D]":
        wanted, there = list(expected), list(found)
        if wanted != there:
            told = wording.difference(wanted, there) or "  nothing"
            self._stage.fail(f"{what}: other steps, or in another order (- expected, + found)\n{told}")
        return self


class Sent(Generic[D, R]):
    """A command that went out, and what its participant makes of it; every verb but the last answers it."""

    def __init__(self, scenario: Scenario[D], stage: Stage, command: SendCommand) -> None:
        """`Scenario.expect`, `on` and `late` make it."""
        self._scenario = scenario
        self._stage = stage
        self._command = command

    @overload
    def replies(self: "Sent[D, None]") -> Scenario[D]: ...
    @overload
    def replies(self, reply: R) -> Scenario[D]: ...

    def replies(self, reply: Any = None) -> Scenario[D]:
        """It succeeds with this reply."""
        try:
            raw = self._stage.plan.codec.encode(reply)
            self._read(raw)
        except Unreadable as error:
            name = wording.name_of(self._command)
            self._stage.fail(f"{name}: this reply cannot be read as the step's do says: {error}")
        return self._answer(Succeeded(raw))

    def _read(self, raw: bytes) -> None:
        place, _keys = self._stage.plan.locate(self._command.step)
        if isinstance(place, StepPlace) and self._command.direction == "do":
            place.reply(raw)

    def refuses(self, code: str, reason: str = "") -> Scenario[D]:
        """A business no: nothing was done."""
        return self._answer(Refused(code, reason))

    def fails(
        self,
        reason: str = "connection reset",
        *,
        fault: Fault = "transient",
        retry_after: timedelta | None = None,
        attempts: int = 1,
    ) -> Scenario[D]:
        """No trustworthy answer: it may have happened. `attempts`: so many, one after the other."""
        failed = Failed(reason, fault, retry_after)
        for number in range(attempts):
            self._again(number, attempts)
            self._answer(failed)
        return self._scenario

    def no_answer(self, *, attempts: int = 1) -> Scenario[D]:
        """Silence: time passes until the timeout. `attempts`: so many, one after the other."""
        for number in range(attempts):
            self._again(number, attempts)
            self._time_out()
        return self._scenario

    def hands_over(self) -> Scenario[D]:
        """The binding took it and knows no confirmation."""
        return self._answer(Unconfirmed())

    def answers_later(self) -> Scenario[D]:
        """Leave it outstanding; `Scenario.on` takes it up again."""
        return self._scenario

    def _answer(self, answer: Answer) -> Scenario[D]:
        self._stage.reply(self._command, answer)
        return self._scenario

    def _again(self, number: int, attempts: int) -> None:
        """Take up the next attempt, unless this is the first."""
        if not number:
            return
        call = wording.name_of(self._command)
        step = self._stage.step(self._command.step)
        out_again = any(wording.name_of(command) == call for command in self._stage.new)
        if not out_again and (step is None or step.phase not in RETRYING):
            self._stage.fail(f"{call}: {attempts} attempts were expected, it ended with number {number}")
        (self._command,) = claim(self._stage, {call: None})

    def _time_out(self) -> None:
        stage, command = self._stage, self._command
        call = wording.name_of(command)
        stage.tell(f"... {call}: no answer")
        if command.due is not None:
            stage.advance_to(command.due)
        if command in stage.outstanding():
            why = "the saga is paused" if stage.state.paused else "something else happened before its timeout"
            nothing_new(stage, call)
            stage.fail(f"{call}: it did not time out, {why}")
