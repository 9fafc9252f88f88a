"""Instances that only wait, by the million: what the engine would have stored of them, written as it would write it.

Each transition is decided by the core, from a start like any caller's; batches go through the store's own `append`.
Most wait for an approval that a person gives within 30 days. One in a hundred has a command out whose participant
answered 202, so that a restart has something to send again. When their timers are due follows from when they began.
It does not: run an engine, or measure.
"""

import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from amends.core import trigger as t
from amends.core.decide import decide
from amends.core.plan import Plan, compile_saga
from amends.core.state import initial
from amends.core.upcast import to_body
from amends.definition import Command, Participant, Saga, Step, sequence, wait_for
from amends.ports import Append, DefinitionNote, EventStore, SetIndex, StreamKey, Transition

BATCH = 2_000
PATIENCE = timedelta(days=30)
EACH_WITH_A_COMMAND = 100

registry = Participant("registry")


class Claim(msgspec.Struct, frozen=True):
    """What the waiting is about."""

    claim: str
    amount: str


class Word(msgspec.Struct, frozen=True):
    """What is said to one that waits."""

    by: str


def note(claim: Claim) -> Command[None]:
    return Command("note", {"claim": claim.claim})


noting = Step("note", registry, do=note, no_undo="a note hurts nobody", timeout=PATIENCE)
APPROVAL = Saga(
    "approval", version=1, data=Claim, body=sequence(wait_for("approve", Word, timeout=PATIENCE), noting)
)
NOTICE = Saga("notice", version=1, data=Claim, body=noting)
SAGAS = (APPROVAL, NOTICE)


def is_a_notice(number: int) -> bool:
    """Whether this one has a command out."""
    return number % EACH_WITH_A_COMMAND == 0


def waiting_id(number: int) -> str:
    """Of the instance with this number; spread over all, as the ids of callers are."""
    return f"{random.Random(number).getrandbits(64):016x}-{number}"


class Beginner:
    """Decides starts."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {saga.name: compile_saga(saga) for saga in SAGAS}

    @property
    def notes(self) -> list[DefinitionNote]:
        """What the orchestrator would have noted of the definitions."""
        return [
            DefinitionNote(plan.saga.name, plan.saga.version, plan.fingerprint)
            for plan in self._plans.values()
        ]

    def begun(self, number: int, due: datetime) -> Append:
        """Return the first transition of an instance whose timer is due then."""
        plan = self._plans["notice" if is_a_notice(number) else "approval"]
        key, now = StreamKey("default", waiting_id(number)), due - PATIENCE
        data = msgspec.json.encode(Claim(f"claim-{number:09}", "129.90"))
        decision = decide(plan, initial(*key), t.Start(data), now)
        transition = Transition(
            key=key,
            position=1,
            events=len(decision.events),
            recorded_at=now,
            body=to_body(decision.events),
        )
        state = decision.state
        return Append(transition, SetIndex(state.wake_at, bool(state.outstanding())))


def spread(first: int, count: int) -> Iterator[tuple[int, datetime]]:
    """Numbers, and when each is due: in the course of the days after tomorrow."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for number in range(first, first + count):
        yield number, tomorrow + timedelta(seconds=number * 7919 % 2_000_000)


async def fill(store: EventStore, first: int, count: int, *, what: str) -> None:
    """Store `count` instances; progress goes to standard error."""
    beginner, batch, began = Beginner(), list[Append](), time.perf_counter()
    await store.note_definitions(beginner.notes)
    for done, (number, due) in enumerate(spread(first, count), start=1):
        batch.append(beginner.begun(number, due))
        if len(batch) == BATCH or done == count:
            if not all(await store.append(batch)):
                sys.exit("a start lost although nobody else writes")
            batch.clear()
        if done % 50_000 == 0 or done == count:
            rate = done / (time.perf_counter() - began)
            progress(f"{what}: {done:,} of {count:,} instances, {rate:,.0f} a second")


async def fill_due(store: EventStore, first: int, dues: list[datetime]) -> None:
    """Store instances whose timers are due at these instants."""
    beginner, number = Beginner(), first
    batch: list[Append] = []
    for due in dues:
        # None of them has a command out: their timers are what is looked at.
        number += 2 if is_a_notice(number + 1) else 1
        batch.append(beginner.begun(number, due))
    if not all(await store.append(batch)):
        sys.exit("a start lost although nobody else writes")


def progress(line: str) -> None:
    """Say how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
