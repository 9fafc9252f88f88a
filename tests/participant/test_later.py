"""A do that answers later: 202, and one day its answer, in every database of the kit and to a real orchestrator."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from amends import (
    Command as Ordered,
    Orchestrator,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Step,
    callbacks,
    http,
    memory,
)
from amends.participant import (
    Answer,
    Command,
    Database,
    Later,
    Refused,
    Succeeded,
    conclude,
    do,
    undo,
)
from amends.participant.handlers import Result, handlers
from amends.participant.http import participant_application
from amends.participant.http_answer import late_reply
from amends.participant.sqlite_ledger import SqliteLedger, create_ledger, receive, write_transaction
from amends.testing.barrier_suite import Examined
from tests.participant.counter import Change, act, command, effects
from tests.participant.places import LATER, PLACES, harmless, new_place

BEGUN = Answer(outcome="later", body=b"null")


@pytest.fixture(params=PLACES)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Examined]:
    place = request.param
    where = new_place(place)

    async def standing() -> int:
        return await asyncio.to_thread(where.effects, place)

    async with PLACES[place](where, harmless) as deliver:
        yield Examined(
            deliver=deliver, effects=standing, do="add", undo="subtract", payload=lambda _: {"by": LATER}
        )


async def finish(service: Examined, saga_id: str, number: int = 1, *, refuses: bool = False) -> object:
    """Conclude the saga's do; what `conclude` returned."""
    asked = service.command(
        "do", f"finish-{saga_id}-{number}", payload=lambda _: {"saga_id": saga_id, "refuses": refuses}
    )
    answer = await service.deliver(replace(asked, name="finish"))
    assert answer.outcome == "succeeded"
    return json.loads(answer.body)


async def test_it_is_begun_once_and_answered_one_day(service: Examined) -> None:
    asked, again = service.command("do", "s1"), service.command("do", "s1", rounds=2)
    assert [await service.deliver(each) for each in (asked, asked, again, asked)] == [BEGUN] * 4
    assert await service.effects() == 1
    assert await finish(service, "s1") == '"at last"'
    said = Answer(outcome="succeeded", body=b'"at last"')
    assert [await service.deliver(each) for each in (asked, again, asked)] == [said] * 3
    # To conclude twice changes nothing, whatever is said.
    assert await finish(service, "s1", 2, refuses=True) == '"at last"'
    assert await service.deliver(asked) == said
    assert await service.effects() == 1


async def test_its_answer_may_be_a_no(service: Examined) -> None:
    asked = service.command("do", "s1")
    await service.deliver(asked)
    await finish(service, "s1", refuses=True)
    answer = await service.deliver(asked)
    assert answer.outcome == "refused"
    assert b"changed-its-mind" in answer.body
    # What was refused need not be undone: the handler is not called.
    before = await service.effects()
    undone = await service.deliver(service.command("undo", "s1", payload=lambda _: {"by": 1}))
    assert (undone.outcome, await service.effects()) == ("succeeded", before)


async def test_an_undo_acts_on_what_has_begun_and_nobody_wants_the_answer_any_more(service: Examined) -> None:
    asked = service.command("do", "s1")
    await service.deliver(asked)
    undone = await service.deliver(service.command("undo", "s1", payload=lambda _: {"by": 1}))
    assert (undone.outcome, await service.effects()) == ("succeeded", 0)
    assert await finish(service, "s1") is None
    assert await service.deliver(asked) == BEGUN
    assert (await service.deliver(service.command("do", "s1", rounds=2))).outcome == "refused"


def connected() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_ledger(connection)
    connection.execute("CREATE TABLE effect (step TEXT, direction TEXT) STRICT")
    return connection


def test_an_undo_answers_at_once() -> None:
    connection = connected()
    receive(
        connection, command("do"), lambda place, received: act(place, received, Change(1)), needs_do=False
    )
    with pytest.raises(TypeError, match="raise until it is done"):
        receive(connection, command("undo"), lambda *_: Later(), needs_do=True)
    assert effects(connection, "undo") == 0


def test_what_was_not_begun_cannot_be_concluded() -> None:
    connection = connected()
    with write_transaction(connection), pytest.raises(LookupError, match="nothing was begun"):
        conclude(SqliteLedger(connection=connection), command("do").pair, Succeeded(None))


def test_the_late_reply_of_a_refusal_has_its_code() -> None:
    no = Answer(outcome="refused", body=b'{"code": "late", "reason": "too late"}')
    told = json.loads(late_reply(command("do"), no))
    assert told == {
        "command_id": "s1/count/do/1",
        "saga_id": "s1",
        "step": "count",
        "direction": "do",
        "round": 1,
        "outcome": "refused",
        "code": "late",
        "reason": "too late",
    }
    with pytest.raises(ValueError, match="no answer yet"):
        late_reply(command("do"), BEGUN)


# --- to a real orchestrator --------------------------------------------------------------------------------------


def charge(order: str) -> Ordered[str]:
    return Ordered("charge", order)


def refund(order: str, rollback: Rollback[str]) -> Ordered[None]:
    return Ordered("refund", order)


PAY = Saga(
    "pay",
    version=1,
    data=str,
    body=Step("pay", Participant("bank"), do=charge, undo=refund, retry=RetryPolicy(attempts=50)),
)


class Bank:
    """A bank that begins a charge and ends it when it is told to."""

    def __init__(self, path: Path) -> None:
        self.begun: asyncio.Queue[Command] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.database = Database(path=path, prepare=create_ledger)
        self.handlers = handlers(do("charge", str, self._charge), undo("refund", str, self._refund))

    def _charge(self, connection: sqlite3.Connection, received: Command, order: str) -> Result:
        self._loop.call_soon_threadsafe(self.begun.put_nowait, received)
        return Later()

    def _refund(self, connection: sqlite3.Connection, received: Command, order: str) -> Result:
        return Refused("not-today", "the test undoes nothing")

    async def end(self, received: Command) -> Answer:
        def within(connection: sqlite3.Connection) -> Answer | None:
            with write_transaction(connection):
                return conclude(SqliteLedger(connection=connection), received.pair, Succeeded("P-1"))

        answer = await self.database.run(within)
        assert answer is not None
        return answer


async def test_an_orchestrator_gets_the_answer_by_callback(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank.db")
    runner = web.AppRunner(participant_application(handlers=bank.handlers, database=bank.database))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with callbacks() as replies, ClientSession() as client:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/commands"
        participants = {"bank": http(url, callback_url=replies.url)}
        async with Orchestrator(sagas=[PAY], store=memory(), participants=participants) as amends:
            replies.deliver_to(amends)
            await amends.start(PAY, "order", saga_id="order")
            received = await bank.begun.get()
            answer = await bank.end(received)
            assert received.reply_to is not None
            async with client.post(
                received.reply_to,
                data=late_reply(received, answer),
                headers={"Content-Type": "application/json"},
            ) as response:
                assert await response.json() == {"verdict": "recorded"}
            view = await asyncio.wait_for(amends.wait("order"), 30)
        assert (view.status, view.steps[0].reply) == ("completed", "P-1")
        assert bank.begun.empty()
    await runner.cleanup()
    bank.database.close()
