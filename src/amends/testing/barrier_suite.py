"""The behaviour that every participant has, as scenarios that a participant joins with one line.

A scenario is an async function that takes an `Examined`, delivers commands to it and raises `AssertionError` when it
acts twice, forgets, or lets a do act after its undo::

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
    async def test_my_participant(scenario):
        await scenario(Examined(deliver=…, effects=…, do="reserve", undo="release", payload=one_apple))

Rules
- `deliver` is whatever brings a command there and its answer back: a `database.execute` of the kit, HTTP
  (`barrier_http`), Kafka. It raises CommandIdReused when the participant says that the command id came with other
  content.
- `effects` counts what stands: done and not undone. Only its changes are looked at; each scenario takes new saga ids.
- `SCENARIOS` hold for every participant, `REFUSAL_SCENARIOS` need a payload that is refused, `FAULT_SCENARIOS` one that
  makes the handler fail after it has changed something.
It does not: need pytest, know a transport or a database, kill anything.
"""

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from amends.participant.barrier import Answer, CommandIdReused
from amends.participant.message import Command, Direction

Deliver: TypeAlias = Callable[[Command], Awaitable[Answer]]
Payload: TypeAlias = Callable[[str], object]
"""What a command about this business key carries, as JSON would be read: a dict, a string, a number."""

STEP: Final = "examined"


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A participant, as far as its barrier is concerned: the names of a do and its undo, and what they carry."""

    deliver: Deliver
    effects: Callable[[], Awaitable[int]]
    do: str
    undo: str
    payload: Payload
    undo_payload: Payload | None = None
    """What the undo carries, where that is something else."""
    refused: Payload | None = None
    failing: Payload | None = None

    def command(
        self,
        direction: Direction,
        saga_id: str,
        *,
        rounds: int = 1,
        step: str = STEP,
        payload: Payload | None = None,
        about: str | None = None,
    ) -> Command:
        """A command of this saga, about a business key that is the saga id where nothing else is said."""
        usual = (self.undo_payload or self.payload) if direction == "undo" else self.payload
        return Command(
            command_id=f"{saga_id}/{step}/{direction}/{rounds}",
            namespace="default",
            saga_id=saga_id,
            step=step,
            direction=direction,
            round=rounds,
            attempt=1,
            name=self.do if direction == "do" else self.undo,
            payload=(payload or usual)(about or saga_id),
        )


Scenario: TypeAlias = Callable[[Examined], Awaitable[None]]


class Counted:
    """How many effects more there are than at the beginning."""

    def __init__(self, examined: Examined, before: int) -> None:
        self._examined, self._before = examined, before

    async def expect(self, wanted: int, when: str) -> None:
        """Compare."""
        found = await self._examined.effects() - self._before
        assert found == wanted, f"{when}: {found} effects stand, expected {wanted}"


async def counted(examined: Examined) -> Counted:
    """Begin to count."""
    return Counted(examined, await examined.effects())


def a_saga() -> str:
    """A saga id that nobody has used."""
    return f"examined-{uuid.uuid4().hex}"


def expect_outcome(answer: Answer, outcome: str, what: str) -> None:
    """Compare, with a text that says what it was about."""
    assert answer.outcome == outcome, f"{what}: {answer.outcome} ({answer.body!r}), expected {outcome}"


def expect_same(answers: Sequence[Answer], what: str) -> None:
    """All of them are the first one, byte for byte."""
    different = [answer for answer in answers if answer != answers[0]]
    assert not different, f"{what}: answered {answers[0]}, and later {different[0]}"


# --- one after the other -------------------------------------------------------------------------------------


async def a_duplicate_has_no_second_effect_and_gets_the_first_answer(examined: Examined) -> None:
    count, command = await counted(examined), examined.command("do", a_saga())
    first = await examined.deliver(command)
    expect_outcome(first, "succeeded", "the do")
    await examined.deliver(examined.command("do", a_saga()))
    again = [await examined.deliver(replace(command, attempt=attempt)) for attempt in (1, 2, 3)]
    expect_same([first, *again], "a duplicate")
    await count.expect(2, "after four deliveries of one command and one of another")


async def an_undo_takes_back_once_what_its_do_did(examined: Examined) -> None:
    count, saga_id = await counted(examined), a_saga()
    await examined.deliver(examined.command("do", saga_id))
    answers = [await examined.deliver(examined.command("undo", saga_id)) for _ in range(3)]
    expect_outcome(answers[0], "succeeded", "the undo")
    expect_same(answers, "a duplicate of the undo")
    await count.expect(0, "after the undo and its duplicates")


async def an_undo_before_its_do_is_confirmed_and_remembered(examined: Examined) -> None:
    count, saga_id = await counted(examined), a_saga()
    undone = [await examined.deliver(examined.command("undo", saga_id)) for _ in range(2)]
    expect_outcome(undone[0], "succeeded", "an undo without its do")
    expect_same(undone, "a duplicate of the undo")
    await count.expect(0, "after an undo without its do")
    late = [await examined.deliver(examined.command("do", saga_id)) for _ in range(2)]
    expect_outcome(late[0], "refused", "a do after its undo")
    expect_same(late, "a duplicate of the late do")
    await count.expect(0, "after the late do")


async def a_do_that_was_undone_keeps_its_answer_and_is_not_done_again(examined: Examined) -> None:
    count, saga_id = await counted(examined), a_saga()
    first = await examined.deliver(examined.command("do", saga_id))
    await examined.deliver(examined.command("undo", saga_id))
    expect_same([first, await examined.deliver(examined.command("do", saga_id))], "a duplicate of the do")
    another = await examined.deliver(examined.command("do", saga_id, rounds=2))
    expect_outcome(another, "refused", "a do of another round after the undo")
    await count.expect(0, "after it was undone")


async def a_later_round_finds_what_was_done(examined: Examined) -> None:
    count, saga_id = await counted(examined), a_saga()
    first = await examined.deliver(examined.command("do", saga_id))
    expect_same(
        [first, await examined.deliver(examined.command("do", saga_id, rounds=2))], "the do's second round"
    )
    await count.expect(1, "after two rounds of the do")
    for rounds in (1, 2):
        undone = await examined.deliver(examined.command("undo", saga_id, rounds=rounds))
        expect_outcome(undone, "succeeded", f"round {rounds} of the undo")
    await count.expect(0, "after two rounds of the undo")


async def steps_sagas_and_namespaces_are_apart(examined: Examined) -> None:
    count, saga_id = await counted(examined), a_saga()
    await examined.deliver(examined.command("undo", saga_id))
    elsewhere = examined.command("do", saga_id, about=a_saga())
    others = [
        examined.command("do", saga_id, step=f"{STEP}[2]", about=a_saga()),
        examined.command("do", a_saga()),
        replace(elsewhere, command_id=f"{elsewhere.command_id}/other", namespace="other"),
    ]
    for other in others:
        expect_outcome(await examined.deliver(other), "succeeded", f"the do of {other.pair}")
    await count.expect(3, "after three dos beside one that was undone")


async def a_command_id_with_other_content_is_not_executed(examined: Examined) -> None:
    count, command = await counted(examined), examined.command("do", a_saga())
    await examined.deliver(command)
    try:
        answer = await examined.deliver(replace(command, step="another"))
    except CommandIdReused:
        pass
    else:
        raise AssertionError(f"a command id that came with another step was answered: {answer}")
    await count.expect(1, "after the command id came with other content")


DELIVERIES: Final[Sequence[tuple[Direction, int]]] = (("do", 1), ("undo", 1), ("do", 2), ("undo", 2))


async def every_order_leaves_at_most_one_effect(examined: Examined) -> None:
    orders = [*itertools.product(DELIVERIES, repeat=2), *itertools.permutations(DELIVERIES)]
    count, standing = await counted(examined), 0
    for order in orders:
        saga_id, undone = a_saga(), False
        known: dict[tuple[Direction, int], Answer] = {}
        for direction, rounds in order:
            answer = await examined.deliver(examined.command(direction, saga_id, rounds=rounds))
            undone = undone or direction == "undo"
            new = (direction, rounds) not in known
            wanted = "refused" if new and undone and direction == "do" else "succeeded"
            first = known.setdefault((direction, rounds), answer)
            expect_same([first, answer], f"{direction} {rounds} in {order}")
            if new:
                expect_outcome(answer, wanted, f"{direction} {rounds} in {order}")
        standing += not undone
    await count.expect(standing, f"after {len(orders)} orders of do, undo and their second rounds")


# --- at the same time ------------------------------------------------------------------------------------------


async def duplicates_at_the_same_time_act_once(examined: Examined) -> None:
    count = await counted(examined)
    for _ in range(5):
        command = examined.command("do", a_saga())
        answers = await asyncio.gather(*(examined.deliver(command) for _ in range(8)))
        expect_same(answers, "one of eight duplicates at the same time")
        expect_outcome(answers[0], "succeeded", "eight duplicates at the same time")
    await count.expect(5, "after five commands, eight deliveries of each at the same time")


async def a_do_and_its_undo_at_the_same_time_leave_nothing(examined: Examined) -> None:
    count = await counted(examined)
    for _ in range(8):
        saga_id = a_saga()
        commands = [examined.command(direction, saga_id) for direction in ("do", "undo", "do", "undo")]
        answers = await asyncio.gather(*(examined.deliver(command) for command in commands))
        expect_outcome(answers[1], "succeeded", "an undo beside its do")
        expect_same([answers[0], answers[2]], "a duplicate of the do")
        expect_same([answers[1], answers[3]], "a duplicate of the undo")
        await count.expect(0, f"after a do ({answers[0].outcome}) and its undo at the same time")


async def different_commands_at_the_same_time_do_not_disturb_one_another(examined: Examined) -> None:
    count = await counted(examined)
    commands = [examined.command("do", a_saga()) for _ in range(20)]
    answers = await asyncio.gather(*(examined.deliver(command) for command in commands))
    for answer in answers:
        expect_outcome(answer, "succeeded", "one of twenty commands at the same time")
    await count.expect(20, "after twenty commands at the same time")


SCENARIOS: Final[Sequence[Scenario]] = (
    a_duplicate_has_no_second_effect_and_gets_the_first_answer,
    an_undo_takes_back_once_what_its_do_did,
    an_undo_before_its_do_is_confirmed_and_remembered,
    a_do_that_was_undone_keeps_its_answer_and_is_not_done_again,
    a_later_round_finds_what_was_done,
    steps_sagas_and_namespaces_are_apart,
    a_command_id_with_other_content_is_not_executed,
    every_order_leaves_at_most_one_effect,
    duplicates_at_the_same_time_act_once,
    a_do_and_its_undo_at_the_same_time_leave_nothing,
    different_commands_at_the_same_time_do_not_disturb_one_another,
)


# --- refusals ----------------------------------------------------------------------------------------------------


def _given(payload: Payload | None, what: str) -> Payload:
    assert payload is not None, f"this scenario needs Examined({what}=…)"
    return payload


async def a_refused_do_leaves_nothing_and_its_no_is_remembered(examined: Examined) -> None:
    refused = _given(examined.refused, "refused")
    count, command = await counted(examined), examined.command("do", a_saga(), payload=refused)
    answers = [await examined.deliver(command) for _ in range(3)]
    expect_outcome(answers[0], "refused", "the do")
    expect_same(answers, "a duplicate of the refused do")
    await count.expect(0, "after a refused do")


async def an_undo_of_a_refused_do_is_confirmed_without_effect(examined: Examined) -> None:
    refused = _given(examined.refused, "refused")
    count, saga_id = await counted(examined), a_saga()
    await examined.deliver(examined.command("do", saga_id, payload=refused))
    undone = await examined.deliver(examined.command("undo", saga_id))
    expect_outcome(undone, "succeeded", "an undo of a refused do")
    late = await examined.deliver(examined.command("do", saga_id, rounds=2))
    expect_outcome(late, "refused", "a do after its undo")
    await count.expect(0, "after a refused do and its undo")


REFUSAL_SCENARIOS: Final[Sequence[Scenario]] = (
    a_refused_do_leaves_nothing_and_its_no_is_remembered,
    an_undo_of_a_refused_do_is_confirmed_without_effect,
)


async def a_handler_that_fails_has_done_nothing_and_is_asked_again(examined: Examined) -> None:
    failing = _given(examined.failing, "failing")
    count, saga_id = await counted(examined), a_saga()
    for _ in range(2):
        answer = await _answered(examined, examined.command("do", saga_id, payload=failing))
        assert answer is None, f"a do that fails was answered: {answer}"
    await count.expect(0, "after a do that failed")
    # Nothing is remembered of it: the same command id may come with what succeeds.
    expect_outcome(await examined.deliver(examined.command("do", saga_id)), "succeeded", "the next attempt")
    await count.expect(1, "after the next attempt")


async def _answered(examined: Examined, command: Command) -> Answer | None:
    try:
        return await examined.deliver(command)
    except CommandIdReused:
        raise
    except Exception:  # noqa: BLE001 - how a failure is told is the participant's own affair
        return None


FAULT_SCENARIOS: Final[Sequence[Scenario]] = (a_handler_that_fails_has_done_nothing_and_is_asked_again,)
