"""The participant as an ASGI application: driven as a server would, message by message, and served over a socket."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from amends.participant import Database
from amends.participant.asgi import Application, asgi_application
from amends.participant.http_answer import LARGEST_BODY
from amends.testing.barrier_http import over_http
from amends.testing.barrier_suite import REFUSAL_SCENARIOS, SCENARIOS, Examined, Scenario
from tests.participant.asgi_server import AsgiServer
from tests.participant.counter import HANDLERS, effects, prepare

HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "idempotency-key": "s1/count/do/1",
    "amends-saga-id": "s1",
    "amends-step": "count",
    "amends-direction": "do",
    "amends-round": "1",
    "amends-attempt": "1",
}
ADD = b'{"by": 1}'


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    yield database
    database.close()


async def ask(
    application: Application,
    path: str,
    *pieces: bytes,
    method: str = "POST",
    root: str = "",
    gone: bool = False,
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    """One request, its body in pieces; status 0 when nothing was answered."""
    changed = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in changed.items()],
    }
    coming: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    coming.append({"type": "http.disconnect"} if gone else {"type": "http.request"})
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    if not sent:
        return 0, {}, b""
    start, body = sent
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    assert int(told["content-length"]) == len(body["body"])
    return start["status"], told, body["body"]


async def done(database: Database) -> int:
    return await database.run(lambda connection: effects(connection, "do", "undo"))


async def test_a_duplicate_gets_the_same_bytes_and_has_no_effect(database: Database) -> None:
    application = asgi_application(handlers=HANDLERS, database=database)
    first = await ask(application, "/commands/add", b'{"by"', b": 1}")
    second = await ask(application, "/commands/add", ADD, amends_attempt="2")
    assert first == second
    assert (first[0], first[1]["content-type"], first[2]) == (200, "application/json", b'{"count":1}')
    assert await done(database) == 1


@pytest.mark.parametrize(
    ("path", "root", "base"),
    [
        ("/commands/add", "", "/commands"),
        ("/add", "", ""),
        ("/stock/add", "/stock", ""),
        ("/api/stock/commands/add", "/api/stock", "/commands"),
        # Servers that give the path below the mount alone.
        ("/commands/add", "/stock", "/commands"),
    ],
)
async def test_it_is_found_where_it_is_mounted(database: Database, path: str, root: str, base: str) -> None:
    application = asgi_application(handlers=HANDLERS, database=database, base=base)
    assert (await ask(application, path, ADD, root=root))[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "changes", "status", "says"),
    [
        ("/commands/unknown", ADD, {}, 501, b""),
        ("/commands/", ADD, {}, 501, b""),
        ("/commands/add/more", ADD, {}, 501, b""),
        ("/other/add", ADD, {}, 501, b""),
        ("/commands/add", ADD, {"method": "PUT"}, 405, b""),
        ("/other/add", ADD, {"method": "GET"}, 405, b""),
        ("/commands/add", ADD, {"method": "GET", "idempotency_key": ""}, 400, b"Idempotency-Key"),
        ("/commands/add", b'{"by": ', {}, 400, b"line 1"),
        ("/commands/add", b'{"by": "1"}', {}, 422, b"invalid-payload"),
        ("/commands/add", ADD, {"amends_direction": "undo"}, 400, b"add is do"),
        ("/commands/add", ADD, {"idempotency_key": ""}, 400, b"Idempotency-Key"),
        ("/commands/add", ADD, {"content_type": "text/plain"}, 415, b"application/json"),
        ("/commands/add", ADD, {"content_encoding": "gzip"}, 415, b"content encoding"),
        ("/commands/add", b" " * (LARGEST_BODY + 1), {}, 413, b"larger"),
        ("/commands/add", b'{"by": -1}', {}, 409, b'"code": "negative"'),
        ("/commands/add", b"\xff", {"amends_saga_id": "\xff"}, 400, b"printable"),
    ],
)
async def test_bad_input_is_answered_and_does_nothing(  # noqa: PLR0917
    database: Database, path: str, body: bytes, changes: dict[str, Any], status: int, says: bytes
) -> None:
    answer = await ask(asgi_application(handlers=HANDLERS, database=database), path, body, **changes)
    assert answer[0] == status
    assert says in answer[2]
    assert await done(database) == 0


async def test_a_sender_that_leaves_early_gets_no_answer_and_nothing_is_done(database: Database) -> None:
    answer = await ask(
        asgi_application(handlers=HANDLERS, database=database), "/commands/add", ADD, gone=True
    )
    assert answer[0] == 0
    assert await done(database) == 0


async def test_the_server_may_start_and_end_it(database: Database) -> None:
    coming, sent = ["lifespan.startup", "lifespan.shutdown"], list[str]()

    async def receive() -> dict[str, Any]:
        return {"type": coming.pop(0)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    application = asgi_application(handlers=HANDLERS, database=database)
    await application({"type": "lifespan"}, receive, send)
    await application({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


async def standing(database: Database) -> int:
    return await database.run(lambda connection: effects(connection, "do") - effects(connection, "undo"))


@pytest.mark.parametrize("scenario", [*SCENARIOS, *REFUSAL_SCENARIOS], ids=lambda scenario: scenario.__name__)
async def test_over_a_socket_it_keeps_the_barrier(scenario: Scenario, database: Database) -> None:
    application = asgi_application(handlers=HANDLERS, database=database)
    async with AsgiServer(application) as url, ClientSession() as client:
        await scenario(
            Examined(
                deliver=over_http(client, f"{url}/commands"),
                effects=lambda: standing(database),
                do="add",
                undo="subtract",
                payload=lambda _: {"by": 1},
                refused=lambda _: {"by": -1},
            )
        )


async def test_a_refusal_is_a_problem_with_a_code(database: Database) -> None:
    application = asgi_application(handlers=HANDLERS, database=database)
    status, headers, body = await ask(application, "/commands/add", b'{"by": -1}')
    assert (status, headers["content-type"]) == (409, "application/problem+json")
    assert json.loads(body)["code"] == "negative"
