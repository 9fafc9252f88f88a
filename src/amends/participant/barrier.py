"""The barrier: a command acts once, and a do never acts after its undo, in whatever order and number they arrive.

Rules (`VERDICTS` is the table that runs):
- A command id that was answered gets the same answer again, byte for byte.
- An undo whose do was never seen, or was refused, has no effect, is confirmed, and is remembered.
- A do that arrives after its undo is refused with the code `already-undone`, and that is remembered too.
- A refused do is remembered. A refused undo is not: nothing was undone, and the same command may succeed another day;
  to remember its no would keep the saga stuck for ever.
- A command id that comes back with other content raises CommandIdReused. That is never `Refused`: the process would
  believe that nothing was done.

The seam to a database is `Ledger`, or `AsyncLedger` where the driver is asynchronous: four operations within a
transaction that commits together with the business change. `claim` comes first and excludes every other transaction of
the same pair until the end of this one; only then is anything else read. `admit` and `admit_async` ask in that order,
`judge` decides for both. `conclude` gives the answer of a do that said `Later`.

Does not do: open transactions, forget (its rows stay as long as the service keeps its data), call other services.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

import msgspec

from amends.participant.message import Command, Direction, Later, Pair, Refused, Succeeded

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
    """What went out for a command, as it is remembered: JSON of the reply, or of code and reason, or `null`."""

    outcome: Literal["succeeded", "refused", "later"]
    body: bytes


LATER = Answer(outcome="later", body=b"null")
"""It has begun; the answer comes later."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """An answer, and what is known of the pair from now on; `state=None`: this answer is not to be remembered."""

    answer: Answer
    state: State | None


class Ledger(Protocol):
    """What the barrier needs of a database, inside the transaction of the business change."""

    def claim(self, pair: Pair) -> Standing:
        """What is known of this pair, `unseen` when nothing is; nobody else may claim it before this ends."""
        ...

    def recall(self, command_id: str) -> Remembered | None:
        """The answer that this command got, if it was here before."""
        ...

    def remember(self, command: Command, answer: Answer, state: State) -> None:
        """Keep the command's answer and the pair's new state."""
        ...

    def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None:
        """Change the answer of a command that was to be answered later, and the pair's state."""
        ...


class AsyncLedger(Protocol):
    """`Ledger` for a driver whose operations are awaited."""

    async def claim(self, pair: Pair) -> Standing: ...

    async def recall(self, command_id: str) -> Remembered | None: ...

    async def remember(self, command: Command, answer: Answer, state: State) -> None: ...

    async def settle(self, pair: Pair, command_id: str, answer: Answer, state: State) -> None: ...


def admit(
    ledger: Ledger,
    command: Command,
    act: Callable[[], Succeeded[object] | Refused | Later],
    *,
    needs_do: bool,
) -> Answer:
    """Answer the command: from memory, by the rule, or by acting. `needs_do=False` lets an undo act without its do."""
    standing = ledger.claim(command.pair)
    judged = judge(command, standing, ledger.recall(command.command_id), needs_do=needs_do)
    match judged:
        case Keep():
            keep = judged
        case "act":
            keep = acted(command, act())
        case "repeat":
            keep = repeated(command, ledger.recall(standing.command_id or ""))
        case _:
            assert_never(judged)
    if keep.state is not None:
        ledger.remember(command, keep.answer, keep.state)
    return keep.answer


async def admit_async(
    ledger: AsyncLedger,
    command: Command,
    act: Callable[[], Awaitable[Succeeded[object] | Refused | Later]],
    *,
    needs_do: bool,
) -> Answer:
    """`admit` for a driver whose operations are awaited."""
    standing = await ledger.claim(command.pair)
    judged = judge(command, standing, await ledger.recall(command.command_id), needs_do=needs_do)
    match judged:
        case Keep():
            keep = judged
        case "act":
            keep = acted(command, await act())
        case "repeat":
            keep = repeated(command, await ledger.recall(standing.command_id or ""))
        case _:
            assert_never(judged)
    if keep.state is not None:
        await ledger.remember(command, keep.answer, keep.state)
    return keep.answer


def judge(
    command: Command, standing: Standing, remembered: Remembered | None, *, needs_do: bool
) -> Keep | Literal["act", "repeat"]:
    """What becomes of a command, by what is known of it and of its pair."""
    if remembered is not None:
        return Keep(answer=_again(remembered, command), state=None)
    verdict = VERDICTS[command.direction, standing.state]
    if verdict == "confirm" and standing.state == "unseen" and not needs_do:
        return "act"
    match verdict:
        case "act" | "repeat":
            return verdict
        case "confirm":
            return Keep(answer=answer_of(Succeeded({})), state="undone")
        case "refuse":
            return Keep(answer=answer_of(ALREADY_UNDONE), state="undone")
        case _:
            assert_never(verdict)


def acted(command: Command, result: Succeeded[object] | Refused | Later) -> Keep:
    """What to keep of what a handler returned."""
    state: State | None
    match result:
        case Succeeded():
            state = "done" if command.direction == "do" else "undone"
        case Refused():
            state = "refused" if command.direction == "do" else None
        case Later():
            return _begun(command)
        case _:
            assert_never(result)
    return Keep(answer=answer_of(result), state=state)


def _begun(command: Command) -> Keep:
    """What is begun counts as done: an undo has to act on it."""
    if command.direction == "undo":
        message = (
            f"{command.name} is an undo and returned Later; raise until it is done, and it is asked again"
        )
        raise TypeError(message)
    return Keep(answer=LATER, state="done")


def repeated(command: Command, first: Remembered | None) -> Keep:
    """A do of a later round for a pair that is done already: it has its effect, and the answer is the first one's."""
    if first is None:
        message = f"the ledger knows {command.pair} as done, but not the answer that was given"
        raise LookupError(message)
    # What has no answer yet is kept under one command only, the one that `conclude` will find.
    return Keep(answer=first.answer, state=None if first.answer == LATER else "done")


def conclude(ledger: Ledger, pair: Pair, result: Succeeded[object] | Refused) -> Answer | None:
    """Answer a do that returned `Later`, in the transaction that ends it; what it answers is what stands from now on.

    None: it was undone meanwhile, and nobody wants it any more. Take back what this transaction did.
    """
    standing = ledger.claim(pair)
    judged = _conclusion(pair, standing, ledger.recall(standing.command_id or ""), result)
    match judged:
        case Keep(answer=answer, state=str() as state):
            ledger.settle(pair, standing.command_id or "", answer, state)
            return answer
        case Keep(answer=answer):
            return answer
        case None:
            return None
        case _:
            assert_never(judged)


async def conclude_async(
    ledger: AsyncLedger, pair: Pair, result: Succeeded[object] | Refused
) -> Answer | None:
    """`conclude` for a driver whose operations are awaited."""
    standing = await ledger.claim(pair)
    judged = _conclusion(pair, standing, await ledger.recall(standing.command_id or ""), result)
    match judged:
        case Keep(answer=answer, state=str() as state):
            await ledger.settle(pair, standing.command_id or "", answer, state)
            return answer
        case Keep(answer=answer):
            return answer
        case None:
            return None
        case _:
            assert_never(judged)


def _conclusion(
    pair: Pair, standing: Standing, remembered: Remembered | None, result: Succeeded[object] | Refused
) -> Keep | None:
    if standing.state == "undone":
        return None
    if remembered is None:
        message = f"nothing was begun for {pair}"
        raise LookupError(message)
    if remembered.answer != LATER:
        return Keep(answer=remembered.answer, state=None)
    return Keep(answer=answer_of(result), state="done" if isinstance(result, Succeeded) else "refused")


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
