"""The order of a partition's records, whatever becomes of those before them: the sender over a broker that obeys."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from amends.adapters.kafka import KafkaSender
from amends.adapters.kafka.driver import Partition
from amends.adapters.kafka.key_hash import hash_of
from amends.adapters.kafka.lines import TooLarge
from tests.adapters.kafka.scripted_broker import AWAY, FORBIDDEN, MOVED, PATIENCE, ScriptedBroker

ONE = Partition("one", 0)
MANY = 60

Publishing = asyncio.Task[None]


def publish(sender: KafkaSender, value: bytes, *, topic: str = "one", key: bytes = b"k") -> Publishing:
    return asyncio.create_task(sender.publish(topic, key=key, value=value, headers=()))


def numbered(first: int, behind: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, behind)]


def publish_all(sender: KafkaSender, values: Sequence[bytes]) -> list[Publishing]:
    return [publish(sender, value) for value in values]


async def turns(number: int) -> None:
    """Let the loop turn."""
    for _ in range(number):
        await asyncio.sleep(0)


def key_of(partition: int, *, of: int) -> bytes:
    """Return a key that goes to a partition."""
    return next(
        key for key in (b"k-%d" % number for number in range(1_000)) if hash_of(key) % of == partition
    )


async def test_nothing_overtakes_those_that_wait_for_the_connection_and_the_topic() -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    await asyncio.gather(*publish_all(sender, numbered(0, MANY)))
    assert broker.written[ONE] == numbered(0, MANY)
    await sender.close()


async def test_who_comes_in_the_turn_in_which_the_connection_opens_stays_behind() -> None:
    broker = ScriptedBroker(one=1)
    broker.is_open.clear()
    sender = broker.sender()
    early = publish_all(sender, numbered(0, MANY))
    await turns(5)
    broker.is_open.set()
    late: list[Publishing] = []
    for value in numbered(MANY, 2 * MANY):
        late.append(publish(sender, value))
        await turns(1)
    await asyncio.gather(*early, *late)
    assert broker.written[ONE] == numbered(0, 2 * MANY)
    await sender.close()


@pytest.mark.parametrize("errors", [[AWAY()], [MOVED(), AWAY(), AWAY()]])
async def test_what_gathered_behind_a_batch_that_fails_stays_behind_it(errors: Sequence[Exception]) -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    await sender.publish("one", key=b"k", value=b"first", headers=())
    broker.hold(ONE)
    failing = publish_all(sender, numbered(0, 3))
    await broker.until_tried(2)
    behind = publish_all(sender, numbered(3, 6))
    await turns(5)
    broker.refuse(ONE, *errors)
    broker.let_go(ONE)
    await turns(3)
    assert sender.trouble
    await asyncio.gather(*failing, *behind)
    assert broker.written[ONE] == [b"first", *numbered(0, 6)]
    assert not sender.trouble
    await sender.close()


async def test_a_partition_that_fails_holds_up_no_other_and_stays_a_trouble_of_its_topic() -> None:
    broker = ScriptedBroker(two=2)
    sender, bad, good = broker.sender(), Partition("two", 0), Partition("two", 1)
    broker.refuse(bad, *[AWAY()] * 100)
    waits = publish(sender, b"waits", topic="two", key=key_of(0, of=2))
    await broker.until_tried(1)
    for number in range(20):
        await sender.publish("two", key=key_of(1, of=2), value=b"%d" % number, headers=())
        assert sender.trouble, number
    assert broker.written[good] == numbered(0, 20)
    broker.goes_well(bad)
    await waits
    assert not sender.trouble
    await sender.close()


async def test_only_the_record_that_is_too_large_fails_and_all_others_keep_their_places() -> None:
    broker = ScriptedBroker(one=1)
    broker.longest = 100
    sender = broker.sender()
    await sender.publish("one", key=b"k", value=b"first", headers=())
    broker.hold(ONE)
    sizes = [60, 60, 101, 60]
    batch = [publish(sender, b"%d" % number + b"x" * (size - 1)) for number, size in enumerate(sizes)]
    await broker.until_tried(2)
    behind = publish_all(sender, [b"4", b"5"])
    await turns(5)
    broker.let_go(ONE)
    came = await asyncio.gather(*batch, *behind, return_exceptions=True)
    assert [type(each) for each in came] == [type(None)] * 2 + [TooLarge] + [type(None)] * 3
    assert [value[:1] for value in broker.written[ONE]] == [b"f", b"0", b"1", b"3", b"4", b"5"]
    assert not sender.trouble
    await sender.close()


async def test_a_record_that_is_no_record_fails_by_itself() -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    good = publish_all(sender, numbered(0, 2))
    await turns(1)
    text: Any = "text"
    bad = asyncio.create_task(sender.publish("one", key=b"k", value=b"x", headers=[("n", text)]))
    more = publish_all(sender, numbered(2, 4))
    *fine, refused = await asyncio.gather(*good, *more, bad, return_exceptions=True)
    assert fine == [None] * 4
    assert isinstance(refused, TypeError)
    assert broker.written[ONE] == numbered(0, 4)
    await sender.close()


async def test_a_topic_that_gets_other_partitions_is_written_to_in_order() -> None:
    broker = ScriptedBroker(grown=1)
    sender, key = broker.sender(), key_of(3, of=4)
    old, new = Partition("grown", 0), Partition("grown", 3)
    await sender.publish("grown", key=key, value=b"first", headers=())
    broker.hold(old)
    under_way = publish(sender, b"0", topic="grown", key=key)
    await broker.until_tried(2)
    broker.partitions["grown"] = 4
    # What goes to other partitions finds out that there are more; what is under way fails, and goes there as well.
    behind = [publish(sender, b"%d" % number, topic="grown", key=key) for number in range(1, 5)]
    others = [publish(sender, b"other", topic="grown", key=b"key-%d" % number) for number in range(20)]
    await turns(20)
    broker.refuse(old, MOVED())
    broker.let_go(old)
    await asyncio.gather(under_way, *behind, *others)
    assert [value for value in broker.written[new] if value != b"other"] == numbered(0, 5)
    broker.partitions["grown"] = 2
    await sender.publish("grown", key=key, value=b"fewer", headers=())
    assert broker.written[Partition("grown", hash_of(key) % 2)][-1] == b"fewer"
    await sender.close()


async def test_who_gives_up_is_not_written_for_unless_it_is_under_way() -> None:
    broker = ScriptedBroker(one=1)
    sender = broker.sender()
    await sender.publish("one", key=b"k", value=b"first", headers=())
    broker.hold(ONE)
    under_way = publish(sender, b"under way")
    await broker.until_tried(2)
    gathered, stays = publish(sender, b"gathered"), publish(sender, b"stays")
    unknown = publish(sender, b"unknown", topic="not-there")
    await turns(5)
    for each in (under_way, gathered, unknown):
        each.cancel()
    await asyncio.gather(under_way, gathered, unknown, return_exceptions=True)
    broker.partitions["not-there"] = 1
    broker.let_go(ONE)
    await stays
    await sender.publish("not-there", key=b"k", value=b"known", headers=())
    assert broker.written[ONE] == [b"first", b"under way", b"stays"]
    assert broker.written[Partition("not-there", 0)] == [b"known"]
    await sender.close()


async def test_the_connection_is_opened_until_it_is_there_and_the_topic_looked_for() -> None:
    broker = ScriptedBroker()
    broker.closed_by = AWAY()
    sender = broker.sender()
    waiting = publish_all(sender, numbered(0, 3))
    await turns(20)
    assert sender.trouble_of(["one"])
    broker.closed_by = None
    broker.partitions["one"] = 1
    await asyncio.gather(*waiting)
    assert not sender.trouble
    assert broker.written[ONE] == numbered(0, 3)
    await sender.close()


async def test_what_is_forbidden_is_told_and_waits() -> None:
    broker = ScriptedBroker(one=1)
    broker.refuse(ONE, FORBIDDEN())
    sender = broker.sender()
    waiting = publish(sender, b"0")
    await broker.until_tried(1)
    await turns(5)
    assert sender.trouble_of(["one"]) == "not allowed: write to one"
    await waiting
    await sender.close()


async def test_closing_tells_all_who_wait_wherever_they_are() -> None:
    broker = ScriptedBroker(one=1, two=2)
    sender, bad = broker.sender(), Partition("two", 0)
    await sender.publish("one", key=b"k", value=b"first", headers=())
    broker.hold(ONE)
    broker.refuse(bad, *[AWAY()] * 100)
    broker.refuse(ONE, AWAY())
    under_way = publish(sender, b"under way")
    pausing = publish(sender, b"pausing", topic="two", key=key_of(0, of=2))
    await broker.until_tried(3)
    await turns(5)
    gathered = publish(sender, b"gathered")
    unknown = publish(sender, b"unknown", topic="not-there")
    await turns(5)
    await sender.close()
    async with asyncio.timeout(PATIENCE):
        told = await asyncio.gather(under_way, pausing, gathered, unknown, return_exceptions=True)
    assert [type(each) for each in told] == [ConnectionError] * 4
    with pytest.raises(ConnectionError):
        await sender.publish("one", key=b"k", value=b"x", headers=())


async def test_closing_tells_those_who_wait_for_the_connection() -> None:
    broker = ScriptedBroker(one=1)
    broker.is_open.clear()
    sender = broker.sender()
    waiting = publish_all(sender, numbered(0, 3))
    await turns(5)
    await sender.close()
    async with asyncio.timeout(PATIENCE):
        told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in told] == [ConnectionError] * 3
