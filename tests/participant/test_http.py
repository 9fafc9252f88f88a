"""The participant's door: what each request gets, and that nothing bad has an effect."""

import gzip
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, test_utils

from amends.participant import Database
from amends.participant.database import connect
from amends.participant.http import participant_application
from amends.participant.http_answer import LARGEST_BODY
from tests.participant.counter import HANDLERS, effects, prepare

HEADERS = {
    "Content-Type": "application/json",
    "Idempotency-Key": "s1/count/do/1",
    "Amends-Saga-Id": "s1",
    "Amends-Step": "count",
    "Amends-Direction": "do",
    "Amends-Round": "1",
    "Amends-Attempt": "1",
}


class Door:
    """A served participant, its database, a client."""

    def __init__(self, client: ClientSession, url: str, database: Database) -> None:
        self.client, self.url, self.database = client, url, database

    async def post(self, name: str, body: bytes, **headers: str) -> tuple[int, str, bytes]:
        changed = {key.replace("_", "-").title(): value for key, value in headers.items()}
        async with self.client.post(
            f"{self.url}/commands/{name}", data=io.BytesIO(body), headers={**HEADERS, **changed}
        ) as response:
            return response.status, response.content_type, await response.read()

    async def done(self) -> int:
        return await self.database.run(lambda connection: effects(connection, "do", "undo"))


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    server = test_utils.TestServer(participant_application(handlers=HANDLERS, database=database))
    await server.start_server()
    async with ClientSession() as client:
        yield Door(client, str(server.make_url("")).rstrip("/"), database)
    await server.close()
    database.close()


async def test_a_duplicate_gets_the_same_bytes_and_has_no_effect(door: Door) -> None:
    first = await door.post("add", b'{"by": 1}')
    second = await door.post("add", b' {"by":1} ', amends_attempt="2")
    assert first == second == (200, "application/json", b'{"count":1}')
    assert await door.done() == 1


async def test_a_refusal_is_a_problem_with_a_code(door: Door) -> None:
    first = await door.post("add", b'{"by": -1}')
    assert first[:2] == (409, "application/problem+json")
    assert b'"code": "negative"' in first[2]
    assert await door.post("add", b'{"by": -1}', amends_attempt="2") == first
    assert await door.done() == 0


async def test_a_do_after_its_undo_is_refused(door: Door) -> None:
    undone = await door.post("subtract", b'{"by": 1}', idempotency_key="u", amends_direction="undo")
    late = await door.post("add", b'{"by": 1}')
    assert (undone[0], undone[2], late[0]) == (200, b"{}", 409)
    assert b'"code": "already-undone"' in late[2]
    assert await door.done() == 0


@pytest.mark.parametrize(
    ("name", "body", "headers", "status", "says"),
    [
        ("unknown", b"{}", {}, 501, b""),
        ("add", b"", {}, 400, b"empty"),
        ("add", b'{"by": ', {}, 400, b"line 1"),
        ("add", b'{"by": 1, "by": 2}', {}, 400, b"twice"),
        ("add", b'{"by": "1"}', {}, 422, b'"code": "invalid-payload"'),
        ("add", b'{"by": 1, "of": 2}', {}, 422, b"unknown field"),
        ("add", b"[]", {}, 422, b"invalid-payload"),
        ("add", b'{"by": 1}', {"amends_direction": "undo"}, 400, b"add is do"),
        ("add", b'{"by": 1}', {"idempotency_key": ""}, 400, b"Idempotency-Key"),
        ("add", b'{"by": 1}', {"content_type": "text/plain"}, 415, b"application/json"),
        ("add", b" " * (LARGEST_BODY + 1), {}, 413, b"larger"),
        ("%2e%2e%2fadd", b"{}", {}, 501, b""),
    ],
)
async def test_bad_input_is_answered_and_does_nothing(  # noqa: PLR0917
    door: Door, name: str, body: bytes, headers: dict[str, str], status: int, says: bytes
) -> None:
    answer = await door.post(name, body, **headers)
    assert answer[0] == status
    assert says in answer[2]
    assert (b'"code"' in answer[2]) == (status == 422)
    assert await door.done() == 0


async def test_a_body_without_length_is_limited_too(door: Door) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    async with door.client.post(f"{door.url}/commands/add", data=chunks(), headers=HEADERS) as response:
        assert response.status == 413


async def test_a_compressed_body_is_limited_by_what_it_becomes(door: Door) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < LARGEST_BODY
    status, _, _ = await door.post("add", bomb, content_encoding="gzip")
    assert status == 413
    status, _, _ = await door.post("add", b"no gzip", content_encoding="gzip")
    assert status == 400
    assert await door.done() == 0


async def test_a_command_id_with_other_content_is_no_business_no(door: Door) -> None:
    await door.post("add", b'{"by": 1}')
    status, _, body = await door.post("add", b'{"by": 2}')
    assert status == 400
    assert b'"code"' not in body


async def test_a_database_that_is_busy_is_transient(door: Door, tmp_path: Path) -> None:
    await door.database.run(lambda connection: connection.execute("PRAGMA busy_timeout = 0"))
    other = connect(tmp_path / "counter.db")
    other.execute("BEGIN IMMEDIATE")
    status, _, body = await door.post("add", b'{"by": 1}')
    assert (status, b'"code"' in body) == (503, False)
    other.close()
    assert (await door.post("add", b'{"by": 1}'))[0] == 200


async def test_a_handler_that_raises_is_transient(door: Door) -> None:
    await door.database.run(lambda connection: connection.execute("ALTER TABLE effect ADD COLUMN x INT"))
    status, _, body = await door.post("add", b'{"by": 1}')
    assert (status, b'"code"' in body) == (500, False)
