"""The sender over a real broker: what gathers keeps its order, and a batch that is too large harms no record in it."""

import asyncio
from typing import Any

import aiokafka.admin  # type: ignore[import-untyped]
import pytest

from amends.adapters.kafka import Address, KafkaSender
from amends.adapters.kafka.lines import TooLarge
from tests.adapters.kafka.shared_broker import broker, new_name, written

LIMIT = 100_000


async def topic(*, partitions: int, **configuration: str) -> str:
    client: Any = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=broker().address)
    made = aiokafka.admin.NewTopic(new_name(), partitions, 1, topic_configs=configuration)
    await client.start()
    await client.create_topics([made])
    await client.close()
    name: str = made.name
    return name


async def test_what_is_published_at_once_keeps_its_order_and_goes_where_other_producers_send_it() -> None:
    name = await topic(partitions=3)
    sender = KafkaSender(Address((broker().address,)))
    other: Any = aiokafka.AIOKafkaProducer(bootstrap_servers=broker().address)
    await other.start()
    keys = [b"saga-%d" % number for number in range(20)]
    for key in keys:
        await other.send_and_wait(name, b"first", key)
    await other.stop()
    sent = [(key, b"%d" % number) for number in range(10) for key in keys]
    await asyncio.gather(
        *(sender.publish(name, key=key, value=value, headers=(("n", value),)) for key, value in sent)
    )
    await sender.close()
    found = await written(broker().address, name, 220)
    for key in keys:
        of_key = [record for record in found if record.key == key]
        assert [record.value for record in of_key] == [b"first", *(b"%d" % number for number in range(10))]
        assert len({record.partition for record in of_key}) == 1
        assert of_key[-1].headers == (("n", b"9"),)


async def test_records_without_a_key_and_without_a_value_are_written() -> None:
    name = await topic(partitions=3)
    sender = KafkaSender(Address((broker().address,)))
    await asyncio.gather(*(sender.publish(name, key=None, value=b"x", headers=()) for _ in range(9)))
    await sender.publish(name, key=b"k", value=None, headers=())
    await sender.close()
    found = await written(broker().address, name, 10)
    assert {record.partition for record in found if record.key is None} == {0, 1, 2}
    assert [record.value for record in found if record.key == b"k"] == [None]


async def test_a_batch_that_is_too_large_is_no_fault_of_its_records() -> None:
    name = await topic(partitions=1, **{"max.message.bytes": str(LIMIT)})
    sender = KafkaSender(Address((broker().address,)))
    sizes = [LIMIT // 3] * 6
    many = [sender.publish(name, key=b"k", value=b"x" * size, headers=()) for size in sizes]
    too_large = sender.publish(name, key=b"k", value=b"y" * (LIMIT + 1), headers=())
    *fine, refused = await asyncio.gather(*many, too_large, return_exceptions=True)
    assert fine == [None] * 6
    assert isinstance(refused, TooLarge)
    assert [len(record.value) for record in await written(broker().address, name, 6)] == sizes
    await sender.close()


async def test_closing_tells_those_who_wait() -> None:
    sender = KafkaSender(Address((broker().address,)))
    name = await topic(partitions=1)
    await sender.publish(name, key=b"k", value=b"x", headers=())
    waiting = asyncio.gather(
        *(sender.publish(name, key=b"k", value=b"x", headers=()) for _ in range(3)), return_exceptions=True
    )
    await asyncio.sleep(0)
    await sender.close()
    assert all(isinstance(each, ConnectionError) for each in await waiting)
    with pytest.raises(ConnectionError):
        await sender.publish(name, key=b"k", value=b"x", headers=())
