"""The participant over a real broker: the barrier's suite, records that nobody can read, a kill before the reply."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amends.participant import Answer, Command, Database
from amends.participant.barrier import Remembered
from amends.participant.database import SqliteHandler, connect
from amends.participant.kafka import LARGEST_REPLY, KafkaParticipant
from amends.participant.sqlite_ledger import SqliteLedger
from amends.testing.barrier_suite import (
    FAULT_SCENARIOS,
    REFUSAL_SCENARIOS,
    SCENARIOS,
    Examined,
    every_order_leaves_at_most_one_effect,
)
from tests.adapters.kafka.shared_broker import broker
from tests.participant.counter import HANDLERS, command, effects, prepare
from tests.participant.kafka_line import Line, behind, line
from tests.participant.places import harmless, plain

ROOT = Path(__file__).parents[2]
GOOD = b'{"by": 1}'


@pytest.fixture
async def wire() -> AsyncIterator[Line]:
    async with line() as wire:
        yield wire


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    yield database
    database.close()


class Parked:
    """What the service was given to park."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def __call__(self, record: Any, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture
async def parked() -> Parked:
    return Parked()


@pytest.fixture
async def running(
    wire: Line, database: Database, parked: Parked
) -> AsyncIterator[KafkaParticipant[Any, Any]]:
    participant = KafkaParticipant(
        name=wire.name, servers=[broker().address], handlers=HANDLERS, database=database, park=parked
    )
    task = asyncio.create_task(participant.run())
    yield participant
    participant.stop()
    await asyncio.wait_for(task, 30)


def count(database: Database) -> Any:
    return database.run(lambda connection: effects(connection, "do") - effects(connection, "undo"))


@pytest.mark.usefixtures("running")
async def test_over_kafka_it_keeps_the_barrier(wire: Line, database: Database) -> None:
    examined = Examined(
        deliver=wire.deliver,
        effects=lambda: count(database),
        do="add",
        undo="subtract",
        payload=lambda _: {"by": 1},
        refused=lambda _: {"by": -1},
    )
    # The orders are many, and each waits for the broker: the other databases go through them.
    for scenario in (*SCENARIOS, *REFUSAL_SCENARIOS):
        if scenario is not every_order_leaves_at_most_one_effect:
            await scenario(examined)


async def test_a_handler_that_fails_is_answered_and_blocks_nothing(wire: Line, tmp_path: Path) -> None:
    def tables(connection: Any) -> None:
        prepare(connection)
        connection.execute("CREATE TABLE wrote (id TEXT)")

    def write(connection: Any, received: Command) -> int:
        connection.execute("INSERT INTO effect VALUES (?, ?)", (received.step, received.direction))
        return 1

    database = Database(path=tmp_path / "failing.db", prepare=tables)
    by_name = plain(write, lambda place: SqliteLedger(connection=place), harmless)
    participant = KafkaParticipant(
        name=wire.name, servers=[broker().address], handlers=by_name, database=database
    )
    task = asyncio.create_task(participant.run())
    examined = Examined(
        deliver=wire.deliver,
        effects=lambda: count(database),
        do="add",
        undo="subtract",
        payload=lambda _: {"by": 1},
        failing=lambda _: {"by": 0},
    )
    for scenario in FAULT_SCENARIOS:
        await scenario(examined)
    participant.stop()
    await asyncio.wait_for(task, 30)
    database.close()


@pytest.mark.usefixtures("running")
async def test_a_reply_says_whose_it_is(wire: Line) -> None:
    record = await wire.ask(command("do"))
    told = {name: value.decode() for name, value in record.headers}
    assert (record.key, record.value) == (b"s1", b'{"count":1}')
    assert told.pop("traceparent").startswith("00-")
    assert told == {
        "ce_specversion": "1.0",
        "ce_type": "amends.reply",
        "ce_source": f"/participants/{wire.name}",
        "ce_id": "s1/count/do/1/1",
        "ce_amendscommandid": "s1/count/do/1",
        "ce_amendsoutcome": "succeeded",
        "ce_subject": "s1",
        "ce_amendsnamespace": "default",
        "ce_amendsstep": "count",
        "ce_amendsdirection": "do",
        "ce_amendsround": "1",
        "ce_amendsattempt": "1",
        "content-type": "application/json",
    }


def without(headers: list[tuple[str, bytes]], name: str) -> list[tuple[str, bytes]]:
    return [(found, value) for found, value in headers if found != name]


async def test_records_that_nobody_can_answer_are_parked_and_block_nothing(
    wire: Line, database: Database, parked: Parked, running: KafkaParticipant[Any, Any]
) -> None:
    good = wire.headers(command("do"))
    missing = [without(good, name) for name in ("ce_id", "ce_subject", "ce_amendsstep", "ce_amendsround")]
    bad = [
        *missing,
        [*good, ("ce_id", b"twice")],
        [*without(good, "ce_amendsstep"), ("ce_amendsstep", b"\xff")],
        [*without(good, "ce_amendsdirection"), ("ce_amendsdirection", b"sideways")],
        [*without(good, "ce_amendsround"), ("ce_amendsround", b"0")],
    ]
    for headers in bad:
        await wire.write(key=b"s1", value=GOOD, headers=headers)
    await wire.write(key=b"another", value=GOOD, headers=good)
    await wire.write(key=None, value=GOOD, headers=good)
    # Not for us: another type, no type at all.
    await wire.write(key=b"s1", value=GOOD, headers=[*without(good, "ce_type"), ("ce_type", b"other")])
    await wire.write(key=b"s1", value=None, headers=[])
    # In each partition something good comes behind them.
    for number in range(12):
        saga = replace(command("do"), saga_id=f"saga-{number}", command_id=f"saga-{number}/do")
        assert (await wire.deliver(saga)).outcome == "succeeded"
    assert len(parked.reasons) == len(bad) + 2
    assert await count(database) == 12


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("changes", "value", "outcome", "says"),
    [
        ({"ce_amendscommand": b"unknown"}, GOOD, "failed", b'"configuration"'),
        ({"ce_amendsdirection": b"undo"}, GOOD, "failed", b"add is do"),
        ({}, None, "failed", b"its value is null"),
        ({}, b"\x00\x01avro", "failed", b"not acceptable JSON"),
        ({}, b'{"by": 1, "by": 2}', "failed", b"twice"),
        ({}, b'{"by": "1"}', "refused", b'"code":"invalid-payload"'),
        ({}, b'{"by": -1}', "refused", b'"code":"negative"'),
    ],
)
async def test_what_cannot_be_executed_is_answered(  # noqa: PLR0917
    wire: Line, database: Database, changes: dict[str, bytes], value: bytes | None, outcome: str, says: bytes
) -> None:
    headers = dict(wire.headers(command("do"))) | changes
    await wire.write(key=b"s1", value=value, headers=list(headers.items()))
    # Its saga's next record is answered behind it.
    await wire.ask(replace(command("do"), command_id="another", step="another"))
    first = wire.came[0]
    assert dict(first.headers)["ce_amendsoutcome"] == outcome.encode()
    assert says in first.value
    assert await count(database) == 1


async def started(wire: Line, file: Path, moment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.participant.kafka_process"),
        *(wire.name, broker().address, str(file), moment),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )


async def test_what_was_done_and_not_answered_is_answered_after_a_kill(wire: Line, tmp_path: Path) -> None:
    file = tmp_path / "counter.db"
    dying = await started(wire, file, "before-the-reply")
    asking = asyncio.create_task(wire.deliver(command("do")))
    assert await asyncio.wait_for(dying.wait(), 60) == -signal.SIGKILL
    connection = connect(file)
    assert effects(connection, "do") == 1
    assert await behind(wire.name, wire.commands) == 1
    living = await started(wire, file, "never")
    assert (await asking).body == b'{"count":1}'
    living.terminate()
    assert await asyncio.wait_for(living.wait(), 60) == 0
    assert effects(connection, "do") == 1
    assert await behind(wire.name, wire.commands) == 0
    connection.close()


async def test_a_reply_that_no_broker_takes_is_told(wire: Line, database: Database) -> None:
    class Long:
        async def execute(self, received: Command, handler: SqliteHandler) -> Answer:
            answer = await database.execute(received, handler)
            return replace(answer, body=b'"' + b"x" * LARGEST_REPLY + b'"')

        async def recall(self, command_id: str) -> Remembered | None:
            return await database.recall(command_id)

    participant = KafkaParticipant(
        name=wire.name, servers=[broker().address], handlers=HANDLERS, database=Long()
    )
    task = asyncio.create_task(participant.run())
    record = await wire.ask(command("do"))
    assert b'"unreadable"' in record.value
    participant.stop()
    await asyncio.wait_for(task, 30)


async def test_of_two_processes_one_is_killed_and_nothing_is_lost_or_done_twice(
    wire: Line, tmp_path: Path
) -> None:
    file = tmp_path / "counter.db"
    processes = [await started(wire, file, "never") for _ in range(2)]
    commands = [
        replace(command("do"), saga_id=f"saga-{number}", command_id=f"saga-{number}/do")
        for number in range(100)
    ]
    asking = [asyncio.create_task(wire.deliver(each)) for each in commands]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    processes[0].kill()
    again = [asyncio.create_task(wire.deliver(each)) for each in commands]
    answers, repeated = await asyncio.gather(*asking), await asyncio.gather(*again)
    assert answers == repeated
    assert {answer.outcome for answer in answers} == {"succeeded"}
    connection = connect(file)
    assert effects(connection, "do") == len(commands)
    connection.close()
    processes[1].terminate()
    assert await asyncio.wait_for(processes[1].wait(), 60) == 0
    assert await processes[0].wait() == -signal.SIGKILL
    assert await behind(wire.name, wire.commands) == 0
