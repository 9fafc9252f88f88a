"""Parking: many records make few transactions, each is answered when it is durable, and poison floods no log."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from amends.adapters.memory.parked import MemoryParkedStore
from amends.application.parking import LARGEST, MOST, Parking
from amends.ports import StoreUnavailable
from amends.ports.parked import Kept, Parked
from amends.testing.parked_suite import a_parked, a_record
from tests.application.engine_world import turns


class Gate(MemoryParkedStore):
    """A store whose transactions wait until they are let through, or refused."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.fault: Exception | None = None
        self.committed = asyncio.Semaphore(0)

    async def put(self, batch: Sequence[Parked]) -> Sequence[Kept]:
        self.sizes.append(len(batch))
        await self.committed.acquire()
        if self.fault is not None:
            raise self.fault
        return await super().put(batch)


def putting(parking: Parking, *records: Parked) -> list[asyncio.Task[bool]]:
    return [asyncio.create_task(parking.put(each)) for each in records]


async def test_what_waits_while_a_commit_is_under_way_joins_the_next() -> None:
    store = Gate()
    parking = Parking(store)
    first = putting(parking, a_parked(0))
    await turns()
    others = putting(parking, *map(a_parked, range(1, 41)))
    await turns()
    assert store.sizes == [1], "one is in flight"
    store.committed.release()
    await turns()
    assert store.sizes == [1, 40]
    assert [each.done() for each in (first[0], *others)] == [True, *[False] * 40], (
        "answered when it is durable"
    )
    store.committed.release()
    assert await asyncio.gather(*first, *others) == [True] * 41


async def test_nobody_waits_for_others_to_come() -> None:
    store = Gate()
    store.committed.release()
    assert await Parking(store).put(a_parked())
    assert store.sizes == [1]


async def test_a_transaction_is_bounded_by_number_and_by_size() -> None:
    store, large = Gate(), replace(a_parked(-1), id="large", record=a_record(value=b"x" * LARGEST))
    store.committed = asyncio.Semaphore(9)
    parking = Parking(store)
    many = putting(parking, *map(a_parked, range(MOST + 1)), large, replace(large, id="another"))
    assert all(await asyncio.gather(*many))
    assert store.sizes == [MOST, 1, 1, 1]


async def test_one_that_cannot_be_kept_fails_alone() -> None:
    parking = Parking(MemoryParkedStore())
    bad = replace(a_parked(1), reason="\ud800")
    one, two, three = await asyncio.gather(
        *putting(parking, a_parked(0), bad, a_parked(2)), return_exceptions=True
    )
    assert (one, three) == (True, True)
    assert isinstance(two, ValueError)


async def test_a_fault_of_the_store_is_told_to_all_and_what_comes_next_is_tried() -> None:
    store = Gate()
    parking = Parking(store)
    store.fault = StoreUnavailable("gone")
    first = putting(parking, *map(a_parked, range(3)))
    await turns()
    later = putting(parking, a_parked(7))
    await turns()
    store.committed.release()
    told = await asyncio.gather(*first, return_exceptions=True)
    assert [type(each) for each in told] == [StoreUnavailable] * 3
    store.fault = None
    store.committed.release()
    assert await later[0]


async def test_one_that_is_cancelled_takes_no_other_along() -> None:
    store = Gate()
    parking = Parking(store)
    given_up, other = putting(parking, a_parked(0), a_parked(1))
    await turns()
    given_up.cancel()
    await turns()
    store.committed.release()
    assert await other
    assert given_up.cancelled()
    store.committed.release()
    assert await parking.put(a_parked(2))


async def test_closing_answers_all_who_wait() -> None:
    store = Gate()
    parking = Parking(store)
    first = putting(parking, a_parked(0))
    await turns()
    others = putting(parking, a_parked(1), a_parked(2))
    closing = asyncio.create_task(parking.close())
    await turns()
    assert not closing.done()
    store.committed.release()
    store.committed.release()
    await closing
    assert [each.result() for each in (*first, *others)] == [True] * 3


def test_poison_floods_no_log(caplog: pytest.LogCaptureFixture) -> None:
    parking = Parking(MemoryParkedStore())
    with caplog.at_level(logging.WARNING, "amends.arrivals"):
        for offset in range(1_000):
            parking.parked(a_parked(offset))
        parking.parked(replace(a_parked(), code="empty"))
        parking.look()
        parking.parked(a_parked(7))
        parking.look()
        parking.look()
        parking.parked(a_parked(8))
    assert [each.getMessage() for each in caplog.records] == [
        "parked amends.replies[1]@0: not-json, not UTF-8",
        "parked amends.replies[1]@0: empty, not UTF-8",
        "parked 999 more of amends.replies: not-json",
        "parked 1 more of amends.replies: not-json",
        "parked amends.replies[1]@8: not-json, not UTF-8",
    ]


def test_a_defect_is_told_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    parking = Parking(MemoryParkedStore())
    for offset in range(3):
        parking.parked(a_parked(offset), defect=KeyError("x"))
    (told,) = caplog.records
    assert told.levelno == logging.ERROR
    assert told.exc_info
