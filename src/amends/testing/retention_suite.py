"""The behaviour of stores that give up finished streams and take them back, as scenarios beside `event_store_suite`.

Rules: as there; `RETENTION_SCENARIOS` hold for every store that can do it, `in_lock_step` holds one against another
with random operations until each has succeeded and failed.
It does not: need pytest, or reach behind the ports.
"""

# A scenario's name says what must hold.

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeVar

from msgspec.structs import replace

from amends.ports.event_store import Append, IndexChange, Logged, RemoveIndex, SetIndex, StreamKey
from amends.ports.retention import FinishedPage, OpensAlone, RetainedStore, StoredStream, StreamEnd
from amends.ports.store_errors import StoreUnavailable
from amends.testing.event_store_suite import NOON, A, B, C, an_append, expect

T = TypeVar("T")
RetainedFactory: TypeAlias = Callable[[], RetainedStore]
RetentionScenario: TypeAlias = Callable[[RetainedFactory], Awaitable[None]]

HOUR: Final = timedelta(hours=1)
LATER: Final = NOON + HOUR
OPEN: Final = SetIndex(NOON, outstanding=True)
NEWEST: Final = StreamKey("default", "newest")
OPERATIONS: Final = ("begin", "go on", "end", "finished", "streams", "delete", "restore", "restore elsewhere")
MOST_OPERATIONS: Final = 3_000


@asynccontextmanager
async def retained(make: RetainedFactory) -> AsyncGenerator[RetainedStore, None]:
    """Open a store, to itself, and close it whatever happens."""
    store = make()
    await (store.open_alone() if isinstance(store, OpensAlone) else store.open())
    try:
        yield store
    finally:
        await store.close()


def at(append: Append, hours: int) -> Append:
    """Return it as recorded so many hours after noon."""
    return Append(replace(append.transition, recorded_at=NOON + hours * HOUR), append.index)


async def ended(store: RetainedStore, *keys: StreamKey, hours: int = 0) -> list[StreamEnd]:
    """Begin and end streams of two transitions; return where they end."""
    for key in keys:
        await store.append([at(an_append(key, index=OPEN), hours)])
        await store.append([at(an_append(key, 2, events=2, index=RemoveIndex(), note="🚚"), hours)])
    return [stream.end for stream in await store.streams(keys)]


async def finished_streams_are_found_where_they_end(make: RetainedFactory) -> None:
    async with retained(make) as store:
        expect(await store.finished(before=LATER), FinishedPage([], None), "an empty log")
        await store.append([an_append(C, index=OPEN)])
        ends = await ended(store, A, B)
        await ended(store, NEWEST, hours=2)
        expect([end.key for end in (await store.finished(before=LATER)).ends], [A, B], "finished before one")
        page = await store.finished(before=NOON + 3 * HOUR)
        expect([end.key for end in page.ends], [A, B, NEWEST], "finished before three")
        expect(list(page.ends[:2]), ends, "their ends")
        expect((await store.finished(before=NOON)).ends, [], "finished before noon: not what ended at noon")
        behind = await store.finished(before=LATER, after=ends[0].sequence)
        expect([end.key for end in behind.ends], [B], "behind the first")
        found: list[StreamEnd] = []
        after: int | None = 0
        while after is not None:
            page = await store.finished(before=LATER, after=after, limit=2)
            found += page.ends
            after = page.next
        expect(found, ends, "in pages of two")


async def a_reopened_stream_has_not_finished(make: RetainedFactory) -> None:
    async with retained(make) as store:
        (end,) = await ended(store, A)
        await store.append([an_append(A, 4, index=OPEN)])
        await ended(store, NEWEST, hours=2)
        expect((await store.finished(before=LATER)).ends, [], "finished streams")
        expect(list(await store.delete_streams([end])), [False], "verdict")
        expect(len(await store.read(A)), 3, "transitions")


async def streams_come_whole_and_with_their_places(make: RetainedFactory) -> None:
    async with retained(make) as store:
        await ended(store, A, B)
        log = await store.log()
        found = await store.streams([B, StreamKey("default", "nobody"), A])
        expect([stream.key for stream in found], [B, A], "streams, in the order asked for")
        for stream in found:
            wanted = [logged for logged in log if logged.transition.key == stream.key]
            expect(list(stream.transitions), wanted, "a stream")
            expect(stream.end, StreamEnd(stream.key, 3, wanted[-1].sequence), "its end")


async def deleted_streams_are_gone_and_the_rest_stays(make: RetainedFactory) -> None:
    async with retained(make) as store:
        first, second = await ended(store, A, B)
        await store.append([an_append(C, index=OPEN)])
        before = list(await store.log())
        expect(list(await store.delete_streams([])), [], "nothing")
        wrong = StreamEnd(B, second.position - 1, second.sequence)
        ends = [wrong, first, StreamEnd(StreamKey("default", "nobody"), 1, 1), StreamEnd(C, 1, 5)]
        expect(list(await store.delete_streams(ends)), [False, True, False, False], "verdicts")
        expect(await store.read(A), [], "the stream that is gone")
        rest = [logged for logged in before if logged.transition.key != A]
        expect(list(await store.log()), rest, "the log")
        expect(await store.log_end(), before[-1].sequence, "its end")
        expect(list(await store.log(after=before[0].sequence, limit=1)), rest[:1], "the log behind a gap")
        expect([row.key for row in await store.open_instances()], [C], "index rows")
        expect(list(await store.delete_streams([first])), [False], "once more")


async def the_newest_transition_stays(make: RetainedFactory) -> None:
    async with retained(make) as store:
        first, newest = await ended(store, A, B)
        expect(list(await store.delete_streams([newest, first])), [False, True], "verdicts")
        end = await store.log_end()
        await store.append([an_append(C)])
        assert await store.log_end() > end, "a place in the log was given out twice"
        expect(list(await store.delete_streams([newest])), [True], "when it is the newest no more")


async def what_follows_a_stream_that_is_gone_loses(make: RetainedFactory) -> None:
    async with retained(make) as store:
        (end,) = await ended(store, A)
        await ended(store, NEWEST)
        expect(list(await store.delete_streams([end])), [True], "verdict")
        late = [an_append(A, 4, index=OPEN), an_append(A, 5), an_append(B), an_append(B, 2, index=OPEN)]
        expect(list(await store.append(late)), [False, False, True, True], "verdicts")
        expect(list(await store.append(late[:1])), [False], "alone")
        expect(await store.read(A), [], "the stream that is gone")
        expect([row.key for row in await store.open_instances()], [B], "index rows")
        expect(list(await store.append([an_append(A, note="anew")])), [True], "a new one under its name")


async def restored_streams_are_where_they_were(make: RetainedFactory) -> None:
    async with retained(make) as store:
        ends = await ended(store, A, B)
        await ended(store, NEWEST)
        before = list(await store.log())
        archived = await store.streams([A, B])
        expect(list(await store.delete_streams(ends)), [True, True], "verdicts")
        expect(list(await store.restore_streams(archived)), [True, True], "verdicts of restoring")
        expect(list(await store.log()), before, "the log")
        expect(list(await store.streams([A, B])), list(archived), "the streams")
        expect(list(await store.open_instances()), [], "index rows")
        expect(list(await store.restore_streams(archived)), [False, False], "once more")
        expect(list(await store.append([an_append(A, 4, index=OPEN)])), [True], "going on behind it")
        assert await store.log_end() > before[-1].sequence, "the log goes on behind its end"
    async with retained(make) as store:
        expect(len(await store.read(A)), 3, "transitions after reopening")


async def a_stream_that_began_anew_is_left_alone(make: RetainedFactory) -> None:
    async with retained(make) as store:
        ends = await ended(store, A, B)
        await ended(store, NEWEST)
        archived = await store.streams([A, B])
        await store.delete_streams(ends)
        anew = an_append(A, note="anew")
        await store.append([anew])
        expect(list(await store.restore_streams(archived)), [False, True], "verdicts")
        expect(list(await store.read(A)), [anew.transition], "the new one")


async def streams_of_another_log_are_refused(make: RetainedFactory) -> None:
    async with retained(make) as store:
        await ended(store, A, NEWEST)
        end = await store.log_end()
        (stored,) = await store.streams([A])
        foreign = [_under(C, stored, 1), _under(C, stored, end + 1)]
        before = list(await store.log())
        for stream in foreign:
            try:
                await store.restore_streams([stream])
            except ValueError:
                expect(list(await store.log()), before, "the log")
                expect(await store.read(C), [], "the stream")
            else:
                raise AssertionError(f"a stream of another log was taken: {stream}")


async def one_that_is_closed_says_so(make: RetainedFactory) -> None:
    store = make()
    await store.open()
    await store.close()
    questions: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: store.finished(before=NOON),
        lambda: store.streams([A]),
        lambda: store.delete_streams([StreamEnd(A, 1, 1)]),
        lambda: store.restore_streams([]),
    )
    for question in questions:
        try:
            answer = await question()
        except StoreUnavailable:
            continue
        raise AssertionError(f"a closed store answered {answer!r}")


RETENTION_SCENARIOS: Final[tuple[RetentionScenario, ...]] = (
    finished_streams_are_found_where_they_end,
    a_reopened_stream_has_not_finished,
    streams_come_whole_and_with_their_places,
    deleted_streams_are_gone_and_the_rest_stays,
    the_newest_transition_stays,
    what_follows_a_stream_that_is_gone_loses,
    restored_streams_are_where_they_were,
    a_stream_that_began_anew_is_left_alone,
    streams_of_another_log_are_refused,
    one_that_is_closed_says_so,
)


class _Kept:
    """Two stores that are asked the same, and what was taken out of them."""

    def __init__(self, oracle: RetainedStore, candidate: RetainedStore, seed: int) -> None:
        self._stores = (oracle, candidate)
        self.chance = random.Random(seed)  # noqa: S311  reproducible, guards nothing
        self.next: dict[StreamKey, int] = {}
        self.archived: list[tuple[StoredStream, StoredStream]] = []
        self.seen: set[tuple[str, bool]] = set()

    async def step(self, operation: str) -> None:
        key = StreamKey("default", f"s-{self.chance.randint(0, 5)}")
        match operation:
            case "begin" | "go on" | "end":
                await self._append(operation, key)
            case "finished":
                before, pages = NOON + self.chance.randint(0, 5) * HOUR, self.chance.randint(0, 9)
                found = await self._both(lambda store: _keys_finished(store, before=before, pages=pages))
                self.seen.add((operation, bool(found)))
            case "streams":
                stored = await self._both(lambda store: _streams_of(store, key))
                self.seen.add((operation, bool(stored)))
            case "delete":
                await self._delete(key)
            case _:
                await self._restore(operation)

    async def _append(self, operation: str, key: StreamKey) -> None:
        position = 1 if operation == "begin" else self.next.get(key, 2)
        change: IndexChange = RemoveIndex() if operation == "end" else OPEN
        append = at(an_append(key, position, index=change), self.chance.randint(0, 4))
        (won,) = await self._both(lambda store: _verdicts(store.append([append])))
        if won:
            self.next[key] = position + 1
        self.seen.add((operation, won))

    async def _delete(self, key: StreamKey) -> None:
        streams = [await store.streams([key]) for store in self._stores]
        ends = [each[0].end if each else StreamEnd(key, 1, 1) for each in streams]
        verdicts = [
            list(await store.delete_streams([end])) for store, end in zip(self._stores, ends, strict=True)
        ]
        assert verdicts[0] == verdicts[1], f"deleting {key}: {verdicts}"
        self.seen.add(("delete", verdicts[0][0]))
        if verdicts[0][0]:
            self.archived.append((streams[0][0], streams[1][0]))

    async def _restore(self, operation: str) -> None:
        if not self.archived:
            return
        pair = self.chance.choice(self.archived)
        if operation == "restore elsewhere":
            pair = (_moved(pair[0]), _moved(pair[1]))
        verdicts = [await _restored(store, each) for store, each in zip(self._stores, pair, strict=True)]
        assert verdicts[0] == verdicts[1], f"restoring {pair[0].key}: {verdicts}"
        self.seen.add((operation, verdicts[0] == [True]))
        if verdicts[0] == [True]:
            self.next[pair[0].key] = pair[0].end.position + 1

    async def _both(self, ask: Callable[[RetainedStore], Awaitable[T]]) -> T:
        oracle, candidate = [await ask(store) for store in self._stores]
        assert oracle == candidate, f"oracle {oracle!r}, candidate {candidate!r}"
        return oracle

    async def compare(self) -> None:
        async def log(store: RetainedStore) -> list[object]:
            return [logged.transition for logged in await store.log(limit=100_000)]

        async def rows(store: RetainedStore) -> list[object]:
            return list(await store.open_instances())

        await self._both(log)
        await self._both(rows)


async def in_lock_step(
    *, oracle: RetainedStore, candidate: RetainedStore, seed: int, operations: int
) -> None:
    """Ask both the same at random until each operation has succeeded and failed; compare after each.

    Places in the log need not be the same in both, so that each gets back what was its own.
    """
    kept, done = _Kept(oracle, candidate, seed), 0
    wanted = {(name, success) for name in OPERATIONS for success in (True, False)}
    wanted.discard(("restore elsewhere", True))
    while done < operations or not kept.seen >= wanted:
        assert done < MOST_OPERATIONS, f"seed {seed}: never seen: {sorted(wanted - kept.seen)}"
        await kept.step(kept.chance.choice(OPERATIONS))
        await kept.compare()
        done += 1


def _moved(stream: StoredStream) -> StoredStream:
    return _under(StreamKey("default", "elsewhere"), stream, stream.end.sequence + 10**9)


def _under(key: StreamKey, stream: StoredStream, first: int) -> StoredStream:
    """Return what `stream` holds as a stream of another key, with its places in the log from `first` on."""
    moved = (replace(logged.transition, key=key) for logged in stream.transitions)
    return StoredStream(key, tuple(Logged(place, each) for place, each in enumerate(moved, first)))


async def _keys_finished(
    store: RetainedStore, *, before: datetime, pages: int
) -> list[tuple[StreamKey, int]]:
    page, after = FinishedPage([], 0), 0
    for _ in range(pages + 1):
        page = await store.finished(before=before, after=after, limit=3)
        if page.next is None:
            break
        after = page.next
    return [(end.key, end.position) for end in page.ends]


async def _streams_of(store: RetainedStore, key: StreamKey) -> list[object]:
    return [logged.transition for stream in await store.streams([key]) for logged in stream.transitions]


async def _verdicts(answer: Awaitable[Sequence[bool]]) -> list[bool]:
    return list(await answer)


async def _restored(store: RetainedStore, stream: StoredStream) -> list[bool]:
    try:
        return list(await store.restore_streams([stream]))
    except ValueError:
        return []
