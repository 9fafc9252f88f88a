"""A decision in the making: the facts so far and the state that they lead to.

Rules: every change is an event, applied at once to the draft's own fork, so that what is decided next sees it.
User functions are called here and nowhere else; what one returns or raises becomes a fact.
It does not: know the rules of progress or compensation.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from zlib import crc32

import msgspec

from amends.core import event as e
from amends.core.codec import Unreadable
from amends.core.effect import Direction, SendCommand
from amends.core.evolve import APPLY
from amends.core.plan import Place, Plan
from amends.core.state import State, StepState
from amends.definition.command import RAISED, Cause, Command
from amends.definition.policy import RetryPolicy

NO_CAUSE: Final = Cause(code="")
FAILED_CALL: Final = object()
"""What `Draft.call` returns when the function raised."""
LONGEST_WAIT: Final = timedelta(days=1)
"""The most that a participant's wish not to be called again is honoured."""


class Draft(msgspec.Struct, kw_only=True, eq=False):
    """The working copy of one decision."""

    plan: Plan
    state: State
    """A fork of its own."""
    now: datetime
    """The instant of this decision."""
    events: "list[e.AnyEvent]" = []
    sends: list[SendCommand] = []
    """The commands that this decision ordered."""
    failure: Cause = NO_CAUSE
    failed_at: str = ""
    """The node that a person may act on when the failure cannot turn anything round."""
    holding: bool = False
    """While true, nothing new begins: failures are looked for first."""

    def emit(self, event: "e.AnyEvent") -> None:
        """Add a fact and see its consequences in the state; its position is counted when all is decided."""
        self.events.append(event)
        APPLY[type(event)](self.state, event)

    def step(self, path: str) -> StepState | None:
        """Return the step at `path`, None when it has not begun."""
        node = self.state.nodes.get(path)
        return node if type(node) is StepState else None

    def data(self, scope: str, keys: str) -> Any:
        """Return the decoded data of a scope."""
        return self.plan.decoders[scope](self.state.data[scope + keys])

    def call(self, path: str, function: "e.Function", run: Callable[..., Any], *arguments: Any) -> Any:
        """Run a user function; what it raises becomes a fact and `FAILED_CALL` is returned."""
        try:
            return run(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  user code may raise anything, and it must become a fact
            self.raised(path, function, error)
            return FAILED_CALL

    def raised(self, path: str, function: "e.Function", error: BaseException | str) -> None:
        """Record that a user function raised, or returned what cannot be used."""
        text = error if isinstance(error, str) else _described(error)
        self.emit(e.FunctionRaised(path=path, function=function, error=storable(text)))

    def encode(self, value: object) -> msgspec.Raw:
        """Return `value` as stored JSON; raises `Unreadable`."""
        return msgspec.Raw(self.plan.codec.encode(value))

    def store(self, path: str, function: "e.Function", scope: str, value: object) -> msgspec.Raw | None:
        """Return `value` as the stored data of a scope, or None with the fact that it cannot be read back as such."""
        try:
            raw = self.encode(value)
            self.plan.decoders[scope.partition("[")[0]](bytes(raw))
        except Unreadable as error:
            self.raised(path, function, error)
            return None
        return raw

    def error(self) -> str:
        """Return what the function raised that the last fact tells of."""
        fact = self.events[-1]
        return fact.error if isinstance(fact, e.FunctionRaised) else ""

    def fail_raised(self, path: str) -> None:
        """Let the node at `path` fail because its function raised, which is the last fact."""
        self.emit(e.NodeFailed(path=path, code=RAISED, reason=self.error()))

    def command(self, path: str, function: "e.Function", made: object) -> tuple[str, msgspec.Raw] | None:
        """Return name and payload of what a do or undo returned, or None with the fact that it cannot be used."""
        if not isinstance(made, Command):
            self.raised(path, function, f"returned {type(made).__name__}, not a Command")
            return None
        if not isinstance(made.name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  a struct checks nothing
            self.raised(path, function, f"named its command {type(made.name).__name__}, not str")
            return None
        try:
            return storable(made.name), self.encode(made.payload)
        except ValueError as error:
            self.raised(path, function, error)
            return None

    def issue(
        self,
        path: str,
        participant: str,
        command: tuple[str, msgspec.Raw],
        direction: Direction,
        timeout: Any,
    ) -> None:
        """Order a command; its round grows with every undo of the same step."""
        round_ = 1 if direction == "do" else self._next_round(path)
        name, payload = command
        due = self.now + timeout
        self.emit(
            e.CommandIssued(
                step=path,
                participant=participant,
                name=name,
                payload=payload,
                due=due,
                direction=direction,
                round=round_,
            )
        )
        self.send(path)

    def _next_round(self, path: str) -> int:
        step = self.step(path)
        return 1 if step is None else step.round + 1

    def renew_attempt(self, path: str, step: StepState, timeout: Any) -> None:
        """Send the outstanding command again and give its answer the full time, without using up an attempt."""
        self._attempt(path, step, step.attempt, timeout)

    def start_attempt(self, path: str, step: StepState, timeout: Any) -> None:
        """Try the outstanding command once more."""
        self._attempt(path, step, step.attempt + 1, timeout)

    def _attempt(self, path: str, step: StepState, attempt: int, timeout: Any) -> None:
        direction: Direction = "do" if step.phase in ("doing", "retrying") else "undo"
        self.emit(
            e.AttemptStarted(
                step=path,
                attempt=attempt,
                due=self.now + timeout,
                direction=direction,
                round=1 if direction == "do" else step.round,
            )
        )
        self.send(path)

    def retry_at(self, path: str, step: StepState, policy: RetryPolicy, after: Any) -> datetime | None:
        """Return when to try again, None when the attempts are used up. The jitter follows from the command's name."""
        used = step.attempt - step.budget_from
        if used >= policy.attempts:
            return None
        chance = crc32(f"{self.state.saga_id}/{path}/{step.attempt}".encode()) / 2**32
        pause = policy.pause(used, chance)
        return self.now + (max(pause, min(after, LONGEST_WAIT)) if after is not None else pause)

    def send(self, path: str) -> None:
        """Have the outstanding command of the step at `path` sent once the facts are durable."""
        step = self.step(path)
        if step is not None:
            self.sends.append(self.state.command(path, step))

    def locate(self, path: str) -> tuple[Place, str]:
        """Return the place and the keys that `path` names."""
        return self.plan.locate(path)


def _described(error: BaseException) -> str:
    """Return type and text of `error`, also when its own text cannot be had."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  a text that raises must not stop the saga
        return type(error).__name__


def storable(text: str) -> str:
    """Return the first 500 characters of a text that somebody else wrote; half characters have no JSON form."""
    if text.isascii():
        return text if len(text) <= 500 else text[:500]  # noqa: PLR2004  as said
    return text[:500].encode("utf-8", "replace").decode()
