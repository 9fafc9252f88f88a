"""Two transactions of one step at the same instant: the second waits at the row for the first one's end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from amends.participant import Command, Succeeded
from amends.participant.psycopg_ledger import receive
from amends.testing.barrier_suite import Deliver, Examined
from tests.participant.places import ON_A_SERVER, PLACES, WRITE, Where, harmless, new_place, values

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
MOST_LOOKS = 20_000


def rowwise(connection: psycopg.Connection[Any], command: Command) -> Succeeded[dict[str, int]]:
    connection.execute(WRITE.format("%s").encode(), values(command))
    return Succeeded({"count": 41})


@contextmanager
def session(where: Where) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(where.server, autocommit=True) as connection:
        yield connection


async def seen_waiting(holder: psycopg.Connection[Any], where: Where, wanted: int) -> None:
    """Until so many transactions wait for the holder's."""
    with session(where) as connection:
        for _ in range(MOST_LOOKS):
            row = connection.execute(WAITING, (holder.info.backend_pid,)).fetchone()
            if row is not None and row[0] >= wanted:
                return
            await asyncio.sleep(0)
    raise AssertionError(f"never did {wanted} transactions wait")


async def not_counted() -> int:
    raise AssertionError("these tests count for themselves")


def examined(deliver: Deliver) -> Examined:
    return Examined(
        deliver=deliver, effects=not_counted, do="add", undo="subtract", payload=lambda _: {"by": 1}
    )


@pytest.mark.parametrize("place", ON_A_SERVER)
async def test_a_duplicate_waits_for_the_first_and_gets_its_answer(place: str) -> None:
    where = new_place(place)
    async with PLACES[place](where, harmless) as deliver:
        command = examined(deliver).command("do", "s1")
        with session(where) as connection:
            with connection.transaction():
                first = receive(connection, command, rowwise, needs_do=False)
                waiting = [asyncio.ensure_future(deliver(command)) for _ in range(2)]
                await seen_waiting(connection, where, 2)
                assert not any(task.done() for task in waiting)
            answers = await asyncio.gather(*waiting)
        assert [answer.body for answer in answers] == [first.body] * 2 == [b'{"count":41}'] * 2
        assert where.effects(place) == 1


@pytest.mark.parametrize("place", ON_A_SERVER)
async def test_a_duplicate_acts_when_the_first_one_is_taken_back(place: str) -> None:
    where = new_place(place)
    async with PLACES[place](where, harmless) as deliver:
        command = examined(deliver).command("do", "s1")
        with session(where) as connection:
            with connection.transaction(force_rollback=True):
                receive(connection, command, rowwise, needs_do=False)
                waiting = asyncio.ensure_future(deliver(command))
                await seen_waiting(connection, where, 1)
            answer = await waiting
        assert answer.body == b'{"count":1}'
        assert where.effects(place) == 1


@pytest.mark.parametrize("place", ON_A_SERVER)
async def test_an_undo_waits_for_a_do_that_is_under_way(place: str) -> None:
    where = new_place(place)
    async with PLACES[place](where, harmless) as deliver:
        service = examined(deliver)
        with session(where) as connection:
            with connection.transaction():
                receive(connection, service.command("do", "s1"), rowwise, needs_do=False)
                undoing = asyncio.ensure_future(deliver(service.command("undo", "s1")))
                await seen_waiting(connection, where, 1)
            # It acted: the do that it waited for is done.
            assert (await undoing).body == b'{"count":2}'
        assert where.effects(place) == 0
