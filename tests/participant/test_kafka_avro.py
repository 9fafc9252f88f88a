"""The kit with Avro, over a real broker and registry: the good is answered in Avro, and so is what is not."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from amends.avro import AvroCodec, SchemaRegistry, replies_schema
from amends.participant import Database
from amends.participant.kafka import KafkaParticipant
from amends.participant.kafka_avro import AvroValues
from tests.adapters.kafka.shared_broker import broker
from tests.adapters.kafka.shared_registry import registry_url
from tests.adapters.kafka.told import said
from tests.application.engine_world import until
from tests.avro.odd_registry import odd_registry
from tests.participant.counter import HANDLERS, command, prepare
from tests.participant.kafka_line import Line, line

COMMAND: Final[Any] = {"type": "record", "name": "By", "fields": [{"name": "by", "type": "long"}]}
COUNT: Final[Any] = {"type": "record", "name": "Count", "fields": [{"name": "count", "type": "long"}]}
AVRO: Final = b"application/avro"


class Asked:
    """A line with a participant behind it, and what it says."""

    def __init__(self, wire: Line, codec: AvroCodec) -> None:
        self.wire, self.codec = wire, codec

    async def answer(self, value: bytes | None, *, step: str = "count") -> tuple[str, Any]:
        """Outcome and document of the reply to a command with this value."""
        asked = command("do", step=step)
        number = len(self.wire.came) + 1
        await self.wire.write(key=asked.saga_id.encode(), value=value, headers=self.wire.headers(asked))
        await until(lambda: len(self.wire.came) >= number)
        record = self.wire.came[-1]
        told = dict(record.headers)
        assert told["content-type"] == AVRO
        return told["ce_amendsoutcome"].decode(), msgspec.json.decode(await self.codec.decode(record.value))


@asynccontextmanager
async def asked(tmp_path: Path, *, replies: Any, url: str = "") -> AsyncGenerator[Asked]:
    registry = SchemaRegistry(registry_url())
    database = Database(path=tmp_path / "counter.db", prepare=prepare)
    async with line() as wire:
        await registry.register(f"{wire.commands}-value", COMMAND)
        await registry.register(f"{wire.replies}-value", replies)
        values = AvroValues(AvroCodec(SchemaRegistry(url or registry_url())))
        participant = KafkaParticipant(
            name=wire.name, servers=[broker().address], handlers=HANDLERS, database=database, values=values
        )
        task = asyncio.create_task(participant.run())
        try:
            yield Asked(wire, AvroCodec(registry))
        finally:
            participant.stop()
            await asyncio.wait_for(task, 30)
            await values.close()
            await registry.close()
            database.close()


async def test_a_command_in_avro_is_answered_in_avro(tmp_path: Path) -> None:
    async with asked(tmp_path, replies=replies_schema_of(COUNT)) as at:
        by = await at.codec.encode(at.wire.commands, b'{"by":1}')
        assert await at.answer(by) == ("succeeded", {"count": 1})
        assert await at.answer(by) == ("succeeded", {"count": 1}), "the barrier knows it"
        less = await at.codec.encode(at.wire.commands, b'{"by":-1}')
        outcome, said = await at.answer(less, step="other")
        assert (outcome, said["code"]) == ("refused", "negative")


async def test_a_command_that_is_no_avro_is_answered(tmp_path: Path) -> None:
    async with asked(tmp_path, replies=replies_schema_of(COUNT)) as at:
        for value, told in (
            (b'{"by":1}', "no byte 0"),
            (b"\0\x7f\xff\xff\xff\x02", "no schema 2147483647"),
            (None, "its value is null"),
        ):
            outcome, said = await at.answer(value)
            assert (outcome, said["fault"]) == ("failed", "configuration")
            assert told in said["reason"]


async def test_a_reply_that_its_topic_cannot_carry_is_a_failure_that_says_so(tmp_path: Path) -> None:
    async with asked(tmp_path, replies=replies_schema()) as at:
        outcome, said = await at.answer(await at.codec.encode(at.wire.commands, b'{"by":1}'))
        assert (outcome, said["fault"]) == ("failed", "configuration")
        assert "does not fit the schema of" in said["reason"]


async def test_where_failures_do_not_fit_either_nothing_is_said_and_nothing_blocked(tmp_path: Path) -> None:
    async with asked(tmp_path, replies=[COUNT]) as at:
        await at.wire.write(key=b"s1", value=b"{}", headers=at.wire.headers(command("do")))
        by = await at.codec.encode(at.wire.commands, b'{"by":1}')
        assert await at.answer(by) == ("succeeded", {"count": 1})


async def test_a_registry_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async with odd_registry() as odd, asked(tmp_path, replies=replies_schema_of(COUNT), url=odd.url) as at:
        by = await at.codec.encode(at.wire.commands, b'{"by":1}')
        number = int.from_bytes(by[1:5], "big")
        odd.says(f"/schemas/ids/{number}", "not now", 503)
        answering = asyncio.create_task(at.answer(by))
        await until(lambda: odd.asked[f"/schemas/ids/{number}"] >= 3)
        assert not answering.done()
        odd.schema(number, COMMAND)
        newest = await at.codec.encode(at.wire.replies, b'{"count":1}')
        odd.subject(f"{at.wire.replies}-value", int.from_bytes(newest[1:5], "big"), replies_schema_of(COUNT))
        assert await answering == ("succeeded", {"count": 1})


async def test_that_the_registry_is_away_is_told_once_for_all_that_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with odd_registry() as odd:
        values, numbers = AvroValues(AvroCodec(SchemaRegistry(odd.url))), (7, 8)
        for number in numbers:
            odd.says(f"/schemas/ids/{number}", "not now", 503)
        reading = asyncio.gather(*(values.read(b"\0" + n.to_bytes(4, "big") + b"\2") for n in numbers))
        await until(lambda: sum(odd.asked[f"/schemas/ids/{number}"] for number in numbers) >= 3)
        for number in numbers:
            odd.schema(number, COMMAND)
        assert await reading == [b'{"by":1}'] * 2
        await values.close()
    assert said(caplog, by="amends", more_than=1) == {}
    assert len(said(caplog, by="amends")) == 2, "that it is away, and that it is back"


def replies_schema_of(shape: Any) -> Any:
    return [shape, *replies_schema()]
