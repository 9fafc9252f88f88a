"""Participants that do as a test tells them, behind the barrier that real ones have, and a spy that counts effects.

    payments = FakeParticipant("payments").succeeds("charge", Paid("P-1")).fails("charge", times=2)

Rules
- What was said last about a command counts first; when it is used up (`times`) or does not apply (`when`), what was
  said before it counts. An undo that nobody spoke of succeeds; a do that nobody spoke of is a fault of the test.
- The barrier decides whether it acts (`amends.participant.barrier`): a duplicate gets the first answer, an undo without
  its do is confirmed without an effect, a do after its undo is refused.
- `when` and a reply that is a function take the payload, decoded by their annotation, and the command if they want it.
It does not: sleep, or need the harness; it is a transport like any other.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

from amends.adapters.local.handlers import Route, route
from amends.core.codec import JsonCodec
from amends.core.effect import SendCommand
from amends.core.outcome import Answer as Said, Failed, Fault, Refused as SaidNo, Succeeded as SaidYes
from amends.participant.barrier import Answer, Remembered, Standing, State, admit
from amends.participant.message import Command, Pair, Refused, Succeeded
from amends.testing.wording import call_of

__tracebackhide__ = True

When: TypeAlias = Callable[..., bool]
Kind: TypeAlias = Literal["succeeds", "refuses", "fails", "hangs", "loses"]


class Untold(Exception):
    """A do came that the test did not speak of."""


class EffectSpy:
    """Sees every effect: a command that a participant acted on, not one that it only answered again."""

    def __init__(self) -> None:
        """Begin with none."""
        self.effects: list[SendCommand] = []

    def acted(self, command: SendCommand) -> None:
        """Note an effect; a handler of your own may call it, too."""
        self.effects.append(command)

    @property
    def calls(self) -> list[str]:
        """The effects by call, in their order: ``pay``, ``undo pay``."""
        return [_call(command) for command in self.effects]

    def exactly_once(self, *calls: str) -> None:
        """Nothing acted twice in one instance; given `calls`, these are all effects, in any order."""
        counted = Counter((command.namespace, command.saga_id, _call(command)) for command in self.effects)
        twice = [
            f"{call} of {saga_id}: {count} times"
            for (_, saga_id, call), count in counted.items()
            if count > 1
        ]
        assert not twice, "acted more than once: " + ", ".join(twice)
        wrong = sorted(calls) != sorted(set(self.calls))
        assert not (calls and wrong), f"expected effects: {', '.join(calls)}; there are: {self._shown()}"

    def in_order(self, *calls: str) -> None:
        """The effects are exactly these, in this order."""
        assert self.calls == [*calls], f"expected effects: {', '.join(calls)}; there are: {self._shown()}"

    def nothing_left(self) -> None:
        """Every do that acted was undone."""
        pairs: dict[tuple[str, str, str], int] = {}
        for command in self.effects:
            pair = (command.namespace, command.saga_id, command.step)
            pairs[pair] = pairs.get(pair, 0) + (1 if command.direction == "do" else -1)
        left = [f"{step} of {saga_id}" for (_, saga_id, step), balance in pairs.items() if balance > 0]
        assert not left, f"still done: {', '.join(left)}; the effects: {self._shown()}"

    def _shown(self) -> str:
        return ", ".join(self.calls) or "none"


@dataclass(slots=True, kw_only=True)
class Rule:
    """What to do with a command, how often, and when."""

    kind: Kind
    reply: Route | bytes = b"null"
    said: SaidNo | Failed | None = None
    """What a refusal or a failure says."""
    when: Route | None = None
    left: int | None = None
    """How many more times it applies; None for ever."""

    def applies(self, command: SendCommand) -> bool:
        """Tell whether it counts for `command`."""
        return self.left != 0 and (self.when is None or bool(_called(self.when, command)))


class FakeParticipant:
    """A participant that does as it is told, and remembers."""

    def __init__(self, name: str, *, spy: EffectSpy | None = None, barrier: bool = True) -> None:
        """Take part as `name`. Several may share one `spy`.

        Without the barrier it acts on whatever comes: to see what that leads to.
        """
        self.name = name
        self.spy = spy or EffectSpy()
        self.commands: list[SendCommand] = []
        """Every command that came, duplicates too."""
        self.faults: list[str] = []
        """What is wrong with the test: a do that nobody spoke of, a function of the test that raised."""
        self.hanging = 0
        """Calls that are waiting for an answer that never comes."""
        self._rules: dict[str, list[Rule]] = {}
        self._undo_only: set[str] = set()
        self._barrier = barrier
        self._ledger = MemoryLedger()
        self._encode = JsonCodec().encode

    # --- what it is told ---

    def succeeds(
        self, command: str, reply: object = None, *, when: When | None = None, times: int | None = None
    ) -> "FakeParticipant":
        """Do it. `reply` is what it says, or a function of the payload that returns it."""
        made = route(command, reply) if callable(reply) else self._encode(reply)
        return self._told(command, Rule(kind="succeeds", reply=made), when, times)

    def refuses(
        self, command: str, code: str, reason: str = "", *, when: When | None = None, times: int | None = None
    ) -> "FakeParticipant":
        """Say no; nothing is done."""
        return self._told(command, Rule(kind="refuses", said=SaidNo(code, reason)), when, times)

    def fails(
        self,
        command: str,
        reason: str = "out of order",
        *,
        fault: Fault = "transient",
        when: When | None = None,
        times: int | None = None,
    ) -> "FakeParticipant":
        """Give no trustworthy answer; nothing is done."""
        return self._told(command, Rule(kind="fails", said=Failed(reason, fault)), when, times)

    def loses_reply(
        self, command: str, *, when: When | None = None, times: int | None = None
    ) -> "FakeParticipant":
        """Do as it was told before, but the answer gets lost on its way."""
        return self._told(command, Rule(kind="loses", said=Failed("the reply was lost")), when, times)

    def hangs(self, command: str, *, when: When | None = None, times: int | None = None) -> "FakeParticipant":
        """Do nothing and never answer: the saga's timeout has to pass."""
        return self._told(command, Rule(kind="hangs"), when, times)

    def undo_only(self, command: str, reply: object = None) -> "FakeParticipant":
        """Do it although no do came before: what `on_rollback` sends."""
        self._undo_only.add(command)
        return self.succeeds(command, reply)

    def _told(self, command: str, rule: Rule, when: When | None, times: int | None) -> "FakeParticipant":
        rule.when = None if when is None else route(command, when)
        rule.left = times
        self._rules.setdefault(command, []).append(rule)
        return self

    # --- what came ---

    def named(self, command: str) -> list[SendCommand]:
        """Return the commands of that name that came."""
        return [came for came in self.commands if came.name == command]

    # --- what it does ---

    async def send(self, command: SendCommand) -> Said:
        """Answer `command` as it was told; what is wrong with the test is kept in `faults`."""
        self.commands.append(command)
        try:
            return await self._said(command)
        except Exception as error:  # noqa: BLE001  functions of a test may raise anything
            what = str(error) if isinstance(error, Untold) else f"{type(error).__name__}: {error}"
            fault = f"{self.name}, {command.name} ({_call(command)}): {what}"
            self.faults.append(fault)
            return Failed(fault, "configuration")

    async def _said(self, command: SendCommand) -> Said:
        rule = self._rule(command)
        if rule.kind == "hangs":
            with self._hanging():
                await asyncio.get_running_loop().create_future()
        if rule.kind == "loses":
            self._admitted(command, self._rule(command, acting=True))
        if isinstance(rule.said, Failed):
            return rule.said
        return self._admitted(command, rule)

    async def close(self) -> None:
        """Nothing to release; what it remembers outlives the orchestrator."""

    @contextmanager
    def _hanging(self) -> Generator[None]:
        self.hanging += 1
        try:
            yield
        finally:
            self.hanging -= 1

    def _rule(self, command: SendCommand, *, acting: bool = False) -> Rule:
        for rule in reversed(self._rules.get(command.name, [])):
            if rule.applies(command) and not (acting and rule.kind not in ("succeeds", "refuses")):
                rule.left = None if rule.left is None else rule.left - 1
                return rule
        if command.direction == "undo":
            return Rule(kind="succeeds")
        known = ", ".join(self._rules) or "no command"
        raise Untold(f"it was not told how to answer; it knows {known}")

    def _admitted(self, command: SendCommand, rule: Rule) -> Said:
        def act() -> Succeeded[object] | Refused:
            if isinstance(rule.said, SaidNo):
                return Refused(rule.said.code, rule.said.reason)
            self.spy.acted(command)
            return Succeeded(msgspec.Raw(self._reply(rule, command)))

        if not self._barrier:
            return _said(act())
        needs_do = command.name not in self._undo_only
        answer = admit(self._ledger, _received(command), act, needs_do=needs_do)
        return _read(answer)

    def _reply(self, rule: Rule, command: SendCommand) -> bytes:
        reply = rule.reply
        return reply if isinstance(reply, bytes) else self._encode(_called(reply, command))


class MemoryLedger:
    """What the barrier remembers, in memory."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._commands: dict[str, Remembered] = {}
        self._pairs: dict[Pair, Standing] = {}

    def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got."""
        return self._commands.get(command_id)

    def claim(self, pair: Pair) -> Standing:
        """What is known of this pair; nobody else asks, for nothing here is awaited."""
        return self._pairs.get(pair, Standing(state="unseen", command_id=None))

    def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep both."""
        self._commands[command.command_id] = Remembered(fingerprint=command.fingerprint, answer=answer)
        self._pairs[command.pair] = Standing(state=state, command_id=command.command_id)

    def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change both."""
        self._commands[command_id] = Remembered(
            fingerprint=self._commands[command_id].fingerprint, answer=answer
        )
        self._pairs[pair] = Standing(state=state, command_id=command_id)


def _call(command: SendCommand) -> str:
    return call_of(command.step, command.direction)


def _called(function: Route, command: SendCommand) -> Any:
    payload = function.decode(command.payload)
    return function.call(payload, command) if function.takes_command else function.call(payload)


def _received(command: SendCommand) -> Command:
    return Command(
        command_id=command.command_id,
        namespace=command.namespace,
        saga_id=command.saga_id,
        step=command.step,
        direction=command.direction,
        round=command.round,
        attempt=command.attempt,
        name=command.name,
        payload=msgspec.json.decode(command.payload),
    )


def _read(answer: Answer) -> Said:
    if answer.outcome == "succeeded":
        return SaidYes(answer.body)
    return msgspec.json.decode(answer.body, type=SaidNo)


def _said(result: Succeeded[object] | Refused) -> Said:
    match result:
        case Succeeded(reply):
            return SaidYes(msgspec.json.encode(reply))
        case Refused(code, reason):
            return SaidNo(code, reason)
