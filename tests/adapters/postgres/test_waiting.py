"""Many instances that only wait: a process opens them at once, its timers are in time, and a reply finds any of them.

A short form of `python -m bench.million`, which does it with a million and measures what a transition costs.
"""

import asyncio
from datetime import timedelta

from bench.million import filled, opened
from bench.waiting import EACH_WITH_A_COMMAND
from tests.adapters.postgres import shared_server, storage

INSTANCES, TIMERS, REPLIES = 5_000, 60, 80


def test_a_process_opens_many_that_wait_and_any_of_them_goes_on() -> None:
    address = storage.address()
    asyncio.run(filled(address, INSTANCES, "a store"))
    url = shared_server.server().local_address
    found = opened(url, address, INSTANCES, timers=TIMERS, replies=REPLIES, within=timedelta(seconds=3))
    assert found["timers"] == TIMERS
    assert found["sent_again"] >= INSTANCES // EACH_WITH_A_COMMAND
    assert (found["replies"], found["replies_handled"]) == (REPLIES, REPLIES)
    assert found["latest_timer_s"] < 5
    assert found["start_s"] < 30
    assert found["peak_memory"] < 2**30
