"""Bad input over a real broker: what each record comes to, and that none blocks those behind it."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
import pytest

from amends.adapters.kafka import KafkaCluster, driver
from amends.ports.intake import Outcome
from tests.adapters.kafka.world import Counting, World, reply_headers, world

Write: TypeAlias = Callable[[World], Awaitable[None]]
Row: TypeAlias = tuple[str, Write, Outcome, str]


def raw(value: bytes | None, *, key: bytes | None = b"o-1", topic: str = "held") -> Write:
    async def write(at: World) -> None:
        await at.write(getattr(at, topic), value, key=key)

    return write


def reply(**changed: bytes) -> Write:
    async def write(at: World) -> None:
        await at.reply("o-1", "pack", **changed)

    return write


def without(header: str) -> Write:
    async def write(at: World) -> None:
        headers = reply_headers("o-1", "pack")
        del headers[header]
        await at.write(at.replies, b"null", key=b"o-1", headers=[*headers.items()])

    return write


def beside(name: str, value: bytes) -> Write:
    """A good reply with a header more, of the sender's own."""

    async def write(at: World) -> None:
        headers = [*reply_headers("o-1", "pack").items(), (name, value)]
        await at.write(at.replies, b"null", key=b"o-1", headers=headers)

    return write


def outcome(said: str, value: bytes) -> Write:
    async def write(at: World) -> None:
        headers = reply_headers("o-1", "pack", said)
        await at.write(at.replies, value, key=b"o-1", headers=[*headers.items()])

    return write


AVRO: Final = b"\x00\x00\x00\x00\x07\x06abc"

TABLE: Final[tuple[Row, ...]] = (
    ("52: a tombstone", raw(None), "parked", "empty"),
    ("52: a tombstone as a reply", raw(None, topic="replies"), "parked", "empty"),
    ("53: not JSON", raw(b"{order: o-1}"), "parked", "not-json"),
    ("53: Avro bytes", raw(AVRO), "parked", "not-json"),
    ("53: no bytes", raw(b""), "parked", "not-json"),
    ("53: NaN", raw(b'{"order":"o-1","sku":"a","place":NaN}'), "parked", "not-json"),
    ("53: a key twice", raw(b'{"order":"o-1","order":"o-2"}'), "parked", "not-json"),
    ("53: not an object", raw(b'["o-1"]'), "parked", "bad-body"),
    ("54: no saga id", raw(b'{"sku":"a","place":"P"}'), "parked", "no-correlation"),
    ("54: a saga id that is no text", raw(b'{"order":{"id":1},"sku":"a"}'), "parked", "no-correlation"),
    ("54: no item", raw(b'{"order":"o-1","place":"P"}'), "parked", "no-correlation"),
    ("54: an item that was not asked for", raw(b'{"order":"o-1","sku":"z"}'), "parked", "unknown-command"),
    ("54: no command id", without("ce_amendscommandid"), "parked", "no-correlation"),
    ("54: no subject", without("ce_subject"), "parked", "no-correlation"),
    ("54: no step", without("ce_amendsstep"), "parked", "no-correlation"),
    ("54: no outcome", without("ce_amendsoutcome"), "parked", "no-correlation"),
    ("54: another command's id", reply(amendscommandid=b"o-1/ship/do/1"), "parked", "bad-correlation"),
    ("54: a round that is no number", reply(amendsround=b"one"), "parked", "bad-header"),
    ("54: a header twice", beside("ce_subject", b"o-2"), "parked", "bad-header"),
    ("55: the key differs", raw(b'{"order":"o-1","sku":"a"}', key=b"o-2"), "parked", "key-differs"),
    ("55: the key of a reply differs", reply(subject=b"o-2"), "parked", "key-differs"),
    ("56: an unknown type", reply(type=b"amends.reply.v2"), "parked", "unknown"),
    ("56: a newer CloudEvents", reply(specversion=b"2.0"), "parked", "unknown"),
    ("56: an unknown outcome", outcome("perhaps", b"{}"), "parked", "bad-header"),
    ("60: a header of ours that is not UTF-8", reply(amendsstep=b"\xff\xfe"), "parked", "bad-header"),
    ("60: a header of others that is not UTF-8", beside("x-odd", b"\xff\x00"), "recorded", ""),
    ("61: a namespace that is not served", reply(amendsnamespace=b"other"), "parked", "bad-correlation"),
    ("refused without a code", outcome("refused", b'{"reason":"no"}'), "parked", "bad-body"),
    ("failed with an odd pause", outcome("failed", b'{"retry_after":-1}'), "parked", "bad-body"),
    ("a step that there is not", reply(amendsstep=b"no-such"), "parked", "bad-correlation"),
    (
        "a start whose data do not fit",
        raw(b'{"order":"o-1","items":7}', topic="created"),
        "parked",
        "bad-start",
    ),
    ("a start whose id is none", raw(b'{"order":"o 9"}', key=b"o 9", topic="created"), "parked", "bad-start"),
    ("a start with other data", raw(b'{"order":"o-1","items":[]}', topic="created"), "parked", "conflict"),
    ("its own message", reply(source=b"/amends/default"), "own", ""),
    ("49: the same reply again", reply(), "duplicate", ""),
    ("50: another answer", outcome("refused", b'{"code":"no"}'), "contradicted", ""),
)


async def test_each_row_comes_to_what_the_table_says() -> None:
    async with world() as at:
        await at.event(at.created, {"order": "o-1"})
        await at.intake.until(1)
        await at.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await at.intake.until(2)
        wrong: list[str] = []
        for what, write, expected, code in TABLE:
            before = set(at.intake.outcomes)
            await write(at)
            await at.intake.until(at.written)
            (place,) = set(at.intake.outcomes) - before
            found, said = at.intake.outcomes[place], ""
            parked = await at.arrivals.parked.find(limit=1000)
            for each in parked:
                record = each.record
                if (record.topic, record.partition, record.offset) == place:
                    said = each.code
                    assert each.reason, what
            if (found, said) != (expected, code):
                wrong.append(f"{what}: {found} {said}, not {expected} {code}")
        assert not wrong, "\n".join(wrong)
        # Nothing stands in the way of what comes behind.
        await at.reply("o-1", "ship")
        await at.intake.until(at.written)
        assert (await at.amends.get("o-1")).status == "completed"


async def test_avro_bytes_are_shown_in_hex() -> None:
    async with world() as at:
        await at.write(at.held, AVRO, key=b"o-1")
        await at.intake.until(1)
        (parked,) = await at.arrivals.parked.find()
        assert parked.reason == "not JSON but, it seems, Avro; it begins with 00 00 00 00 07 06 61 62 63"
        assert parked.record.value == AVRO


@pytest.mark.parametrize("year", [1970, 2100])
async def test_58_a_record_is_taken_whatever_its_time(year: int) -> None:
    async with world() as at:
        timestamp = 0 if year == 1970 else 4_102_444_800_000
        producer = driver.producer(at.address, longest=1 << 20, within=5)
        await producer.start()
        await (await producer.send(at.created, b'{"order":"o-1"}', b"o-1", timestamp_ms=timestamp))
        await producer.stop()
        await at.intake.until(1)
        (begun,) = await at.amends.events("o-1", limit=1)
        assert begun.time.year not in {1970, 2100}, "decisions go by the own clock"


async def test_59_ten_thousand_times_the_same_has_one_effect() -> None:
    async with world() as at:
        await at.event(at.created, {"order": "o-1"})
        await at.intake.until(1)
        body = msgspec.json.encode({"order": "o-1", "sku": "a", "place": "P"})
        await at.many(at.held, body, key=b"o-1", times=10_000)
        await at.intake.until(10_001)
        taken = [said for (topic, _p, _o), said in at.intake.outcomes.items() if topic == at.held]
        assert (taken.count("recorded"), taken.count("duplicate")) == (1, 9_999)
        assert at.arrivals.outcomes[at.held, "duplicate"] == 9_999, "and is counted"
        events = await at.amends.events("o-1")
        assert [event.type for event in events].count("ReplyRecorded") == 1


async def test_57_a_payload_over_the_brokers_limit_ends_the_step() -> None:
    async with world() as at:
        await at.amends.begin(
            "send", msgspec.json.encode({"order": "x" * 1_200_000, "items": []}), saga_id="o-1"
        )
        view = await at.amends.wait("o-1")
        assert view.status == "compensated"
        assert view.cause is not None
        assert view.cause.code == "payload-too-large"


async def test_62_a_full_replay_has_no_new_effect() -> None:
    async with world() as at:
        await at.event(at.created, {"order": "o-1"})
        await at.intake.until(1)
        await at.event(at.held, {"order": "o-1", "sku": "a", "place": "P"})
        await at.intake.until(2)
        await at.reply("o-1", "pack")
        await at.write(at.replies, None, key=b"o-2")
        await at.intake.until(4)
        await at.reply("o-1", "ship")
        await at.intake.until(5)
        position = (await at.amends.get("o-1")).position
        await at.intake.stop()
        # Another group begins at the earliest record.
        group = f"{at.name}-again"
        cluster = KafkaCluster(at.address, at.bindings, group=group, replies=at.replies, partitions=0)
        again = Counting(cluster)
        await again.start(at.arrivals.take)
        await again.until(5)
        await again.stop()
        assert set(again.outcomes.values()) == {"duplicate"}
        assert (await at.amends.get("o-1")).position == position
        assert len(await at.arrivals.parked.find()) == 1
