"""A client of the driver that is given up while it starts: whenever that is, it leaves no connection open."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from amends.adapters.kafka import Address, behind, driver, make_topics
from amends.driver.starting import Startable, start
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.adapters.open_sockets import left_open, no_collector

TURNS = range(0, 600, 40)
"""Turns of the loop; a start takes a few hundred."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    broker()
    with no_collector():
        yield


def producer(address: Address) -> Startable:
    return driver.producer(address, longest=1 << 20, within=5.0)


def consumer(address: Address) -> Startable:
    made = driver.consumer(address, group=new_name(), session=10.0)
    driver.subscribe(made, [new_name()], assigned=_nothing, revoked=_nothing)
    return made


async def _nothing(_partitions: object) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("make", [producer, consumer])
async def test_a_client_that_is_given_up_while_it_starts_leaves_no_connection_open(
    make: Callable[[Address], Startable],
) -> None:
    address = broker().address
    for turns in TURNS:
        client = make(Address((address,)))
        starting = asyncio.create_task(start(client))
        for _turn in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        # It may not have begun, or be there already.
        await client.stop()
        assert left_open(int(address.rpartition(":")[2])) == [], turns


async def ask_how_far(address: Address) -> object:
    return await behind(address, "nobody", ["amends-starting"])


async def ask_for_topics(address: Address) -> None:
    await make_topics(address, ["amends-starting"], partitions=1, replicas=1)


@pytest.mark.parametrize("ask", [ask_for_topics, ask_how_far])
async def test_a_question_that_is_given_up_leaves_nothing_behind(
    ask: Callable[[Address], Awaitable[object]],
) -> None:
    address = broker().address
    await ask_for_topics(Address((address,)))
    for turns in TURNS:
        asking = asyncio.ensure_future(ask(Address((address,))))
        for _turn in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert left_open(int(address.rpartition(":")[2])) == [], turns
        assert asyncio.all_tasks() == {asyncio.current_task()}, turns
