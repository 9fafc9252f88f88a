"""What became of a command: the document of the contract, a real service of the kit, answers that get lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from amends import Command, Orchestrator, Participant, RetryPolicy, Rollback, Saga, Step, http, memory
from amends.adapters.http.answers import HttpAnswer
from amends.adapters.http.status import known
from amends.core.outcome import Answer, Refused, Succeeded
from amends.participant import Database
from amends.participant.http import participant_application
from tests.participant import counter

ONCE = RetryPolicy(attempts=1, jitter=0)


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, b'{"outcome":"succeeded","reply":{"a":1}}', Succeeded(b'{"a":1}')),
        (200, b'{"outcome":"succeeded"}', Succeeded(b"null")),
        (200, b'{"outcome":"refused","code":"no","reason":"r"}', Refused("no", "r")),
        (200, b'{"outcome":"refused","code":"no"}', Refused("no")),
        (200, b'{"outcome":"refused","code":""}', None),
        (200, b'{"outcome":"refused"}', None),
        (200, b'{"outcome":"unseen"}', None),
        (200, b'{"outcome":"succeeded","reply":1,"more":2}', None),
        (200, b'{"outcome":"succeeded","outcome":"refused"}', None),
        (200, b'{"outcome":"done"}', None),
        (200, b'{"payment":"p-1"}', None),
        (200, b"<html>", None),
        (200, b"", None),
        (200, None, None),
        (201, b'{"outcome":"succeeded"}', None),
        (404, b'{"outcome":"succeeded"}', None),
        (500, b'{"outcome":"refused","code":"no"}', None),
    ],
)
def test_only_the_document_of_the_contract_counts(
    status: int, body: bytes | None, answer: Answer | None
) -> None:
    assert known(HttpAnswer(status, "application/json", body)) == answer


def pay(amount: int) -> Command[Any]:
    return Command("add", {"by": amount})


def refund(amount: int, _rollback: Rollback[Any]) -> Command[None]:
    return Command("subtract", {"by": amount})


PAYING = Saga(
    "paying",
    version=1,
    data=int,
    body=Step("pay", Participant("counter"), do=pay, undo=refund, retry=ONCE, undo_retry=ONCE),
)


@asynccontextmanager
async def losing(folder: Path) -> AsyncIterator[tuple[str, list[str], Database]]:
    """A service of the kit whose answers to ``POST add`` are lost on their way."""
    asked: list[str] = []
    database = Database(path=folder / "counter.db", prepare=counter.prepare)

    @web.middleware
    async def lose(request: web.Request, handler: Any) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path.rpartition('/')[2]}")
        response: web.StreamResponse = await handler(request)
        if request.method == "POST" and request.path.endswith("add") and request.transport:
            request.transport.close()
        return response

    application = participant_application(handlers=counter.HANDLERS, database=database)
    application.middlewares.append(lose)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/commands", asked, database
    finally:
        await runner.cleanup()
        database.close()


@pytest.mark.parametrize("asks", [True, False])
async def test_a_lost_answer_is_asked_for(tmp_path: Path, *, asks: bool) -> None:
    async with losing(tmp_path) as (url, asked, database):
        services = {"counter": http(url, status=asks)}
        async with Orchestrator(sagas=[PAYING], store=memory(), participants=services) as amends:
            end = await amends.run(PAYING, 5, saga_id="o-1")
        done = await database.run(lambda connection: counter.effects(connection, "do"))
        undone = await database.run(lambda connection: counter.effects(connection, "undo"))
        if asks:
            assert (end.status, done, undone) == ("completed", 1, 0)
            assert (asked, end.steps[0].reply) == (["POST add", "GET add"], {"count": 1})
        else:
            assert (end.status, done, undone) == ("compensated", 1, 1)
            assert asked == ["POST add", "POST subtract"]


async def test_the_kit_says_what_its_barrier_remembers(tmp_path: Path) -> None:
    async with losing(tmp_path) as (url, _asked, _database):
        services = {"counter": http(url)}
        async with Orchestrator(sagas=[PAYING], store=memory(), participants=services) as amends:
            await amends.run(PAYING, 5, saga_id="o-1")
        async with aiohttp.ClientSession() as client:
            said: dict[str, Any] = {}
            for command_id in ("o-1/pay/do/1", "o-1/pay/undo/1", "o-2/pay/do/1"):
                async with client.get(f"{url}/add", headers={"Idempotency-Key": command_id}) as answer:
                    said[command_id] = (answer.status, (await answer.json())["outcome"])
            async with client.get(f"{url}/add") as answer:
                assert answer.status == 400
    assert said == {
        "o-1/pay/do/1": (200, "succeeded"),
        "o-1/pay/undo/1": (200, "succeeded"),
        "o-2/pay/do/1": (200, "unseen"),
    }
