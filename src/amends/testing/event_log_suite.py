"""The behaviour that every event store's log and notes have, as scenarios beside those of `event_store_suite`.

Rules: as there; `LOG_SCENARIOS` hold for every store. Sequences grow and may have gaps, so no scenario names one.
It does not: need pytest, or reach behind the port.
"""

# A scenario's name says what must hold.

import asyncio
from typing import Final

from amends.ports.event_store import DefinitionNote, Logged, StreamKey
from amends.testing.event_store_suite import (
    A,
    B,
    Scenario,
    StoreFactory,
    an_append,
    expect,
    opened,
    transitions_of,
)

WRITERS: Final = 8
EACH: Final = 20

# --- the log ------------------------------------------------------------------------------------------------------


async def the_log_has_everything_in_the_order_of_commits(make: StoreFactory) -> None:
    async with opened(make) as store:
        expect(await store.log_end(), 0, "the end of an empty log")
        expect(list(await store.log()), [], "an empty log")
        batches = [
            [an_append(B, 1, events=2)],
            [an_append(A, 1), an_append(B, 3)],
            [an_append(A, 2), an_append(StreamKey("ω", "a"), 1, note="🚚")],
        ]
        ends: list[int] = []
        for batch in batches:
            await store.append(batch)
            ends.append(await store.log_end())
        log = await store.log()
        sequences = [logged.sequence for logged in log]
        assert sequences == sorted(set(sequences)), f"sequences do not grow: {sequences}"
        assert sequences[0] >= 1, "sequences begin at 1 or later"
        expect(ends, [sequences[0], sequences[2], sequences[4]], "the ends after each commit")
        for batch, stored in zip(batches, (log[:1], log[1:3], log[3:]), strict=True):
            found = sorted((each.transition for each in stored), key=lambda each: each.key)
            expect(found, sorted(transitions_of(batch), key=lambda each: each.key), "a batch in the log")


async def one_stream_stands_in_the_log_by_its_positions(make: StoreFactory) -> None:
    async with opened(make) as store:
        await store.append([an_append(A, 3), an_append(B, 1), an_append(A, 1, events=2), an_append(A, 4)])
        found = [each.transition.position for each in await store.log() if each.transition.key == A]
        expect(found, [1, 3, 4], "positions of one stream")


async def the_log_is_read_in_pieces(make: StoreFactory) -> None:
    async with opened(make) as store:
        for number in range(12):
            await store.append([an_append(StreamKey("default", f"saga-{number % 5}"), 1 + number // 5)])
        whole = list(await store.log())
        expect(len(whole), 12, "transitions in the log")
        for limit in (1, 5, 12, 100):
            read: list[Logged] = []
            while piece := await store.log(after=read[-1].sequence if read else 0, limit=limit):
                assert len(piece) <= limit, "a piece is longer than its limit"
                read += piece
                assert len(read) <= len(whole), "the log does not come to an end"
            expect(read, whole, f"the log in pieces of {limit}")
        expect(list(await store.log(limit=0)), [], "nothing of it")
        end = whole[-1].sequence
        expect(await store.log_end(), end, "the end")
        for after in (end, end + 1, end + 1_000):
            expect(list(await store.log(after=after)), [], f"the log behind {after}")


async def a_loser_is_not_in_the_log(make: StoreFactory) -> None:
    async with opened(make) as store:
        first = an_append(A, 1, note="first")
        await store.append([first])
        await store.append([an_append(A, 1, note="second"), an_append(B, 1)])
        found = [each.transition.key for each in await store.log()]
        expect(found, [A, B], "streams in the log")
        expect((await store.log())[0].transition, first.transition, "what won")


async def large_transitions_come_in_smaller_pieces_and_none_is_left_out(make: StoreFactory) -> None:
    async with opened(make) as store:
        large = [an_append(A, position, note="x" * 700_000) for position in range(1, 6)]
        for append in large:
            await store.append([append])
        read: list[Logged] = []
        while piece := await store.log(after=read[-1].sequence if read else 0):
            read += piece
        expect([each.transition for each in read], transitions_of(large), "the log")


async def a_follower_misses_nothing_that_is_written_meanwhile(make: StoreFactory) -> None:
    async with opened(make) as store:

        async def write(writer: int) -> None:
            for position in range(1, EACH + 1):
                await store.append([an_append(StreamKey("default", f"writer-{writer}"), position)])

        async def follow() -> list[Logged]:
            read: list[Logged] = []
            while len(read) < WRITERS * EACH:
                read += await store.log(after=read[-1].sequence if read else 0, limit=7)
                await asyncio.sleep(0)
            return read

        read, *_ = await asyncio.gather(follow(), *(write(writer) for writer in range(WRITERS)))
        expect(read, list(await store.log()), "what was read while it was written")


async def what_comes_after_the_settled_end_was_asked_for_is_behind_it(make: StoreFactory) -> None:
    async with opened(make) as store:
        expect(await store.settled_end(), 0, "the settled end of an empty log")
        begun: list[tuple[int, StreamKey]] = []

        async def write(writer: int) -> None:
            for number in range(EACH):
                end, key = await store.settled_end(), StreamKey("default", f"writer-{writer}-{number}")
                await store.append([an_append(key)])
                begun.append((end, key))

        await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        place = {logged.transition.key: logged.sequence for logged in await store.log()}
        passed_over = [key for end, key in begun if place[key] <= end]
        expect(passed_over, [], "what was passed over")


async def the_settled_end_of_an_idle_log_is_its_end(make: StoreFactory) -> None:
    async with opened(make) as store:
        for batch in ([an_append(A, 1)], [an_append(A, 1)], [an_append(A, 2), an_append(B, 1)]):
            await store.append(batch)
            expect(await store.settled_end(), await store.log_end(), "the settled end")


# --- notes of definitions -----------------------------------------------------------------------------------------


async def definitions_are_noted_and_replaced(make: StoreFactory) -> None:
    async with opened(make) as store:
        expect(list(await store.definitions()), [], "notes of an empty store")
        one, two = (
            DefinitionNote("order", 1, "abc", '{"saga":"é"}'.encode()),
            DefinitionNote("order", 2, "def"),
        )
        other = DefinitionNote("buchung-é", 1, "ghi")
        await store.note_definitions([two, one, other])
        expect([DefinitionNote(*note) for note in await store.definitions()], [other, one, two], "notes")
        await store.note_definitions([DefinitionNote("order", 1, "new")])
        await store.note_definitions([])
        wanted = [other, DefinitionNote("order", 1, "new"), two]
        expect([DefinitionNote(*note) for note in await store.definitions()], wanted, "notes")


LOG_SCENARIOS: Final[tuple[Scenario, ...]] = (
    the_log_has_everything_in_the_order_of_commits,
    one_stream_stands_in_the_log_by_its_positions,
    the_log_is_read_in_pieces,
    a_loser_is_not_in_the_log,
    large_transitions_come_in_smaller_pieces_and_none_is_left_out,
    a_follower_misses_nothing_that_is_written_meanwhile,
    what_comes_after_the_settled_end_was_asked_for_is_behind_it,
    the_settled_end_of_an_idle_log_is_its_end,
    definitions_are_noted_and_replaced,
)
