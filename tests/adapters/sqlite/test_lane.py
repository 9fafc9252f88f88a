"""Calls run on the loop while they are quick, in one thread when they are slow, and come back."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from amends.adapters.sqlite.lane import Lane


@asynccontextmanager
async def lane(inline_limit: float) -> AsyncIterator[Lane]:
    made = Lane(name="test-lane", inline_limit=inline_limit)
    try:
        yield made
    finally:
        made.stop()


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def test_quick_calls_stay_on_the_loop() -> None:
    async with lane(1.0) as quick:
        assert await quick.run(threading.get_ident) == threading.get_ident()
        assert not quick.is_aside


async def test_without_a_limit_every_call_goes_to_one_thread() -> None:
    async with lane(0) as aside:
        threads = {await aside.run(threading.get_ident) for _ in range(20)}
        assert len(threads) == 1
        assert threads != {threading.get_ident()}


async def test_it_is_free_while_nobody_has_the_turn_and_calls_stay_on_the_loop() -> None:
    async with lane(1.0) as quick, lane(0) as aside:
        assert quick.is_free
        async with quick.turn:
            assert not quick.is_free
        assert quick.is_free
        assert not aside.is_free


async def test_slow_calls_move_to_the_thread_and_quick_ones_bring_them_back() -> None:
    async with lane(0.001) as adaptive:
        await adaptive.run(lambda: busy(0.005))
        assert not adaptive.is_aside, "one slow call is not yet a slow disk"
        for _ in range(20):
            await adaptive.run(lambda: busy(0.005))
        assert adaptive.is_aside
        assert await adaptive.run(threading.get_ident) != threading.get_ident()
        for _ in range(200):
            await adaptive.run(lambda: None)
        assert not adaptive.is_aside
        assert await adaptive.run(threading.get_ident) == threading.get_ident()


async def test_the_loop_goes_on_while_the_thread_works() -> None:
    async with lane(0) as aside:
        go_on = threading.Event()
        work = asyncio.ensure_future(aside.run(lambda: go_on.wait(30)))
        await asyncio.sleep(0)
        go_on.set()
        assert await work


async def test_a_cancelled_call_is_finished_first() -> None:
    async with lane(0) as aside:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        go_on, ended = threading.Event(), threading.Event()

        def call() -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(30)
            ended.set()

        work = asyncio.ensure_future(aside.run(call))
        await begun.wait()
        for _ in range(3):
            work.cancel()
            await asyncio.sleep(0)
        assert not work.done(), "the call runs on, so its caller must not be told that it is over"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert ended.is_set()


async def test_an_error_reaches_the_caller_either_way() -> None:
    def fail() -> None:
        raise KeyError("why")

    for limit in (0.0, 1.0):
        async with lane(limit) as either:
            with pytest.raises(KeyError, match="why"):
                await either.run(fail)
