"""A topic that is gone, a permission that is missing, a limit that is small: told while it lasts, then all goes on."""

import asyncio
import itertools
from collections.abc import Callable

import msgspec

from amends.adapters.kafka import Address, KafkaSender, make_topics
from tests.adapters.kafka import administration
from tests.adapters.kafka.administration import Rule
from tests.adapters.kafka.shared_broker import broker, new_name, written
from tests.adapters.kafka.world import World, world
from tests.crash.cluster.services import pause

PATIENCE = 60.0
WATCHED = 30
"""Looks at the troubles while something is wrong."""


async def until(at: World, holds: Callable[[dict[str, str]], object]) -> dict[str, str]:
    """Wait until the troubles are as wanted."""
    async with asyncio.timeout(PATIENCE):
        while not holds(at.service.troubles):
            await pause(0.05)
    return at.service.troubles


async def stays(at: World, name: str) -> None:
    for _ in range(WATCHED):
        assert name in at.service.troubles, "it was not mended"
        await pause(0.1)


async def begin(at: World, saga_id: str, *, padding: int = 0) -> None:
    order = {"order": saga_id + "x" * padding, "items": []}
    await at.amends.begin("send", msgspec.json.encode(order), saga_id=saga_id)


async def test_63_a_topic_that_is_deleted_is_told_until_it_is_made_again() -> None:
    async with world() as at:
        await until(at, lambda told: not told)
        await administration.delete(at.address, [at.replies])
        told = await until(at, lambda told: told)
        assert told == {"intake": f"there is no topic {at.replies}"}
        await stays(at, "intake")
        # What else is read goes on.
        await at.event(at.created, {"order": "o-1", "items": []})
        await at.intake.until(1)
        await make_topics(at.address, [at.replies], partitions=2, replicas=1)
        await until(at, lambda told: not told)
        await at.reply("o-1", "pack")
        await at.reply("o-1", "ship")
        await at.intake.until(3)
        assert (await at.amends.get("o-1")).status == "completed"


async def test_63_what_may_not_be_written_is_told_for_its_participant_alone() -> None:
    async with world() as at:
        rule = Rule("topic", f"{at.name}.packers", "write")
        await administration.forbid(at.address, rule)
        told = await troubled(at, "packers")
        assert told["packers"] == f"not allowed: write to {rule.name}"
        # That something can be written to another topic mends nothing.
        for number in range(5):
            await at.cluster.sender.publish(f"{at.name}.hold", key=b"k", value=b"{}", headers=())
            assert set(at.service.troubles) == {"packers", "intake"}, number
        await administration.allow(at.address, rule)
        await until(at, lambda told: not told)
        await at.reply(told["last"], "pack")
        await at.reply(told["last"], "ship")
        assert (await at.amends.wait(told["last"])).status == "completed"


async def troubled(at: World, name: str) -> dict[str, str]:
    """Begin sagas until a rule that was made a moment ago holds; with the troubles the `last` saga's id."""
    async with asyncio.timeout(PATIENCE):
        for number in itertools.count(1):
            await begin(at, f"o-{number}")
            await pause(0.2)
            if name in at.service.troubles:
                return {**at.service.troubles, "last": f"o-{number}"}
    raise AssertionError


async def test_63_what_may_be_written_again_is_told_no_more_though_nothing_is_written() -> None:
    address, name = Address((broker().address,)), new_name()
    sender, rule = KafkaSender(address), Rule("topic", name, "write")
    await make_topics(address, [name], partitions=3, replicas=1)
    await administration.forbid(address, rule)
    count = 0
    async with asyncio.timeout(PATIENCE):
        while not sender.trouble:
            writing = asyncio.create_task(sender.publish(name, key=b"k", value=b"x", headers=()))
            while not (writing.done() or sender.trouble):
                await pause(0.05)
            count += not writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
    for _ in range(WATCHED):
        assert sender.trouble == f"not allowed: write to {name}"
        await pause(0.1)
    await administration.allow(address, rule)
    async with asyncio.timeout(PATIENCE):
        while sender.trouble:
            await pause(0.05)
    await sender.close()
    assert len(await written(broker().address, name, count)) == count


async def test_63_what_may_not_be_read_is_told_without_coming_and_going() -> None:
    async with world() as at:
        rule = Rule("topic", at.replies, "read")
        await administration.forbid(at.address, rule)
        told = await until(at, lambda told: told.get("intake", "").startswith("not allowed"))
        assert at.replies in told["intake"]
        await stays(at, "intake")
        await administration.allow(at.address, rule)
        await until(at, lambda told: not told)


async def test_57_a_payload_over_the_limit_of_its_topic_ends_the_step() -> None:
    name = new_name()
    address = Address((broker().address,))
    await administration.make_small(address, f"{name}.packers", longest=2_000)
    async with world(name=name) as at:
        await begin(at, "o-1", padding=5_000)
        view = await at.amends.wait("o-1")
        assert view.cause is not None
        assert (view.status, view.cause.code) == ("compensated", "payload-too-large")
