"""Real processes on one store: killed, stopped, paused; what they had in work goes on in another, in time and once."""

import asyncio
import signal
import time

import pytest

from amends.adapters.postgres import Address, PostgresStoreReader
from amends.ports import StreamKey, shard_of
from tests.adapters.postgres import storage
from tests.adapters.postgres.lines import ask
from tests.application.engine_world import events_of
from tests.sharing.processes import Process, process, shares

WRITTEN = "SELECT (SELECT count(*) FROM transition)::text || ' ' || (SELECT count(*) FROM open_saga)"
IDS = [f"o-{number}" for number in range(24)]


@pytest.fixture
def address() -> Address:
    return storage.address()


async def begun(by: Process) -> None:
    """Have sagas started, each with a command that is never answered."""
    for saga_id in IDS:
        by.tell("start", "fulfil", saga_id)
    await by.heard("started", times=len(IDS))


async def all_ended(by: Process, address: Address) -> None:
    for saga_id in IDS:
        by.tell("wait", saga_id)
    await by.heard("ended", times=len(IDS))
    assert {line.split()[2] for line in by.lines("ended")} == {"completed"}
    reader = PostgresStoreReader(address)
    await reader.open()
    try:
        for saga_id in IDS:
            types = await events_of(reader, saga_id)
            assert types.count("SagaCompleted") == 1
            assert types.count("ReplyRecorded") == 3
    finally:
        await reader.close()


async def test_a_killed_process_is_taken_over_within_its_lease(address: Address) -> None:
    lease = 3.0
    async with process(address.schema, lease=lease) as one, process(address.schema, lease=lease) as other:
        await shares([32, 32], one, other)
        await begun(one)
        own = one.lines("did")
        assert 0 < len(own) < len(IDS), "both have some"
        other.tell("gate")
        await other.heard("open")
        killed = time.monotonic()
        one.send(signal.SIGKILL)
        wanted = {line.removesuffix(" 1") for line in own}
        first = min([await other.heard(line) for line in wanted])
        assert first - killed < lease + 1
        await shares([64], other)
        await all_ended(other, address)


async def test_who_opens_after_a_crash_need_not_wait_for_the_lease(address: Address) -> None:
    """The server knows that the session of the dead one is gone."""
    async with process(address.schema, lease=300) as one:
        await begun(one)
        one.send(signal.SIGKILL)
        await one.gone()
    async with process(address.schema, lease=300) as other:
        assert await other.held() == 64
        other.tell("gate")
        await all_ended(other, address)


async def test_a_process_that_is_told_to_end_hands_over_in_less_than_a_second(address: Address) -> None:
    async with process(address.schema) as one, process(address.schema) as other:
        await shares([32, 32], one, other)
        await begun(one)
        own = one.lines("did")
        other.tell("gate")
        await other.heard("open")
        told = time.monotonic()
        one.tell("close")
        first = min([await other.heard(line.removesuffix(" 1")) for line in own])
        assert first - told < 1
        await one.gone()
        await all_ended(other, address)


async def test_a_process_that_was_paused_beyond_its_lease_writes_nothing_when_it_wakes(
    address: Address,
) -> None:
    async with process(address.schema, lease=1) as one, process(address.schema, lease=1) as other:
        await shares([32, 32], one, other)
        await begun(one)
        own = len(one.lines("did"))
        assert own
        one.send(signal.SIGSTOP)
        other.tell("gate")
        await all_ended(other, address)
        before = await ask(address, WRITTEN)
        # When it wakes, all of its participants answer, and its timers are due.
        one.tell("gate")
        one.send(signal.SIGCONT)
        await shares([32, 32], one, other)
        assert await ask(address, WRITTEN) == before
        assert await ask(address, "SELECT count(*) FROM member WHERE fenced") == 1
        mine = next(f"late-{n}" for n in range(1000) if shard_of(StreamKey("default", f"late-{n}")) < 8)
        one.tell("start", "fulfil", mine)
        await one.heard(f"started {mine}")
        one.tell("wait", mine)
        await one.heard(f"ended {mine} completed")
        async with asyncio.timeout(20):
            while await ask(address, "SELECT count(*) FROM inbox"):
                pass


async def test_a_third_comes_and_goes_under_load(address: Address) -> None:
    async with process(address.schema) as one, process(address.schema) as other:
        one.tell("gate")
        other.tell("gate")
        await shares([32, 32], one, other)
        for number in range(100):
            (one, other)[number % 2].tell("start", "fulfil", f"a-{number}")
        async with process(address.schema) as third:
            third.tell("gate")
            for number in range(100):
                (one, other, third)[number % 3].tell("start", "fulfil", f"b-{number}")
            for number in range(100):
                third.tell("wait", f"a-{number}")
            await third.heard("ended", times=100)
            # Only a start that was acknowledged is there for good.
            await third.heard("started", times=33)
            third.tell("close")
            await third.gone()
        for number in range(100):
            one.tell("wait", f"b-{number}")
        await one.heard("ended", times=100)
        assert all(line.endswith("completed") for line in one.lines("ended"))
        await shares([32, 32], one, other)
    assert await ask(address, "SELECT count(*) FROM open_saga") == 0
    assert await ask(address, "SELECT count(*) FROM inbox WHERE parked IS NOT NULL") == 0
