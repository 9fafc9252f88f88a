"""What a process does that others have taken over: nothing that it decided before is written, and everybody is told."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from amends import memory
from amends.application.own_index import WholeIndex
from amends.application.timers import Timers
from amends.application.writer import Verdict, Writer
from amends.ports import Append, SetIndex, StoreError, StoreFenced, StoreUnavailable, StreamKey
from amends.testing.event_store_suite import A, B, C, an_append
from tests.application.engine_world import NOON, ManualClock, turns, until
from tests.application.stores import Waiting, Wrapped

FENCED = StoreFenced("others have taken over")
LATER = SetIndex(NOON + timedelta(hours=1), outstanding=False)


class Refusing(Wrapped):
    """Holds the first append and the first correction until `gate` is open, and then raises `error`."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(memory())
        self.error: StoreError | None = error
        self.gate = asyncio.Event()

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        await self._hold()
        return await super().append(batch)

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        await self._hold()
        await super().reindex(key, change)

    async def _hold(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            self.calls["held"] += 1
            await self.gate.wait()
            raise error


async def written(store: Refusing, *appends: Append) -> tuple[Writer, list[Verdict]]:
    """Return a writer that has one append on its way and the others waiting, and what they will be told."""
    await store.open()
    verdicts: list[Verdict] = []
    writer = Writer(store, on_stop=lambda error: verdicts.append(ValueError(error)))
    writer.on_fenced = writer.fence
    writer.start()
    for append in appends:
        writer.append(Waiting(append, verdicts.append))
        await turns(5)
    assert store.calls["held"] == 1
    return writer, verdicts


async def test_what_waits_behind_a_fenced_append_is_not_written() -> None:
    store = Refusing(FENCED)
    writer, verdicts = await written(store, an_append(A), an_append(B))
    store.gate.set()
    await until(lambda: len(verdicts) == 2)
    assert verdicts == [FENCED, FENCED]
    assert not store.calls["append"]
    writer.append(Waiting(an_append(C), verdicts.append))
    await until(lambda: len(verdicts) == 3)
    assert verdicts[2] is True, "what is decided after joining anew is written"
    await writer.stop()


async def test_what_is_on_its_way_when_others_take_over_is_not_tried_again() -> None:
    store = Refusing(StoreUnavailable("away"))
    writer, verdicts = await written(store, an_append(A), an_append(B))
    writer.fence(FENCED)
    assert verdicts == [FENCED], "what waits is told at once"
    store.gate.set()
    await until(lambda: len(verdicts) == 2)
    assert verdicts == [FENCED, FENCED]
    assert not store.calls["append"]
    await writer.stop()


@pytest.mark.parametrize("error", [FENCED, StoreUnavailable("away")], ids=["fenced", "away"])
async def test_a_correction_on_its_way_is_not_made_after_others_took_over(error: StoreError) -> None:
    store = Refusing(error)
    await store.open()
    await store.store.append([an_append(A, index=SetIndex(NOON, outstanding=True))])
    told: list[str] = []
    timers = Timers(WholeIndex(store), ManualClock(), due=lambda _row: False, on_stop=lambda _error: None)
    timers.correct(A, LATER, lambda: told.append("a"))
    looking = asyncio.create_task(timers.run_once())
    await until(lambda: store.calls["held"])
    timers.correct(B, LATER, lambda: told.append("b"))
    timers.abandon()
    assert told == ["b"]
    store.gate.set()
    with pytest.raises(type(error)):
        await looking
    assert told == ["b", "a"]
    await timers.run_once()
    assert not store.calls["reindex"], "it would be of an instance that somebody else goes on with"
