"""What brokers say of topics, and what follows when all of them are heard."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from amends.adapters.kafka import Address, leaders, make_topics
from amends.adapters.kafka.driver import DRIVER_ERRORS, Producer, producer
from amends.adapters.kafka.leaders import Found, Proof
from amends.adapters.kafka.question import NO_LEADER, PartitionSaid, TopicSaid
from tests.adapters.kafka import administration
from tests.adapters.kafka.administration import Rule
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.crash.cluster.services import pause


def topic(*led_by: int, is_in_sync: bool = True, may_write: bool | None = True) -> TopicSaid:
    """What is said of a topic whose partitions have these leaders."""
    return TopicSaid(
        [PartitionSaid(number, leader, is_in_sync) for number, leader in enumerate(led_by)], may_write
    )


NONE = TopicSaid([], may_write=False)
"""What is said of a topic that is not there."""


ALL_WELL = Found(is_led=True, is_in_sync=True, may_write=True)


def heard(said: Mapping[int, TopicSaid]) -> Found:
    return leaders.found("one", {broker: {"one": about} for broker, about in said.items()})


@pytest.mark.parametrize(
    "said",
    [
        {},
        {1: NONE},
        # Who leads does not answer, or not any more; or nobody leads.
        {1: topic(1, 2)},
        {1: topic(2, 2)},
        {1: topic(1, 2), 2: topic(1, 1)},
        {1: topic(1, 2), 2: NONE},
        {1: topic(1, NO_LEADER)},
        # It has a partition that one of them does not know yet.
        {1: topic(1), 2: topic(1, 3)},
    ],
)
def test_who_is_said_to_lead_and_does_not_say_so_proves_nothing(said: Mapping[int, TopicSaid]) -> None:
    assert not heard(said).is_led
    assert not any(heard(said).proves([proof]) for proof in Proof)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({1: topic(1, 1)}, ALL_WELL),
        ({1: topic(1, 2), 2: topic(1, 2)}, ALL_WELL),
        # Only what leaders say counts.
        ({1: topic(2, 2, is_in_sync=False, may_write=False), 2: topic(2, 2)}, ALL_WELL),
        ({1: topic(1, 2), 2: topic(1, 2, is_in_sync=False)}, ALL_WELL._replace(is_in_sync=False)),
        ({1: topic(1, 2), 2: topic(1, 2, may_write=False)}, ALL_WELL._replace(may_write=False)),
        ({1: topic(1, 2), 2: topic(1, 2, may_write=None)}, ALL_WELL._replace(may_write=None)),
    ],
)
def test_what_leaders_say_of_themselves_counts(said: Mapping[int, TopicSaid], found: Found) -> None:
    assert heard(said) == found
    assert found.proves([Proof.LED])
    assert found.proves([Proof.LED, Proof.IN_SYNC]) == found.is_in_sync
    assert found.proves([Proof.ALLOWED]) == bool(found.may_write)
    assert not found.proves([Proof.LED, Proof.WRITTEN])


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Address, Producer]]:
    address = Address((broker().address,))
    made = producer(address, longest=1 << 20, within=5.0)
    await made.start()
    try:
        yield address, made
    finally:
        await made.stop()


async def test_a_broker_says_who_leads_and_what_is_allowed_and_makes_nothing() -> None:
    there, missing, forbidden = f"{new_name()}.there", f"{new_name()}.missing", f"{new_name()}.forbidden"
    topics = [there, missing, forbidden]
    rule = Rule("topic", forbidden, "write")
    async with connected() as (address, made):
        await make_topics(address, [there, forbidden], partitions=3, replicas=1)
        await administration.forbid(address, rule)
        await until(made, there, may_write=True)
        await until(made, forbidden, may_write=False)
        found = await leaders.ask(made, topics)
        assert found[there] == Found(is_led=True, is_in_sync=True, may_write=True)
        assert found[forbidden] == Found(is_led=True, is_in_sync=True, may_write=False)
        assert not found[missing].is_led
        assert not (await leaders.ask(made, topics))[missing].is_led, "it was made by asking"
        await administration.allow(address, rule)
        await until(made, forbidden, may_write=True)


async def until(made: Producer, name: str, *, may_write: bool) -> None:
    """Wait until a topic, or a rule, that was made a moment ago is known."""
    async with asyncio.timeout(60):
        while (await leaders.ask(made, [name]))[name] != ALL_WELL._replace(may_write=may_write):
            await pause(0.05)


async def test_an_older_broker_does_not_say_what_is_allowed_and_one_that_is_too_old_says_nothing() -> None:
    name = new_name()
    async with connected() as (address, made):
        await make_topics(address, [name], partitions=3, replicas=1)
        await until(made, name, may_write=True)
        speaks(made, newest=7)
        assert (await leaders.ask(made, [name]))[name] == Found(is_led=True, is_in_sync=True, may_write=None)
        speaks(made, newest=3)
        with pytest.raises(DRIVER_ERRORS):
            await leaders.ask(made, [name])


def speaks(made: Producer, *, newest: int) -> None:
    """Have the brokers that are connected pass for ones that know no newer version of the message."""
    client: Any = made
    for connection in client.client._conns.values():  # noqa: SLF001  what it was told when it connected
        connection._versions = {**connection._versions, 3: (0, newest)}  # noqa: SLF001
