"""The writer's batches: whole where a commit holds the loop, halves where it happens elsewhere."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from amends.adapters.memory import MemoryEventStore
from amends.application.writer import SMALLEST_HALF, Verdict, Writer
from amends.ports import Append, KeepIndex, StoreFenced, StreamKey, Transition
from tests.application.engine_world import turns, until
from tests.application.stores import Waiting, Wrapped


class Gate(Wrapped):
    """A store whose commits wait until they are let through; says what happens in which order."""

    def __init__(self, *, elsewhere: bool) -> None:
        super().__init__(MemoryEventStore())
        self.elsewhere = elsewhere
        self.told: list[str] = []
        self.sent: asyncio.Queue[int] = asyncio.Queue()
        self.committed = asyncio.Semaphore(0)

    @property
    def commits_elsewhere(self) -> bool:
        return self.elsewhere

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        self.told.append(f"sent {len(batch)}")
        self.sent.put_nowait(len(batch))
        await self.committed.acquire()
        return await super().append(batch)


def transition(saga_id: str) -> Append:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    stored = Transition(
        key=StreamKey("default", saga_id), position=1, events=1, recorded_at=now, body=b"[{}]"
    )
    return Append(stored, KeepIndex())


async def written(store: Gate, count: int) -> Writer:
    await store.open()
    failures: list[Exception] = []
    writer = Writer(store, on_stop=failures.append)

    def done(verdict: Verdict) -> None:
        assert verdict is True
        store.told.append("told")

    for number in range(count):
        writer.append(Waiting(transition(f"saga-{number}"), done))
    writer.start()
    return writer


async def test_the_next_half_is_sent_before_the_callers_of_the_first_are_told() -> None:
    store = Gate(elsewhere=True)
    writer = await written(store, 40)
    assert await store.sent.get() == 20
    store.committed.release()
    assert await store.sent.get() == 20
    store.committed.release()
    await writer.stop()
    assert store.told == ["sent 20", "sent 20", *["told"] * 40]


async def test_where_a_commit_holds_the_loop_a_batch_is_all_that_is_pending() -> None:
    store = Gate(elsewhere=False)
    writer = await written(store, 40)
    assert await store.sent.get() == 40
    store.committed.release()
    await writer.stop()
    assert store.told == ["sent 40", *["told"] * 40]


async def test_where_answers_take_their_time_a_batch_is_whole_and_still_goes_before_others_are_told() -> None:
    store = Gate(elsewhere=True)
    await store.open()
    writer = Writer(store, on_stop=lambda error: store.told.append(str(error)))
    writer.in_halves = False
    for number in range(40):
        writer.append(Waiting(transition(f"saga-{number}"), lambda _verdict: store.told.append("told")))
    writer.start()
    assert await store.sent.get() == 40
    writer.append(Waiting(transition("late"), lambda _verdict: store.told.append("told")))
    store.committed.release()
    assert await store.sent.get() == 1
    store.committed.release()
    await writer.stop()
    assert store.told == ["sent 40", "sent 1", *["told"] * 41]


@pytest.mark.parametrize("count", [1, SMALLEST_HALF])
async def test_few_are_not_split(count: int) -> None:
    store = Gate(elsewhere=True)
    writer = await written(store, count)
    assert await store.sent.get() == count
    store.committed.release()
    await writer.stop()


async def test_what_is_committed_is_told_although_the_next_batch_never_is() -> None:
    """The store goes away for good behind the first half: its callers must not wait for the second."""
    store = Gate(elsewhere=True)
    writer = await written(store, 40)
    await store.sent.get()
    store.committed.release()
    await store.sent.get()
    for _ in range(3):
        await asyncio.sleep(0)
    assert store.told.count("told") == 20
    store.committed.release()
    await writer.stop()


async def test_what_follows_at_once_is_written_in_the_next_turn_of_the_loop() -> None:
    """One after the other, as one caller's transitions come: each costs one turn, not one more to wake the writer."""
    store, told = MemoryEventStore(), list[Verdict]()
    await store.open()
    failures: list[Exception] = []
    writer, loop = Writer(store, on_stop=failures.append), asyncio.get_running_loop()

    def done(verdict: Verdict) -> None:
        told.append(verdict)
        if len(told) < 30:
            loop.call_soon(writer.append, Waiting(transition(f"o-{len(told)}"), done))

    writer.start()
    writer.append(Waiting(transition("o-0"), done))
    await turns(3)
    before = len(told)
    await turns(20)
    assert len(told) - before == 20
    assert writer.commits == len(told)
    await until(lambda: len(told) == 30)
    await writer.stop()
    assert not failures


async def test_while_others_are_at_work_what_comes_in_the_same_turn_is_written_together() -> None:
    store, told = MemoryEventStore(), list[Verdict]()
    await store.open()
    failures: list[Exception] = []
    writer, loop = Writer(store, on_stop=failures.append, live=range(3)), asyncio.get_running_loop()

    def late() -> None:
        writer.append(Waiting(transition("late"), told.append))

    def done(_verdict: Verdict) -> None:
        # As what came over a socket during the commit: the loop looks for it when all that was there already has run.
        loop.call_soon(writer.append, Waiting(transition("early"), told.append))
        loop.call_soon(loop.call_soon, late)

    writer.start()
    writer.append(Waiting(transition("first"), done))
    await until(lambda: len(told) == 2)
    assert writer.commits == 2
    await writer.stop()
    assert not failures


async def test_a_writer_that_is_fenced_as_it_wakes_goes_on() -> None:
    store, verdicts = MemoryEventStore(), list[Verdict]()
    await store.open()
    failures: list[Exception] = []
    writer = Writer(store, on_stop=failures.append)
    writer.start()
    await turns()
    writer.append(Waiting(transition("o-1"), verdicts.append))
    # It is awake, and has not looked yet: what it woke for is called off.
    writer.fence(StoreFenced("others have taken over"))
    await turns()
    writer.append(Waiting(transition("o-2"), verdicts.append))
    await until(lambda: len(verdicts) == 2)
    assert isinstance(verdicts[0], StoreFenced)
    assert verdicts[1] is True
    await writer.stop()
    assert not failures


class Refusing(Gate):
    """Its second batch is refused before anything is waited for."""

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        if "sent 8" in self.told:
            raise StoreFenced("others have taken over")
        return await super().append(batch)


async def test_what_is_committed_is_told_although_the_next_batch_is_refused_at_once() -> None:
    store = Refusing(elsewhere=True)
    await written(store, 2 * SMALLEST_HALF)
    assert await store.sent.get() == SMALLEST_HALF
    store.committed.release()
    await until(lambda: store.told.count("told") == SMALLEST_HALF)


async def test_the_next_batch_is_on_its_way_in_the_turn_in_which_the_last_is_known_to_be_durable() -> None:
    store = Gate(elsewhere=True)
    writer = await written(store, 2 * SMALLEST_HALF)
    await store.sent.get()
    before = asyncio.all_tasks()
    store.committed.release()
    assert await store.sent.get() == SMALLEST_HALF
    assert store.told[-1] == "told", "who was stored is told in the same turn"
    assert asyncio.all_tasks() == before, "no task is made for it"
    store.committed.release()
    await writer.stop()


class Known(list[Append]):
    """A batch that was prepared."""


class Preparing(Gate):
    """A store that prepares batches, and says what it was given."""

    def __init__(self) -> None:
        super().__init__(elsewhere=True)

    def prepared(self, batch: Sequence[Append]) -> Sequence[Append]:
        self.told.append(f"prepared {len(batch)}")
        return Known(batch)

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        if isinstance(batch, Known):
            self.told.append("as prepared")
        return await super().append(batch)


async def writing(store: Gate, count: int, *, in_halves: bool = True) -> Writer:
    """Have so many on their way."""
    await store.open()
    writer = Writer(store, on_stop=lambda error: store.told.append(str(error)))
    writer.in_halves = in_halves
    writer.start()
    more(writer, count)
    while await store.sent.get() != count:
        pass
    store.told.clear()
    return writer


def more(writer: Writer, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        writer.append(Waiting(transition(f"saga-{first}-{number}"), lambda _verdict: None))


async def finished(writer: Writer, store: Gate) -> None:
    for _ in range(10):
        store.committed.release()
    await writer.stop()


async def test_as_soon_as_as_many_wait_as_are_on_their_way_the_next_batch_is_prepared() -> None:
    store = Preparing()
    writer = await writing(store, 8)
    more(writer, 7)
    assert store.told == []
    more(writer, 1)
    assert store.told == ["prepared 8"]
    store.committed.release()
    assert await store.sent.get() == 8
    assert store.told == ["prepared 8", "as prepared", "sent 8"]
    await finished(writer, store)


async def test_one_that_comes_late_goes_with_the_batch_after_the_one_that_is_prepared() -> None:
    store = Preparing()
    writer = await writing(store, 8)
    more(writer, 9)
    store.committed.release()
    assert await store.sent.get() == 8
    assert store.told == ["prepared 8", "as prepared", "sent 8"]
    store.committed.release()
    assert await store.sent.get() == 1
    await finished(writer, store)


async def test_where_many_more_wait_by_then_what_is_prepared_is_let_go() -> None:
    store = Preparing()
    writer = await writing(store, 8)
    more(writer, 40)
    store.committed.release()
    assert await store.sent.get() == 24
    assert store.told == ["prepared 8", "sent 24"]
    await finished(writer, store)


async def test_what_is_prepared_goes_with_a_fence() -> None:
    store = Preparing()
    writer = await writing(store, 8)
    more(writer, 8)
    writer.fence(StoreFenced("others have taken over"))
    more(writer, 2)
    store.committed.release()
    assert await store.sent.get() == 2
    assert store.told == ["prepared 8", "sent 2"]
    await finished(writer, store)


async def test_few_are_not_prepared() -> None:
    store = Preparing()
    writer = await writing(store, SMALLEST_HALF - 1)
    more(writer, SMALLEST_HALF - 1)
    assert store.told == []
    await finished(writer, store)


async def test_a_whole_batch_is_not_prepared() -> None:
    store = Preparing()
    writer = await writing(store, 8, in_halves=False)
    more(writer, 8)
    store.committed.release()
    assert await store.sent.get() == 8
    assert store.told == ["sent 8"]
    await finished(writer, store)
