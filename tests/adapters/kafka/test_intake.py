"""The intake over a real broker: what is in hand is bounded and counted, one key goes in its order, and lag is told."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from amends.adapters.kafka import Address, KafkaIntake, behind, driver, make_topics
from amends.adapters.kafka.in_hand import MOST
from amends.adapters.kafka.intake import BATCH
from amends.ports import StoreError
from amends.ports.intake import Outcome, Record
from tests.adapters.kafka.shared_broker import broker, new_name
from tests.adapters.kafka.world import SESSION
from tests.application.engine_world import until

KEYS = 7


class Desk:
    """Takes records when a test lets it, the first way or the other."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.open = asyncio.Event()
        self.begun: list[Record] = []
        self.under_way: defaultdict[bytes | None, int] = defaultdict(int)
        self.order: defaultdict[bytes | None, list[int]] = defaultdict(list)
        self.taken = 0
        self._failing = itertools.cycle((False, False, True))
        self.waiting: list[Callable[[], None]] = []

    async def take(self, record: Record) -> Outcome:
        self._begin(record)
        try:
            await self.open.wait()
            if next(self._failing):
                raise StoreError("it passes")
            self._end(record)
        finally:
            self.under_way[record.key] -= 1
        return "recorded"

    def soon(self, record: Record, told: Callable[[Outcome | None], None]) -> bool:
        if not self.quick:
            return False
        self._begin(record)

        def end() -> None:
            self.under_way[record.key] -= 1
            # One in three is not as simple as it seemed.
            if next(self._failing):
                told(None)
            else:
                self._end(record)
                told("recorded")

        if self.open.is_set():
            end()
        else:
            self.waiting.append(end)
        return True

    def let_go(self) -> None:
        self.open.set()
        while self.waiting:
            self.waiting.pop(0)()

    def _begin(self, record: Record) -> None:
        self.begun.append(record)
        assert self.under_way[record.key] == 0, "records of one key follow one another"
        self.under_way[record.key] += 1

    def _end(self, record: Record) -> None:
        self.taken += 1
        self.order[record.key].append(record.offset)


@asynccontextmanager
async def reading(desk: Desk, *, records: int) -> AsyncGenerator[tuple[KafkaIntake, str, Address]]:
    """An intake that reads a topic of one partition with so many records, with a few keys."""
    name, address = new_name(), Address((broker().address,))
    await make_topics(address, [name], partitions=1, replicas=1)
    producer = driver.producer(address, longest=1 << 20, within=30)
    await producer.start()
    keys = itertools.cycle([b"k%d" % number for number in range(KEYS)])
    written = [await producer.send(name, b"{}", next(keys)) for _ in range(records)]
    await asyncio.gather(*written)
    await producer.stop()
    intake = KafkaIntake(address, [name], group=name, session=SESSION)
    intake.offer(name, desk.soon)
    await intake.start(desk.take)
    try:
        yield intake, name, address
    finally:
        desk.let_go()
        await intake.stop()


async def test_lag_is_what_is_at_the_broker_and_what_is_in_hand() -> None:
    desk = Desk(quick=False)
    async with reading(desk, records=40) as (intake, name, address):
        await until(lambda: intake.in_hand == 40)
        looked = intake.behind
        await until(lambda: intake.behind is not looked)
        assert intake.behind == {(name, 0): 40}
        desk.let_go()
        await until(lambda: intake.behind == {(name, 0): 0})
        assert desk.taken == 40
    assert await behind(address, name, [name]) == 0, "offsets are committed at the latest when it stops"


async def test_a_partition_whose_records_wait_is_read_on_no_further_than_a_limit() -> None:
    desk = Desk(quick=True)
    more = MOST + 4 * BATCH
    async with reading(desk, records=more) as (intake, name, _address):
        await until(lambda: intake.in_hand >= MOST)
        looked = intake.behind
        await until(lambda: intake.behind is not looked)
        assert intake.behind == {(name, 0): more}
        assert MOST <= intake.in_hand < MOST + BATCH
        desk.let_go()
        await until(lambda: desk.taken == more)
        await until(lambda: intake.behind == {(name, 0): 0})


@pytest.mark.parametrize("quick", [True, False])
async def test_records_of_one_key_are_taken_in_their_order_whichever_way(*, quick: bool) -> None:
    desk = Desk(quick=quick)
    async with reading(desk, records=600):
        desk.let_go()
        await until(lambda: desk.taken == 600)
    assert len(desk.order) == KEYS
    assert all(offsets == sorted(offsets) for offsets in desk.order.values())
    assert len(desk.begun) > 600, "some were handed over again"


async def test_that_records_of_a_partition_wait_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    desk, refused = Desk(quick=False), set[bytes | None]()

    async def take(record: Record) -> Outcome:
        if not desk.open.is_set():
            refused.add(record.key)
            raise StoreError("it is away")
        desk.taken += 1
        return "recorded"

    desk.take = take  # type: ignore[method-assign]
    async with reading(desk, records=40) as (_intake, name, _address):
        await until(lambda: len(refused) == KEYS)
        desk.let_go()
        await until(lambda: desk.taken == 40)
        await until(lambda: len(told_of(name, caplog)) == 2)
    began, ended = told_of(name, caplog)
    assert began.startswith(f"taking records of {name}[0] waits: at ")
    assert began.endswith("StoreError: it is away")
    assert ended == f"taking records of {name}[0] goes on"


def told_of(topic: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    told = (each.getMessage() for each in caplog.records if each.name == "amends.driver.trouble")
    return [each for each in told if f"{topic}[0]" in each]


async def test_an_offset_is_not_committed_before_what_is_before_it_is_taken() -> None:
    desk = Desk(quick=True)
    async with reading(desk, records=30) as (intake, name, address):
        await until(lambda: len(desk.waiting) == KEYS)
        # All keys but one go on; the first record of all is still in hand.
        first, *others = desk.waiting
        desk.waiting[:] = [first]
        for end in others:
            end()
        assert 0 < intake.in_hand < 30
        # It waits a while for what is in hand, and commits what it may.
        await intake.stop()
        assert await behind(address, name, [name]) == 30
