"""Avro on topics, over a real broker and a real registry: sagas run, poison is parked, outages are waited for."""

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from amends.ports.parked import Parked
from servers import registry as servers_registry
from tests.adapters.kafka.avro_world import AVRO, AvroSide, avro_world
from tests.adapters.kafka.shared_registry import registry_url
from tests.adapters.kafka.world import JSON, World
from tests.application.engine_world import turns, until

ORDER: Final = {"order": "o-1", "items": [{"sku": "a", "order": ""}]}


async def parked_at(at: World) -> Parked:
    """The record that was parked last."""
    return (await at.arrivals.parked.find(limit=1000))[-1]


async def test_a_saga_runs_with_avro_on_all_topics() -> None:
    async with avro_world(registry_url()) as side:
        at = side.at
        await side.register()
        await side.start()
        await side.event(at.created, ORDER)
        await side.until(1)
        await side.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await side.until(2)
        await side.reply("o-1", "pack")
        await side.until(3)
        await side.reply("o-1", "ship")
        view = await at.amends.wait("o-1")
        assert view.status == "completed"
        documents = [document for _, document in side.commands]
        assert documents == [{"sku": "a", "order": "o-1"}, ORDER, ORDER]
        for record, _ in side.commands:
            assert record.value is not None
            assert record.value[0] == 0
            assert dict(record.headers)["content-type"] == b"application/avro"
        assert await at.arrivals.parked.find() == []


async def test_a_refusal_and_an_undo_are_avro_as_well() -> None:
    async with avro_world(registry_url()) as side:
        at = side.at
        await side.register()
        await side.start()
        await side.event(at.created, ORDER)
        await side.until(1)
        await side.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await side.until(2)
        await side.reply("o-1", "pack", "refused", {"code": "no-boxes"})
        await side.until(3)
        assert side.commands[-1][0].topic.endswith(".let-go")
        await side.event(f"{at.name}.gone", {"order": "o-1", "sku": "a"})
        view = await at.amends.wait("o-1")
        assert (view.status, view.cause and view.cause.code) == ("compensated", "no-boxes")


async def test_one_topic_carries_json_and_another_avro() -> None:
    async with avro_world(registry_url(), others=["created", "replies", "packers"]) as side:
        at = side.at
        await side.register()
        await at.event(at.created, ORDER)
        await at.intake.until(1)
        await side.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await at.intake.until(2)
        await at.reply("o-1", "pack")
        await at.reply("o-1", "ship")
        await at.intake.until(4)
        assert (await at.amends.get("o-1")).status == "completed"


async def test_what_cannot_be_read_is_parked_with_what_it_seems_to_be() -> None:
    async with avro_world(registry_url(), others=["created"]) as side:
        at = side.at
        await side.register()
        good = await side.codec.encode(at.held, b'{"order":"o-1","sku":"a","place":"P"}')
        nul = good[:5] + b"\x06o-1\x02a\x02\x00"
        table: list[tuple[str, str, bytes | None, str, str]] = [
            (
                "53: JSON on an Avro topic",
                at.held,
                b'{"order":"o-1"}',
                "not-avro",
                "seems, JSON; it begins with 7b 22",
            ),
            ("53: JSON as a reply", at.replies, b"null", "not-avro", "it seems, JSON; it begins with 6e 75"),
            ("53: no bytes", at.held, b"", "not-avro", "it begins with nothing"),
            ("53: another magic byte", at.held, b"\x01" + good[1:], "not-avro", "no byte 0"),
            ("53: cut off", at.held, good[:-1], "not-avro", "1 bytes are announced where 0 are left"),
            ("53: more than the schema says", at.held, good + b"\0", "not-avro", "1 bytes stand behind"),
            ("53: NUL", at.held, nul, "not-avro", "NUL"),
            (
                "53: Avro on a JSON topic",
                at.created,
                good,
                "not-json",
                "it seems, Avro; it begins with 00 00",
            ),
            ("no such schema", at.held, b"\0\x7f\xff\xff\xff\0", "unknown-schema", "no schema 2147483647"),
            ("52: a tombstone", at.held, None, "empty", "tombstone"),
        ]
        wrong: list[str] = []
        for what, topic, value, code, told in table:
            await at.write(topic, value, key=b"o-1")
            await at.intake.until(at.written)
            found = await parked_at(at)
            if found.code != code or told not in found.reason or found.record.value != value:
                wrong.append(f"{what}: {found.code} {found.reason}, not {code} {told}")
        assert not wrong, "\n".join(wrong)
        # A schema that nobody could read by.
        number = await side.registry.register(f"{at.name}-odd", {"type": "array", "items": "null"})
        await at.write(at.held, b"\0" + number.to_bytes(4, "big") + b"\x02\0", key=b"o-1")
        await at.intake.until(at.written)
        assert ((await parked_at(at)).code, (await parked_at(at)).saga_id) == ("bad-schema", "")
        # Nothing stands in the way of what comes behind.
        await at.event(at.created, ORDER)
        await at.intake.until(at.written)
        await side.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await at.intake.until(at.written)
        assert set(at.intake.outcomes.values()) == {"parked", "recorded"}


async def test_an_event_waits_for_its_instance_as_avro() -> None:
    async with avro_world(registry_url()) as side:
        at = side.at
        await side.register()
        await side.start()
        await side.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await at.intake.until(1)
        assert [each.state for each in await at.arrivals.parked.find()] == ["waiting"]
        await side.event(at.created, ORDER)
        # The second command, of whichever topic it comes first: what waited was brought.
        await side.until(2)
        assert {record.topic for record, _ in side.commands} == {f"{at.name}.hold", f"{at.name}.packers"}


async def test_a_command_that_does_not_fit_is_a_fault_of_configuration() -> None:
    async with avro_world(registry_url()) as side:
        at = side.at
        await side.register([at.created, f"{at.name}.let-go", f"{at.name}.gone"])
        strange: Any = {"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "int"}]}
        await side.registry.register(f"{at.name}.hold-value", strange)
        await side.start()
        await side.event(at.created, ORDER)
        await side.until(1)
        # Nobody has seen the command, but that is not known for certain: it is taken back.
        assert side.commands[-1][0].topic.endswith(".let-go")
        await side.event(f"{at.name}.gone", {"order": "o-1", "sku": "a"})
        view = await at.amends.wait("o-1")
        assert view.cause is not None
        assert "the command cannot be written to" in view.cause.reason
        assert '"order" is not a field of Item' in view.cause.reason


async def test_a_subject_that_is_not_there_is_waited_for() -> None:
    async with avro_world(registry_url()) as side:
        at = side.at
        await side.register([at.created])
        await side.start()
        await side.event(at.created, ORDER)
        await until(lambda: f"no subject {at.name}.hold-value" in str(at.service.troubles))
        assert not side.commands
        await side.register()
        await side.until(1)
        await until(lambda: at.service.troubles == {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


async def test_a_registry_that_is_killed_and_comes_back_costs_time_and_nothing_else(folder: Path) -> None:
    server = await asyncio.to_thread(servers_registry.start, folder)
    try:
        async with avro_world(server.url) as side:
            at = side.at
            await side.register()
            await side.start()
            created = await side.codec.encode(at.created, msgspec.json.encode(ORDER))
            held = await side.codec.encode(at.held, b'{"order":"o-1","sku":"a","place":"P"}')
            await asyncio.to_thread(server.kill)
            # The service has seen no schema yet: it can neither read the event, nor write what follows.
            await at.write(at.created, created, key=b"o-1", headers=[AVRO])
            await until(lambda: server.url in str(at.service.troubles))
            assert at.intake.taken == 0
            again = await asyncio.to_thread(servers_registry.start, folder)
            assert again.url == server.url
            await side.until(1)
            await asyncio.to_thread(again.kill)
            # `held` and `packers` are not known yet; nobody parks what must wait.
            await at.write(at.held, held, key=b"o-1", headers=[AVRO])
            await asyncio.to_thread(servers_registry.start, folder)
            await side.until(2)
            await side.reply("o-1", "pack")
            await side.until(3)
            await side.reply("o-1", "ship")
            assert (await at.amends.wait("o-1")).status == "completed"
            assert await at.arrivals.parked.find() == []
            assert set(at.intake.outcomes.values()) == {"recorded"}
            await a_parked_record_is_read_once_its_schema_is_there(side)
    finally:
        await asyncio.to_thread(servers_registry.remove, folder)


async def a_parked_record_is_read_once_its_schema_is_there(side: AvroSide) -> None:
    at = side.at
    number = 1 + await side.registry.register(f"{at.name}-last", "long")
    shape: Any = {"type": "record", "name": "HeldAgain", "fields": [{"name": "order", "type": "string"}]}
    value = b"\0" + number.to_bytes(4, "big") + b"\x06o-1"
    await at.write(at.held, value, key=b"o-1", headers=[JSON])
    await at.intake.until(at.written)
    found = await parked_at(at)
    assert found.code == "unknown-schema"
    assert await side.registry.register(f"{at.name}.held-value", shape) == number

    async def is_read() -> bool:
        await at.arrivals.replay(found.id, by="ada", reason="its schema is there")
        return (await parked_at(at)).code != "unknown-schema"

    async with asyncio.timeout(60):
        while not await is_read():
            await turns()
    assert (await parked_at(at)).code == "no-correlation"
