"""Eager work: its first step is taken at once, the others by who awaits it."""

import asyncio

import pytest

from amends.application.eager import Eager


class Work:
    """Says how far it is, and waits twice in between."""

    def __init__(self) -> None:
        self.told: list[str] = []
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[str] = loop.create_future()
        self.second: asyncio.Future[str] = loop.create_future()

    async def run(self) -> str:
        self.told.append("begun")
        one = await self.first
        self.told.append(one)
        return f"{one} {await self.second}"


async def test_its_first_step_is_taken_before_anybody_awaits_it() -> None:
    work = Work()
    begun = Eager(work.run())
    assert work.told == ["begun"]
    work.first.set_result("one")
    asyncio.get_running_loop().call_soon(work.second.set_result, "two")
    assert await begun == "one two"


async def test_it_goes_on_in_the_task_that_awaits_it() -> None:
    async def whose() -> asyncio.Task[None] | None:
        await asyncio.sleep(0)
        return asyncio.current_task()

    assert await Eager(whose()) is asyncio.current_task()


async def test_what_need_not_wait_is_over_at_once_and_its_result_is_kept() -> None:
    async def at_once() -> str:
        return "done"

    assert await Eager(at_once()) == "done"


async def test_an_error_of_the_first_step_is_raised_where_it_is_awaited() -> None:
    async def fails() -> None:
        raise ValueError("at once")

    begun = Eager(fails())
    with pytest.raises(ValueError, match="at once"):
        await begun


async def test_an_error_of_a_later_step_is_raised_where_it_is_awaited() -> None:
    work = Work()
    begun = Eager(work.run())
    work.first.set_exception(ValueError("later"))
    with pytest.raises(ValueError, match="later"):
        await begun


async def test_it_is_cancelled_with_who_awaits_it_and_may_still_clear_up() -> None:
    work, cleared = Work(), asyncio.Event()

    async def careful() -> None:
        try:
            await work.run()
        finally:
            await asyncio.sleep(0)
            cleared.set()

    async def waits() -> None:
        await Eager(careful())

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.first.cancelled()
    assert cleared.is_set()
