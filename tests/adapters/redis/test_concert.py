"""Several orchestrators and a real Redis: breakers and rates are those of all, and its loss is only noticed."""

import asyncio
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from amends import Orchestrator, bootstrap, memory
from amends.application.breakers import BreakerPolicy
from amends.application.gate import Protection
from amends.ports.exchange import Met, Said
from servers import redis
from tests.adapters.redis import shared_redis
from tests.adapters.redis.players import (
    OPEN_FOR,
    PAYMENT,
    PLAIN,
    Bank,
    begin,
    completed,
    members,
    player,
    players,
    stage,
    until,
)

LIMITED = Protection(breaker=PLAIN.breaker, rate=50)
RAMPED = Protection(
    breaker=BreakerPolicy(
        failures=3,
        open_for=OPEN_FOR,
        longest=OPEN_FOR,
        ramp=timedelta(minutes=10),
        ramp_first=20,
    )
)


@pytest.fixture
def namespace() -> str:
    return shared_redis.new_namespace()


@pytest.fixture
def own() -> Iterator[redis.Server]:
    """A Redis that a test may kill."""
    folder = Path(tempfile.mkdtemp(prefix="amends-test-redis-"))
    yield redis.start(folder)
    redis.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


def kill(server: redis.Server) -> None:
    server.kill()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record for record in caplog.records if record.name == "amends.concert"]
    return [record.getMessage() for record in found if "exchange is" in record.getMessage()]


def most_in(calls: list[float], seconds: float) -> int:
    """Return how many calls there were in the busiest window of this length."""
    return max(sum(first <= each < first + seconds for each in calls) for first in calls)


async def test_one_that_finds_it_down_opens_the_breakers_of_all_and_one_probes(namespace: str) -> None:
    bank = Bank()
    async with players(4, bank, shared_redis.server(), namespace) as every:
        bank.mode = "down"
        mine = {0: await begin(every[0], 3)}
        await until(lambda: {stage(each) for each in every} == {"open"}, "all breakers to open")
        assert len(bank.calls) == 3, "the others did not have to find out for themselves"
        for number, each in enumerate(every[1:], 1):
            mine[number] = await begin(each, 5)
        bank.calls.clear()
        bank.most_at_once = 0
        began = time.monotonic()
        await until(lambda: len(bank.calls) >= 5, "five probes")
        assert time.monotonic() - began >= 4 * OPEN_FOR.total_seconds(), "no more than one would send alone"
        assert bank.most_at_once == 1
        bank.mode = "up"
        for number, ids in mine.items():
            await completed(every[number], ids)
        await until(lambda: {stage(each) for each in every} == {"closed"}, "all breakers to close")
        assert sum(each.orchestrator.participants[0].trips for each in every) <= 1 + len(bank.calls)


async def test_they_ramp_together_at_the_pace_of_one(namespace: str) -> None:
    bank = Bank()
    async with players(4, bank, shared_redis.server(), namespace, RAMPED) as every:
        bank.mode = "down"
        ids = await begin(every[0], 3)
        await until(lambda: {stage(each) for each in every} == {"open"})
        bank.mode = "up"
        await until(lambda: {stage(each) for each in every} == {"ramping"}, "all to ramp")
        await completed(every[0], ids)
        for each in every:
            await begin(each, 100)
        bank.calls.clear()
        await until(lambda: len(bank.calls) >= 60)
        assert most_in(bank.calls, 1.0) <= 20 * 1.5 + 4 * 2, "four that ramp each for itself would make 80"


async def test_who_joins_later_hears_how_it_stands_and_what_a_person_did_only_a_person_undoes(
    namespace: str,
) -> None:
    bank = Bank()
    server = shared_redis.server()
    async with players(2, bank, server, namespace) as (one, other):
        one.orchestrator.open_breaker("bank", by="me", reason="they move")
        await until(lambda: stage(other) == "open")
        async with player(bank, server, namespace) as third:
            await until(lambda: third.orchestrator.participants[0].by_hand, "the third to hear of it")
            ids = await begin(third, 3)
            await until(lambda: members(one) == 3 and third.orchestrator.engine.live == 0)
            assert bank.calls == []
            other.orchestrator.close_breaker("bank", by="me", reason="they moved")
            await completed(third, ids)
            await until(lambda: (stage(one), stage(third)) == ("closed", "closed"))


async def test_a_rate_holds_for_all_together_and_who_needs_it_gets_all_of_it(namespace: str) -> None:
    bank = Bank()
    async with players(3, bank, shared_redis.server(), namespace, LIMITED) as every:
        began = time.monotonic()
        mine = [await begin(each, 50) for each in every]
        await asyncio.gather(*(completed(each, ids) for each, ids in zip(every, mine, strict=True)))
        assert len(bank.calls) == 150
        assert most_in(bank.calls, 1.0) <= 50 + 2 * 5, "50 a second, and what may come at once"
        assert time.monotonic() - began >= (150 - 5) / 50 * 0.95
        bank.calls.clear()
        ids = await begin(every[0], 100)
        await completed(every[0], ids)
        assert most_in(bank.calls, 1.0) >= 35, "a third of the rate would be 17"


async def test_what_was_granted_and_is_not_used_is_given_back(namespace: str) -> None:
    bank = Bank()
    slow = Protection(breaker=PLAIN.breaker, rate=0.01)
    async with players(2, bank, shared_redis.server(), namespace, slow) as (one, other):
        # The bucket has one call, and the next comes in 100 s.
        await until(lambda: one.orchestrator.engine.live == 0)
        allowance = one.orchestrator.engine.dispatcher.lanes["bank"].gate.share_limit(lambda: None)
        assert allowance is not None
        allowance.wait(one.orchestrator.clock.now())
        await until(lambda: allowance.granted == 1, "the call to be granted")
        ids = await begin(other, 1)
        await completed(other, ids)
        assert allowance.granted == 0


async def test_its_loss_under_load_is_only_noticed(
    namespace: str, own: redis.Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    bank = Bank()
    folder = Path(own.folder)
    async with players(2, bank, own, namespace, LIMITED) as (one, other):
        ids = await begin(one, 100), await begin(other, 100)
        await until(lambda: len(bank.calls) >= 20)
        kill(own)
        await until(lambda: one.troubles and other.troubles, "both to notice")
        assert (one.is_ready, other.is_ready) == (True, True)
        assert list(one.troubles) == ["exchange"]
        assert own.address not in one.troubles["exchange"]
        assert one.gauges().troubles == one.troubles
        bank.calls.clear()
        await asyncio.gather(completed(one, ids[0]), completed(other, ids[1]))
        assert most_in(bank.calls, 1.0) <= 50 + 2 * 5 + 5, "each keeps its half of the rate"
        assert len(bank.calls) >= 100
        lines = told(caplog)
        assert len(lines) == 2, "one line a process, however long it takes"
        assert all(own.address in line for line in lines)
        await asyncio.to_thread(redis.start, folder, own.port)
        await until(lambda: not one.troubles and not other.troubles, "it to be found again")
        assert len(told(caplog)) == 4
        bank.mode = "down"
        await begin(one, 3)
        await until(lambda: stage(other) == "open", "breakers to be shared again")


async def test_a_redis_that_hangs_is_only_noticed_too(
    namespace: str, own: redis.Server, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank()
    async with players(2, bank, own, namespace, LIMITED) as (one, other):
        os.kill(own.pid, signal.SIGSTOP)
        ids = await begin(one, 20)
        await completed(one, ids)
        await until(lambda: one.troubles and other.troubles, "both to notice")
        assert len(told(caplog)) == 2
        os.kill(own.pid, signal.SIGCONT)
        await until(lambda: not one.troubles and not other.troubles, "both to find it again")
        await completed(one, await begin(one, 20))


class Broken:
    """An exchange with a fault of its own."""

    async def meet(self, said: Mapping[str, Said]) -> Met:
        raise RuntimeError("this is no meeting")

    async def leave(self) -> None:
        """Nothing to leave."""


async def test_a_fault_in_the_exchange_itself_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    bank = Bank()
    orchestrator = Orchestrator(
        sagas=[PAYMENT], store=memory(), participants={"bank": bank}, protection=LIMITED
    )
    async with bootstrap.service(orchestrator, exchange=Broken()) as alone:
        bank.mode = "down"
        ids = await begin(alone, 5)
        await until(lambda: stage(alone) == "open")
        bank.mode = "up"
        await completed(alone, ids)
        assert list(alone.troubles) == ["exchange"]
    assert len([each for each in caplog.records if each.exc_info]) == 1


async def test_breakers_opened_while_it_was_away_are_told_when_it_is_back(
    namespace: str, own: redis.Server
) -> None:
    bank = Bank()
    folder = Path(own.folder)
    async with players(2, bank, own, namespace) as (one, other):
        kill(own)
        await until(lambda: one.troubles and other.troubles)
        bank.mode = "down"
        await begin(one, 3)
        await until(lambda: stage(one) == "open")
        probes = len(bank.calls)
        await until(lambda: len(bank.calls) >= probes + 2, "its own probes")
        assert stage(other) == "closed"
        await asyncio.to_thread(redis.start, folder, own.port)
        await until(lambda: stage(other) != "closed")


async def test_what_it_forgot_is_told_again_and_a_persons_word_counts_for_more(
    namespace: str, own: redis.Server
) -> None:
    bank = Bank()
    async with players(2, bank, own, namespace) as (one, other):
        kill(own)
        await until(lambda: one.troubles and other.troubles)
        bank.mode = "down"
        await begin(one, 3)
        await until(lambda: stage(one) == "open")
        other.orchestrator.open_breaker("bank", by="me", reason="they move")
        for _ in range(2):
            await asyncio.to_thread(redis.start, Path(own.folder), own.port)
            await until(lambda: all(each.orchestrator.participants[0].by_hand for each in (one, other)))
            async with player(bank, own, namespace) as third:
                await until(lambda: third.orchestrator.participants[0].by_hand, "a newcomer to hear of it")
            kill(own)
            await until(lambda: one.troubles and other.troubles)


async def test_a_redis_that_is_away_at_the_start_keeps_nobody(
    namespace: str, own: redis.Server, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank()
    folder = Path(own.folder)
    redis.stop(folder)
    async with player(bank, own, namespace, LIMITED) as alone:
        await completed(alone, await begin(alone, 5))
        assert alone.is_ready
        assert len(told(caplog)) == 1
        await asyncio.to_thread(redis.start, folder, own.port)
        await until(lambda: not alone.troubles)
        await completed(alone, await begin(alone, 5))


async def test_a_password_that_it_refuses_is_said_once_and_not_shown(
    namespace: str, own: redis.Server, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank()
    async with Redis(port=own.port) as client:
        await client.config_set("requirepass", "the-right-password")
    async with player(bank, own, namespace, password="not-the-password") as alone:
        await until(lambda: alone.troubles)
        await completed(alone, await begin(alone, 3))
    (line,) = told(caplog)
    assert "password" not in line.replace("username-password pair", "")
    assert own.address in line
    async with player(bank, own, namespace, password="the-right-password") as alone:
        await until(lambda: members(alone) == 1)
        await completed(alone, await begin(alone, 3))
        assert not alone.troubles
