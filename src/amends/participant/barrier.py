"""The barrier: a command acts once, and a do never acts after its undo, in whatever order and number they arrive.

Rules (`VERDICTS` is the table that runs):
- A command id that was answered gets the same answer again, byte for byte.
- An undo whose do was never seen, or was refused, has no effect, is confirmed, and is remembered.
- A do that arrives after its undo is refused with the code `already-undone`, and that is remembered too.
- A refused do is remembered. A refused undo is not: nothing was undone, and the same command may succeed another day;
  to remember its no would keep the saga stuck for ever.
- A command id that comes back with other content raises CommandIdReused. That is never `Refused`: the process would
  believe that nothing was done.

The seam to a database is `Ledger`: three operations within a transaction that the caller has opened for writing and
commits together with the business change (sqlite_ledger does so for SQLite). The transaction must exclude another one
of the same pair from the first look to the commit.

Does not do: open transactions, forget (its rows stay as long as the service keeps its data), call other services.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

import msgspec

from amends.participant.message import Command, Direction, Pair, Refused, Succeeded

State = Literal["unseen", "refused", "done", "undone"]
Verdict = Literal["act", "repeat", "confirm", "refuse"]

VERDICTS: dict[tuple[Direction, State], Verdict] = {
    ("do", "unseen"): "act",
    ("do", "refused"): "act",
    ("do", "done"): "repeat",
    ("do", "undone"): "refuse",
    ("undo", "unseen"): "confirm",
    ("undo", "refused"): "confirm",
    ("undo", "done"): "act",
    ("undo", "undone"): "confirm",
}
"""What becomes of a command that is new, by its direction and what is known of its pair."""

ALREADY_UNDONE = Refused("already-undone", "the undo of this step came first; nothing was done")


class CommandIdReused(ValueError):
    """Two different commands carry one command id; the first one's answer stands, the second one is not executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What went out for a command, as it is remembered: JSON of the reply, or of code and reason."""

    outcome: Literal["succeeded", "refused"]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A command that was answered before."""

    fingerprint: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a pair, and which command made it so."""

    state: State
    command_id: str | None


class Ledger(Protocol):
    """What the barrier needs of a database, inside the caller's transaction."""

    def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        ...

    def standing(self, pair: Pair) -> Standing:
        """What is known of this pair (`unseen` when nothing is)."""
        ...

    def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        ...


def admit(
    ledger: Ledger, command: Command, act: Callable[[], Succeeded[object] | Refused], *, needs_do: bool
) -> Answer:
    """Answer the command: from memory, by the rule, or by acting. `needs_do=False` lets an undo act without its do."""
    remembered = ledger.recall(command.command_id)
    if remembered is not None:
        return _again(remembered, command)
    standing = ledger.standing(command.pair)
    verdict = VERDICTS[command.direction, standing.state]
    if verdict == "confirm" and standing.state == "unseen" and not needs_do:
        verdict = "act"
    match verdict:
        case "act":
            return _act(ledger, command, act)
        case "repeat":
            return _repeat(ledger, command, standing)
        case "confirm":
            return _keep(ledger, command, Succeeded({}), "undone")
        case "refuse":
            return _keep(ledger, command, ALREADY_UNDONE, "undone")
        case _:
            assert_never(verdict)


def _act(ledger: Ledger, command: Command, act: Callable[[], Succeeded[object] | Refused]) -> Answer:
    result = act()
    match result:
        case Succeeded():
            return _keep(ledger, command, result, "done" if command.direction == "do" else "undone")
        case Refused() if command.direction == "do":
            return _keep(ledger, command, result, "refused")
        case Refused():
            return answer_of(result)
        case _:
            assert_never(result)


def _keep(ledger: Ledger, command: Command, result: Succeeded[object] | Refused, state: State) -> Answer:
    answer = answer_of(result)
    ledger.remember(command, answer, state)
    return answer


def _repeat(ledger: Ledger, command: Command, standing: Standing) -> Answer:
    """A do of a later round for a pair that is done already: it has its effect, and the answer is the first one's."""
    first = ledger.recall(standing.command_id or "")
    if first is None:
        message = f"the ledger knows {command.pair} as done, but not the answer that was given"
        raise LookupError(message)
    ledger.remember(command, first.answer, "done")
    return first.answer


def _again(remembered: Remembered, command: Command) -> Answer:
    if remembered.fingerprint != command.fingerprint:
        message = (
            f"the command id {command.command_id[:100]} was used before with other content; use another id"
        )
        raise CommandIdReused(message)
    return remembered.answer


def answer_of(result: Succeeded[object] | Refused) -> Answer:
    """The bytes that stand for a result, now and for every duplicate."""
    match result:
        case Succeeded(reply):
            return Answer(outcome="succeeded", body=msgspec.json.encode(reply))
        case Refused(code, reason):
            return Answer(outcome="refused", body=msgspec.json.encode({"code": code, "reason": reason}))
        case _:
            assert_never(result)
