"""What became of a command, from every database of the kit and at every door; to ask does nothing."""

from pathlib import Path

import pytest
from aiohttp import ClientSession, test_utils

from amends.participant import Database
from amends.participant.asgi import asgi_application
from amends.participant.http import participant_application
from amends.testing.barrier_http import headers_of
from tests.participant.asgi_server import AsgiServer
from tests.participant.counter import HANDLERS, command, effects, prepare
from tests.participant.places import LATER, PLACES, harmless, new_place
from tests.participant.test_barrier_at_once import examined


@pytest.mark.parametrize("place", PLACES)
async def test_a_database_recalls_what_was_answered(place: str) -> None:
    where = new_place(place)
    async with PLACES[place](where, harmless) as deliver:
        asked = examined(deliver).command("do", "s1")
        assert await deliver.recall(asked.command_id) is None
        answer = await deliver(asked)
        remembered = await deliver.recall(asked.command_id)
        assert remembered is not None
        assert (remembered.answer, remembered.fingerprint) == (answer, asked.fingerprint)
        later = examined(deliver).command("do", "s2", payload=lambda _: {"by": LATER})
        await deliver(later)
        begun = await deliver.recall(later.command_id)
        assert begun is not None
        assert begun.answer.outcome == "later"
        assert where.effects(place) == 2


async def ask_and_do(url: str, database: Database, by: int, after: bytes) -> None:
    asked = command("do", by=by)
    place = f"{url}/commands/add"
    async with ClientSession() as client:
        async with client.get(place, headers=headers_of(asked)) as response:
            assert (response.status, await response.read()) == (200, b'{"outcome":"unseen"}')
        async with client.post(place, data=b'{"by": %d}' % by, headers=headers_of(asked)):
            pass
        standing = await database.run(lambda connection: effects(connection, "do"))
        for _ in range(2):
            async with client.get(place, headers=headers_of(asked)) as response:
                assert (response.status, response.content_type) == (200, "application/json")
                assert after in await response.read()
        async with client.get(place) as response:
            assert response.status == 400
        assert await database.run(lambda connection: effects(connection, "do")) == standing


SAID = {1: b'{"outcome":"succeeded","reply":{"count":1}}', -1: b'"code": "negative"'}


@pytest.mark.parametrize("by", SAID)
@pytest.mark.parametrize("door", ["asgi", "aiohttp"])
async def test_a_door_says_what_became_of_a_command(door: str, by: int, tmp_path: Path) -> None:
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    if door == "asgi":
        async with AsgiServer(asgi_application(handlers=HANDLERS, database=database)) as url:
            await ask_and_do(url, database, by, SAID[by])
    else:
        server = test_utils.TestServer(participant_application(handlers=HANDLERS, database=database))
        await server.start_server()
        await ask_and_do(str(server.make_url("")).rstrip("/"), database, by, SAID[by])
        await server.close()
    database.close()
