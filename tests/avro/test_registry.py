"""The client of a registry: against a real one, and against what else may answer at its address."""

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web

from amends.avro import (
    BadSchema,
    NoSubject,
    RegistryAway,
    RegistryRefused,
    SchemaRegistry,
    UnknownSchema,
    parse_schema,
)
from tests.adapters.kafka.shared_broker import new_name
from tests.adapters.kafka.shared_registry import registry_url
from tests.avro.odd_registry import odd_registry

CONTENT: Final = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


@asynccontextmanager
async def client(url: str, **account: Any) -> AsyncGenerator[SchemaRegistry]:
    registry = SchemaRegistry(url, **account)
    try:
        yield registry
    finally:
        await registry.close()


def record(name: str, **fields: str) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": each, "type": kind} for each, kind in fields.items()],
    }


async def told(path: str, body: object, method: str = "POST") -> Any:
    """Tell the real registry what a client of ours never does."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, registry_url() + path, json=body, headers=CONTENT) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json(content_type=None)


async def test_what_is_registered_is_there() -> None:
    subject = f"{new_name()}-value"
    async with client(registry_url()) as registry:
        with pytest.raises(NoSubject, match=subject):
            await registry.latest(subject)
        shape = record("Line", sku="string")
        number = await registry.register(subject, shape)
        assert await registry.register(subject, shape) == number
        assert json.loads((await registry.by_id(number)).text)["name"] == "Line"
        newer = await registry.register(subject, record("Line", sku="string", count="int"))
        assert newer != number
        assert (await registry.latest(subject)).id == newer


async def test_an_id_that_nobody_has_is_unknown() -> None:
    async with client(registry_url()) as registry:
        with pytest.raises(UnknownSchema, match="no schema 2000000000"):
            await registry.by_id(2_000_000_000)


async def test_a_schema_that_is_not_compatible_is_refused() -> None:
    subject = f"{new_name()}-value"
    async with client(registry_url()) as registry:
        await registry.register(subject, record("Line", sku="string"))
        await told(f"/config/{subject}", {"compatibility": "BACKWARD"}, "PUT")
        with pytest.raises(RegistryRefused, match=subject):
            await registry.register(subject, record("Line", count="int"))
        with pytest.raises(RegistryRefused):
            await registry.register(f"{new_name()}-value", {"type": "nothing"})


async def test_what_a_schema_refers_to_comes_with_it() -> None:
    name = new_name()
    money = {**record("Money", cents="long"), "namespace": "shop"}
    price = {**record("Price", of="shop.Money"), "namespace": "shop"}
    references = [{"name": "shop.Money", "subject": f"{name}-money", "version": 1}]
    async with client(registry_url()) as registry:
        await registry.register(f"{name}-money", money)
        body = {"schema": json.dumps(price), "references": references}
        await told(f"/subjects/{name}-value/versions", body)
        found = await registry.latest(f"{name}-value")
        schema = parse_schema(found.text, found.references)
        assert schema.read(schema.write({"of": {"cents": 7}})) == {"of": {"cents": 7}}
        again = await registry.by_id(found.id)
        assert again.references == found.references


async def test_a_schema_of_another_kind_is_not_read() -> None:
    subject = f"{new_name()}-value"
    body = {
        "schemaType": "JSON",
        "schema": json.dumps({"$schema": "http://json-schema.org/draft-07/schema#"}),
    }
    number = (await told(f"/subjects/{subject}/versions", body))["id"]
    async with client(registry_url()) as registry:
        with pytest.raises(BadSchema, match="is JSON, not Avro"):
            await registry.by_id(number)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("<html>not found</html>", 404),
        ('{"message": "no such page"}', 404),
        ('{"message": "who are you?"}', 401),
        ('{"message": "not you"}', 403),
        ('{"message": "not now"}', 503),
        ("[]", 200),
        ("{", 200),
    ],
)
async def test_what_is_no_answer_of_a_registry_is_waited_for(text: str, status: int) -> None:
    async with odd_registry() as odd, client(odd.url) as registry:
        odd.says("/schemas/ids/1", text, status)
        with pytest.raises(RegistryAway, match=str(status)):
            await registry.by_id(1)
        assert str(status) in registry.trouble
        odd.schema(1, "string")
        assert (await registry.by_id(1)).text == '"string"'
        assert registry.trouble == ""


async def test_nobody_at_the_address_is_waited_for() -> None:
    async with odd_registry() as odd:
        url = odd.url
    async with client(url) as registry:
        with pytest.raises(RegistryAway, match="Connect"):
            await registry.latest("s")
        assert registry.trouble.startswith(url)


async def test_no_answer_in_time_is_waited_for() -> None:
    # A port that takes a connection and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with client(f"http://127.0.0.1:{port}", within=0.2) as registry:
            with pytest.raises(RegistryAway, match="Timeout"):
                await registry.by_id(1)


async def test_it_says_who_it_is() -> None:
    async with odd_registry() as odd:

        def guarded(request: web.Request) -> web.StreamResponse:
            right = request.headers.get("Authorization") == aiohttp.encode_basic_auth("ada", "secret")
            return web.json_response({"schema": '"string"'}, status=200 if right else 401)

        odd.answers["/schemas/ids/1"] = guarded
        async with client(odd.url, username="ada", password="secret") as registry:
            assert (await registry.by_id(1)).id == 1
        async with client(odd.url, username="ada", password="guess") as registry:
            with pytest.raises(RegistryAway, match="401"):
                await registry.by_id(1)


async def test_references_have_an_end() -> None:
    async with odd_registry() as odd, client(odd.url) as registry:
        for number in range(200):
            refers = [{"name": "n", "subject": f"s{number + 1}", "version": 1}]
            odd.has(f"/subjects/s{number}/versions/1", {"schema": '"int"', "references": refers})
        refers = [{"name": "n", "subject": "s0", "version": 1}]
        odd.has("/schemas/ids/1", {"schema": '"int"', "references": refers})
        with pytest.raises(BadSchema, match="more than 100"):
            await registry.by_id(1)
        odd.has("/schemas/ids/2", {"schema": '"int"', "references": [{"subject": "gone", "version": 1}]})
        with pytest.raises(BadSchema, match="not there"):
            await registry.by_id(2)
