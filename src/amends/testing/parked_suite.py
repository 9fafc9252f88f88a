"""The behaviour that every store of parked records has, as scenarios that a new one joins with one line.

Rules: the factory gives a new object over the same storage each time; the storage is empty at the scenario's beginning.
It does not: need pytest, or reach behind the port.
"""

# A scenario's name says what must hold.

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from msgspec.structs import replace

from amends.ports.intake import Record
from amends.ports.parked import Parked, ParkedState, ParkedStore, parked_id
from amends.ports.store_errors import StoreUnavailable

ParkedStoreFactory: TypeAlias = Callable[[], ParkedStore]
Scenario: TypeAlias = Callable[[ParkedStoreFactory], Awaitable[None]]

NOON: Final = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)


def a_record(offset: int = 0, *, topic: str = "amends.replies", value: bytes | None = b"\xff\x00") -> Record:
    """A record that no one can read."""
    headers = (("ce_id", b"o-1/pay/do/1"), ("odd", b"\xff\x00\x01"))
    return Record(
        topic=topic,
        partition=1,
        offset=offset,
        timestamp_ms=4_102_444_800_000,
        key=b"o-1",
        value=value,
        headers=headers,
    )


def a_parked(offset: int = 0, *, state: ParkedState = "parked", topic: str = "amends.replies") -> Parked:
    """A record, parked at noon."""
    record = a_record(offset, topic=topic)
    return Parked(
        id=parked_id(record),
        record=record,
        namespace="default",
        saga_id=f"o-{offset}",
        code="no-saga" if state == "waiting" else "not-json",
        reason="not UTF-8",
        state=state,
        parked_at=NOON,
        until=NOON + timedelta(hours=1) if state == "waiting" else None,
    )


def _holds(fact: bool, what: str) -> None:  # noqa: FBT001  it is the fact that is looked at
    if not fact:
        raise AssertionError(what)


@asynccontextmanager
async def opened(make: ParkedStoreFactory) -> AsyncGenerator[ParkedStore]:
    """An open store."""
    store = make()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def what_is_put_comes_back_whole(make: ParkedStoreFactory) -> None:
    parked, tombstone = a_parked(7, state="waiting"), replace(a_parked(8), record=a_record(8, value=None))
    async with opened(make) as store:
        _holds(await store.put([parked]) == [True], "it is new")
        _holds(await store.put([tombstone]) == [True], "this one, too")
        found = await store.get(parked.id)
        _holds(
            found is not None and replace(found, number=0) == parked, "bytes, headers and instants are kept"
        )
        found = await store.get(tombstone.id)
        _holds(found is not None and found.record.value is None, "no value is not an empty one")
        _holds(await store.get("0" * 32) is None, "what was never put is not there")


async def a_record_is_parked_once(make: ParkedStoreFactory) -> None:
    parked = a_parked()
    async with opened(make) as store:
        await store.put([parked])
        await store.settle(parked.id, "discarded", by="kim", note="noise", at=NOON)
        _holds(await store.put([parked]) == [False], "it was there")
        found = await store.get(parked.id)
        _holds(found is not None and found.state == "discarded", "and stays what it became")
        _holds(len(await store.find()) == 1, "it is there once")


async def a_batch_is_told_one_by_one(make: ParkedStoreFactory) -> None:
    one, two, three = (a_parked(offset) for offset in (1, 2, 3))
    async with opened(make) as store:
        _holds(await store.put([]) == [], "nothing is no fault")
        _holds(await store.put([one, two, one]) == [True, True, False], "one that comes twice is there once")
        _holds(await store.put([two, three]) == [False, True], "one that was there does not keep others away")
        found = await store.find()
        _holds([each.id for each in found] == [one.id, two.id, three.id], "in the order of parking")


async def what_cannot_be_kept_fails_alone(make: ParkedStoreFactory) -> None:
    good = [a_parked(offset) for offset in range(5)]
    bad = replace(a_parked(9), reason="no character: \ud800")
    async with opened(make) as store:
        first, *others = await store.put([*good[:2], bad, *good[2:]])
        _holds(isinstance(others.pop(1), ValueError), "its place in the answer says why")
        _holds([first, *others] == [True] * 5, "the others are kept")
        _holds([each.id for each in await store.find()] == [each.id for each in good], "each of them once")
        _holds(isinstance((await store.put([bad]))[0], ValueError), "by itself, too")
        _holds(await store.put([a_parked(6)]) == [True], "it leaves nothing behind")


async def a_closed_store_tells_all_who_wait(make: ParkedStoreFactory) -> None:
    async with opened(make) as store:
        putting = [asyncio.create_task(store.put([a_parked(offset)])) for offset in range(20)]
        await asyncio.sleep(0)
        await store.close()
        told = await asyncio.gather(*putting, return_exceptions=True)
        odd = [each for each in told if each != [True] and not isinstance(each, StoreUnavailable)]
        _holds(not odd, f"each hears that it is kept, or that the store is away: {odd}")
    async with opened(make) as store:
        kept = len(await store.find())
        _holds(kept == sum(each == [True] for each in told), "and is kept when it hears that")


async def settling_counts_once(make: ParkedStoreFactory) -> None:
    parked = a_parked()
    async with opened(make) as store:
        await store.put([parked])
        later = NOON + timedelta(minutes=5)
        _holds(await store.settle(parked.id, "parked", by="", note="again", at=later, code="unknown"), "open")
        _holds(await store.settle(parked.id, "replayed", by="kim", note="fixed", at=later), "still open")
        _holds(not await store.settle(parked.id, "discarded", by="lee", note="", at=later), "not any more")
        _holds(not await store.settle("0" * 32, "discarded", by="lee", note="", at=later), "nor unknown ones")
        found = await store.get(parked.id)
        _holds(found is not None, "it is kept")
        if found is not None:
            told = found.state, found.by, found.note, found.settled_at, found.code
            _holds(told == ("replayed", "kim", "fixed", later, "unknown"), "with who, why and when")


async def a_list_is_narrowed_and_paged(make: ParkedStoreFactory) -> None:
    async with opened(make) as store:
        for offset in (0, 1, 2, 4):
            await store.put([a_parked(offset)])
        await store.put([a_parked(3, state="waiting")])
        await store.put([a_parked(9, topic="payment.failed")])
        everything = await store.find()
        _holds([each.record.offset for each in everything] == [0, 1, 2, 4, 3, 9], "in the order of parking")
        first = await store.find(limit=2)
        rest = await store.find(after=first[-1].number)
        _holds([*first, *rest] == [*everything], "pages go on behind a number")
        waiting = await store.find(states=("waiting", "replayed"))
        _holds([each.record.offset for each in waiting] == [3], "by state")
        _holds(len(await store.find(topic="payment.failed")) == 1, "by topic")
        _holds(len(await store.find(saga_id="o-2", namespace="default", code="not-json")) == 1, "by saga")
        _holds(await store.find(namespace="other") == [], "by namespace")
        _holds(dict(await store.counts()) == {"parked": 5, "waiting": 1}, "and counted by state")


async def it_outlives_its_object(make: ParkedStoreFactory) -> None:
    parked = a_parked()
    async with opened(make) as store:
        await store.put([parked])
        await store.close()
    async with opened(make) as store:
        found = await store.get(parked.id)
        _holds(found is not None and replace(found, number=0) == parked, "it is durable")


SCENARIOS: Final[tuple[Scenario, ...]] = (
    what_is_put_comes_back_whole,
    a_record_is_parked_once,
    a_batch_is_told_one_by_one,
    what_cannot_be_kept_fails_alone,
    a_closed_store_tells_all_who_wait,
    settling_counts_once,
    a_list_is_narrowed_and_paged,
    it_outlives_its_object,
)
