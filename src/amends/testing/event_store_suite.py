"""The behaviour that every event store has, as scenarios that a new store joins with one line.

A scenario is an async function that takes a `StoreFactory`, opens what it makes and raises `AssertionError` when the
store behaves otherwise::

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
    async def test_store(scenario, tmp_path):
        await scenario(lambda: MyStore(tmp_path / "store"))

Rules
- The factory gives a new object over the same storage each time; the storage is empty at the scenario's beginning.
- `SCENARIOS` hold for every store, `PERSISTENCE_SCENARIOS` for those whose content outlives the object.
- Bodies are JSON arrays with as many members as the transition has events, as the orchestrator writes them.
It does not: need pytest, reach behind the port, measure, or break disks; what only one technology has is tested there.
"""

# A scenario's name says what must hold.

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from amends.ports.event_store import (
    Append,
    DefinitionNote,
    EventStore,
    IndexChange,
    KeepIndex,
    OpenInstance,
    RemoveIndex,
    SetIndex,
    StreamKey,
    Transition,
)
from amends.ports.store_errors import StoreUnavailable

StoreFactory: TypeAlias = Callable[[], EventStore]
Scenario: TypeAlias = Callable[[StoreFactory], Awaitable[None]]

NOON: Final = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)
A: Final = StreamKey("default", "a")
B: Final = StreamKey("default", "b")
C: Final = StreamKey("default", "c")


def an_append(
    key: StreamKey,
    position: int = 1,
    *,
    events: int = 1,
    index: IndexChange | None = None,
    note: str = "",
) -> Append:
    """A transition of `events` events; `note` tells it from another at the same position."""
    body = json.dumps([{"type": "Noted", "note": note}] * events, ensure_ascii=False).encode()
    transition = Transition(key=key, position=position, events=events, recorded_at=NOON, body=body)
    return Append(transition, index or KeepIndex())


@asynccontextmanager
async def opened(make: StoreFactory) -> AsyncGenerator[EventStore, None]:
    """Open a store, and close it whatever happens."""
    store = make()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def expect(found: object, wanted: object, what: str) -> None:
    """Compare, with a text that says what it was about."""
    assert found == wanted, f"{what}: found {found!r}, wanted {wanted!r}"


def transitions_of(appends: Sequence[Append]) -> list[Transition]:
    """What should be stored of `appends`."""
    return [append.transition for append in appends]


def _row(key: StreamKey, wake_at: datetime | None = None, *, outstanding: bool = False) -> OpenInstance:
    return OpenInstance(key=key, wake_at=wake_at, outstanding=outstanding)


# --- streams ----------------------------------------------------------------------------------------------------


async def transitions_come_back_as_they_were(make: StoreFactory) -> None:
    async with opened(make) as store:
        stream = [an_append(A, 1, events=2), an_append(A, 3, events=3), an_append(A, 6)]
        for append in stream:
            expect(await store.append([append]), [True], "verdict")
        expect(await store.read(A), transitions_of(stream), "the stream")
        expect(await store.read(B), [], "an unknown stream")


async def a_batch_comes_back_in_order_of_positions(make: StoreFactory) -> None:
    async with opened(make) as store:
        batch = [an_append(B, 1, events=2), an_append(A, 2), an_append(B, 3), an_append(A, 1)]
        expect(await store.append(batch), [True] * 4, "verdicts")
        expect(await store.read(A), transitions_of([batch[3], batch[1]]), "the stream a")
        expect(await store.read(B), transitions_of([batch[0], batch[2]]), "the stream b")


async def positions_stay_gapless_when_writers_race(make: StoreFactory) -> None:
    async with opened(make) as store:

        async def write(writer: int) -> None:
            for number in range(10):
                verdict = [False]
                while not verdict[0]:
                    stream = await store.read(A)
                    position = stream[-1].position + stream[-1].events if stream else 1
                    own = an_append(A, position, events=1 + number % 3, note=f"{writer}.{number}")
                    # Everybody has read before anybody writes, so that most of them lose.
                    await asyncio.sleep(0)
                    verdict = list(await store.append([own]))

        await asyncio.gather(*(write(writer) for writer in range(8)))
        expected = 1
        for transition in await store.read(A):
            expect(transition.position, expected, "position")
            expected += transition.events
        expect(len(await store.read(A)), 80, "transitions")


async def read_starts_behind_a_position(make: StoreFactory) -> None:
    async with opened(make) as store:
        stream = [an_append(A, 1, events=2), an_append(A, 3, events=3), an_append(A, 6)]
        await store.append(stream)
        for after, wanted in ((0, stream), (1, stream[1:]), (2, stream[1:]), (3, stream[2:]), (6, [])):
            expect(await store.read(A, after=after), transitions_of(wanted), f"the stream after {after}")


async def read_stops_at_its_limit(make: StoreFactory) -> None:
    async with opened(make) as store:
        stream = [an_append(A, position) for position in range(1, 1_201)]
        await store.append(stream)
        for limit in (0, 1, 499, 500, 501, 1_200, 5_000):
            expect(await store.read(A, limit=limit), transitions_of(stream[:limit]), f"the first {limit}")
        expect(await store.read(A, after=600, limit=2), transitions_of(stream[600:602]), "two behind 600")


async def a_long_stream_is_read_whole(make: StoreFactory) -> None:
    async with opened(make) as store:
        stream = [an_append(A, position) for position in range(1, 2_001)]
        await store.append(stream)
        expect(await store.read(A), transitions_of(stream), "the stream")
        expect(await store.read(A, after=1_000), transitions_of(stream[1_000:]), "its second half")


async def large_bodies_and_any_writing_survive(make: StoreFactory) -> None:
    async with opened(make) as store:
        key = StreamKey("ναμέ 名前", "Ünïcode 🚚 'quoted\" \\ %_\n\t")
        small = an_append(key, 1, note="日本語 🚚 é e\u0301 \u0000 \u2028")
        large = [an_append(key, position, note="🚚x" * 210_000) for position in (2, 3, 4)]
        assert len(large[0].transition.body) >= 2**20
        expect(await store.append([small, *large]), [True] * 4, "verdicts")
        assert await store.read(key) == transitions_of([small, *large]), "the stream came back changed"


async def namespaces_are_apart(make: StoreFactory) -> None:
    async with opened(make) as store:
        here, there = StreamKey("one", "a"), StreamKey("two", "a")
        batch = [
            an_append(here, note="here", index=SetIndex(NOON, outstanding=True)),
            an_append(there, note="there", index=SetIndex(None, outstanding=False)),
        ]
        expect(await store.append(batch), [True, True], "verdicts")
        expect(await store.read(here), transitions_of(batch[:1]), "the stream of one")
        expect(await store.read(there), transitions_of(batch[1:]), "the stream of two")
        await store.append([an_append(here, 2, index=RemoveIndex())])
        expect(await store.open_instances(), [_row(there)], "index rows")


# --- the optimistic lock ----------------------------------------------------------------------------------------


async def the_second_batch_at_a_position_loses(make: StoreFactory) -> None:
    async with opened(make) as store:
        first = an_append(A, 1, note="first")
        expect(await store.append([first]), [True], "the first")
        expect(await store.append([an_append(A, 1, note="second")]), [False], "the second")
        expect(await store.read(A), transitions_of([first]), "the stream")
        expect(await store.append([an_append(A, 2)]), [True], "going on behind it")


async def the_second_in_a_batch_at_a_position_loses(make: StoreFactory) -> None:
    async with opened(make) as store:
        batch = [an_append(A, 1, note="first"), an_append(B), an_append(A, 1, note="second")]
        expect(await store.append(batch), [True, True, False], "verdicts")
        expect(await store.read(A), transitions_of(batch[:1]), "the stream")


async def neighbours_of_a_loser_are_not_harmed(make: StoreFactory) -> None:
    async with opened(make) as store:
        keys = [StreamKey("default", f"saga-{number:03}") for number in range(60)]
        taken = keys[7], keys[41]
        await store.append([an_append(key, note="taken") for key in taken])
        batch = [an_append(key, index=SetIndex(NOON, outstanding=True)) for key in reversed(keys)]
        expect(await store.append(batch), [key not in taken for key in reversed(keys)], "verdicts")
        for append in batch:
            stored = await store.read(append.transition.key)
            expect(len(stored), 1, "transitions")
            expect(stored == [append.transition], append.transition.key not in taken, "own transition stored")
        rows = [_row(key, NOON, outstanding=True) for key in keys if key not in taken]
        expect(await store.open_instances(), rows, "index rows")


async def what_follows_a_loser_in_its_batch_loses_with_it(make: StoreFactory) -> None:
    async with opened(make) as store:
        first = an_append(A, 1, note="first")
        await store.append([first])
        batch = [an_append(A, 3), an_append(A, 1, events=2), an_append(B, 1), an_append(B, 2)]
        expect(await store.append(batch), [False, False, True, True], "verdicts")
        expect(await store.read(A), transitions_of([first]), "the stream")


async def a_loser_leaves_the_index_alone(make: StoreFactory) -> None:
    async with opened(make) as store:
        await store.append([an_append(A, index=SetIndex(NOON, outstanding=True)), an_append(B)])
        losers = [
            an_append(A, index=RemoveIndex()),
            an_append(B, index=SetIndex(NOON, outstanding=True)),
        ]
        expect(await store.append(losers), [False, False], "verdicts")
        expect(await store.open_instances(), [_row(A, NOON, outstanding=True)], "index rows")


async def an_impossible_transition_fails_its_whole_batch(make: StoreFactory) -> None:
    async with opened(make) as store:
        for impossible in (an_append(C, 0), an_append(C, 1, events=0), an_append(C, -1)):
            try:
                await store.append([an_append(A, index=SetIndex(NOON, outstanding=True)), impossible])
            except ValueError:
                expect(await store.read(A), [], "the neighbour's stream")
                expect(await store.open_instances(), [], "index rows")
            else:
                raise AssertionError(f"the store took {impossible!r}")
        expect(await store.append([an_append(A)]), [True], "the next batch")


async def an_empty_batch_is_nothing(make: StoreFactory) -> None:
    async with opened(make) as store:
        expect(list(await store.append([])), [], "verdicts")


async def appends_at_the_same_time_are_all_stored(make: StoreFactory) -> None:
    async with opened(make) as store:
        keys = [StreamKey("default", str(number)) for number in range(40)]
        batches = [[an_append(key), an_append(key, 2)] for key in keys]
        verdicts = await asyncio.gather(*(store.append(batch) for batch in batches))
        expect([list(verdict) for verdict in verdicts], [[True, True]] * 40, "verdicts")
        for key, batch in zip(keys, batches, strict=True):
            expect(await store.read(key), transitions_of(batch), "a stream")


async def a_cancelled_append_is_whole_or_absent(make: StoreFactory) -> None:
    async with opened(make) as store:
        for number in range(20):
            key = StreamKey("default", f"cancelled-{number}")
            append = asyncio.ensure_future(store.append([an_append(key), an_append(key, 2)]))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            append.cancel()
            await asyncio.gather(append, return_exceptions=True)
            whole = len(await store.read(key))
            assert whole in {0, 2}, f"half of a cancelled batch is stored: {whole} of 2"
            expect(await store.append([an_append(StreamKey("next", str(number)))]), [True], "the next batch")


# --- the index of open instances --------------------------------------------------------------------------------


async def index_rows_are_set_kept_replaced_and_removed(make: StoreFactory) -> None:
    async with opened(make) as store:
        steps: Sequence[tuple[IndexChange, list[OpenInstance]]] = (
            (KeepIndex(), []),
            (RemoveIndex(), []),
            (SetIndex(NOON, outstanding=True), [_row(A, NOON, outstanding=True)]),
            (KeepIndex(), [_row(A, NOON, outstanding=True)]),
            (SetIndex(None, outstanding=False), [_row(A)]),
            (SetIndex(NOON, outstanding=False), [_row(A, NOON)]),
            (RemoveIndex(), []),
            (SetIndex(NOON, outstanding=True), [_row(A, NOON, outstanding=True)]),
        )
        for position, (change, rows) in enumerate(steps, start=1):
            await store.append([an_append(A, position, index=change)])
            expect(await store.open_instances(), rows, f"index rows after {change}")
            expect(await store.next_wake(), rows[0].wake_at if rows else None, f"next wake-up after {change}")


async def of_several_changes_in_a_batch_the_last_position_counts(make: StoreFactory) -> None:
    async with opened(make) as store:
        wake, later = SetIndex(NOON, outstanding=True), SetIndex(None, outstanding=False)
        batch = [
            an_append(A, 1, index=wake),
            an_append(A, 2, index=RemoveIndex()),
            an_append(B, 2, index=later),
            an_append(B, 1, index=wake),
            an_append(C, 1, index=RemoveIndex()),
            an_append(C, 2, index=wake),
            an_append(C, 3, index=KeepIndex()),
        ]
        expect(await store.append(batch), [True] * 7, "verdicts")
        expect(await store.open_instances(), [_row(B), _row(C, NOON, outstanding=True)], "index rows")


async def reindex_corrects_a_row_and_never_makes_one(make: StoreFactory) -> None:
    async with opened(make) as store:
        later = NOON + timedelta(hours=1)
        await store.append([an_append(key, index=SetIndex(NOON, outstanding=True)) for key in (A, B)])
        await store.append([an_append(B, 2, index=RemoveIndex()), an_append(C)])
        for key in (A, B, C, StreamKey("another", "a")):
            await store.reindex(key, SetIndex(later, outstanding=False))
        expect(await store.open_instances(), [_row(A, later)], "index rows")
        expect(await store.due(NOON), [], "due at noon")
        expect(await store.next_wake(), later, "next wake-up")
        await store.reindex(A, SetIndex(None, outstanding=True))
        expect(await store.open_instances(), [_row(A, outstanding=True)], "index rows")
        expect(await store.next_wake(), None, "next wake-up")
        expect(len(await store.read(A)), 1, "transitions")


async def due_instances_come_earliest_first(make: StoreFactory) -> None:
    async with opened(make) as store:
        instant = timedelta(microseconds=1)
        wakes = {"d": NOON, "a": NOON + instant, "c": NOON, "b": NOON - instant, "e": None}
        await store.append(
            [
                an_append(StreamKey("default", name), index=SetIndex(wake, outstanding=False))
                for name, wake in wakes.items()
            ]
        )

        async def due(now: datetime, limit: int = 10) -> str:
            return "".join(row.key.saga_id for row in await store.due(now, limit=limit))

        expect(await due(NOON - 2 * instant), "", "due before all")
        expect(await due(NOON - instant), "b", "due at the first")
        expect(await due(NOON), "bcd", "due at noon, equal ones in key order")
        expect(await due(NOON + timedelta(days=36_500)), "bcda", "due one day")
        expect(await due(NOON, limit=2), "bc", "the first two")
        expect(await due(NOON, limit=0), "", "none of them")
        expect(await store.next_wake(), NOON - instant, "next wake-up")
        expect((await store.due(NOON, limit=1))[0], _row(B, NOON - instant), "the row")


async def open_instances_are_paged_in_key_order(make: StoreFactory) -> None:
    async with opened(make) as store:
        names = ("", "a", "a b", "aa", "b", "B", "é", "z", "名", "🚚")
        keys = [StreamKey(namespace, name) for namespace in ("", "default", "ω") for name in names]
        await store.append([an_append(key, index=SetIndex(None, outstanding=True)) for key in keys])
        expect([row.key for row in await store.open_instances()], sorted(keys), "all of them")
        for limit in (1, 7, len(keys)):
            paged: list[StreamKey] = []
            while page := await store.open_instances(after=paged[-1] if paged else None, limit=limit):
                assert len(page) <= limit, "a page is longer than its limit"
                paged += [row.key for row in page]
                assert len(paged) <= len(keys), "the pages do not come to an end"
            expect(paged, sorted(keys), f"pages of {limit}")
        after = StreamKey("default", "az")
        wanted = [key for key in sorted(keys) if key > after]
        expect([row.key for row in await store.open_instances(after=after)], wanted, "behind an absent key")


# --- opening and closing ----------------------------------------------------------------------------------------


async def closing_twice_is_harmless(make: StoreFactory) -> None:
    store = make()
    await store.close()
    await store.open()
    await store.close()
    await store.close()
    await store.open()
    expect(await store.append([an_append(A)]), [True], "an append after opening again")
    await store.close()


async def a_store_that_is_not_open_says_so(make: StoreFactory) -> None:
    store = make()
    await store.open()
    await store.close()
    questions: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: store.append([an_append(A)]),
        lambda: store.append([]),
        lambda: store.reindex(A, SetIndex(None, outstanding=False)),
        lambda: store.read(A),
        store.log,
        store.log_end,
        store.settled_end,
        store.definitions,
        lambda: store.note_definitions([DefinitionNote("order", 1, "abc")]),
        store.open_instances,
        lambda: store.due(NOON),
        store.next_wake,
    )
    for question in questions:
        try:
            answer = await question()
        except StoreUnavailable:
            continue
        raise AssertionError(f"a closed store answered {answer!r}")


async def what_was_appended_is_there_after_reopening(make: StoreFactory) -> None:
    wake = SetIndex(NOON, outstanding=True)
    stream = [an_append(A, 1, events=2, index=wake), an_append(A, 3, note="🚚")]
    note = DefinitionNote("order", 1, "abc", b'{"saga": "order"}')
    async with opened(make) as store:
        await store.append(stream)
        await store.append([an_append(B, index=wake)])
        await store.append([an_append(B, 2, index=RemoveIndex())])
        await store.note_definitions([note])
        log = list(await store.log())
    async with opened(make) as store:
        expect(list(await store.log()), log, "the log")
        expect(await store.log_end(), log[-1].sequence, "the end of the log")
        expect([DefinitionNote(*each) for each in await store.definitions()], [note], "notes")
        expect(await store.read(A), transitions_of(stream), "the stream")
        expect(len(await store.read(B)), 2, "transitions of the other stream")
        expect(await store.open_instances(), [_row(A, NOON, outstanding=True)], "index rows")
        expect(await store.append([an_append(A, 1)]), [False], "a position taken before")
        expect(await store.append([an_append(A, 4)]), [True], "the next position")
        assert await store.log_end() > log[-1].sequence, "sequences go on after reopening"


SCENARIOS: Final[tuple[Scenario, ...]] = (
    transitions_come_back_as_they_were,
    a_batch_comes_back_in_order_of_positions,
    positions_stay_gapless_when_writers_race,
    read_starts_behind_a_position,
    read_stops_at_its_limit,
    a_long_stream_is_read_whole,
    large_bodies_and_any_writing_survive,
    namespaces_are_apart,
    the_second_batch_at_a_position_loses,
    the_second_in_a_batch_at_a_position_loses,
    neighbours_of_a_loser_are_not_harmed,
    what_follows_a_loser_in_its_batch_loses_with_it,
    a_loser_leaves_the_index_alone,
    an_impossible_transition_fails_its_whole_batch,
    an_empty_batch_is_nothing,
    appends_at_the_same_time_are_all_stored,
    a_cancelled_append_is_whole_or_absent,
    index_rows_are_set_kept_replaced_and_removed,
    of_several_changes_in_a_batch_the_last_position_counts,
    reindex_corrects_a_row_and_never_makes_one,
    due_instances_come_earliest_first,
    open_instances_are_paged_in_key_order,
    closing_twice_is_harmless,
    a_store_that_is_not_open_says_so,
)
PERSISTENCE_SCENARIOS: Final[tuple[Scenario, ...]] = (what_was_appended_is_there_after_reopening,)
