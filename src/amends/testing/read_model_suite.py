"""The behaviour that every read model has, as scenarios that a new one joins with one line.

A scenario is an async function that takes a `ReadModelFactory`, opens what it makes and raises `AssertionError` when it
behaves otherwise::

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
    async def test_read_model(scenario, tmp_path):
        await scenario(lambda: MyReadModel(tmp_path / "views"))

Rules
- The factory gives a new object over the same storage each time; the storage is empty at the scenario's beginning.
- What a query wants is said here once more, by looking at every row (`wanted`); a candidate must say the same.
It does not: need pytest, or reach behind the port.
"""

# A scenario's name says what must hold.

import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from msgspec.structs import replace

from amends.core.transitions import Status
from amends.ports.event_store import StreamKey
from amends.ports.read_model import Checkpoint, Count, Place, ReadModel, SagaQuery, SagaSummary
from amends.ports.store_errors import StoreUnavailable
from amends.testing.event_store_suite import expect

ReadModelFactory: TypeAlias = Callable[[], ReadModel]
Scenario: TypeAlias = Callable[[ReadModelFactory], Awaitable[None]]

NOON: Final = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
STATUSES: Final[tuple[Status, ...]] = (
    "running",
    "compensating",
    "stuck",
    "completed",
    "compensated",
    "abandoned",
)
ENDED: Final[frozenset[Status]] = frozenset({"completed", "compensated", "abandoned"})


def a_row(
    saga_id: str = "a", *, started: int = 0, status: Status = "running", saga: str = "order"
) -> SagaSummary:
    """A row of an instance that began `started` microseconds after noon."""
    started_at = NOON + started * MICROSECOND
    return SagaSummary(
        namespace="default",
        id=saga_id,
        saga=saga,
        version=1,
        status=status,
        business_status="",
        paused=False,
        position=2,
        sequence=1,
        started_at=started_at,
        updated_at=started_at,
        ended_at=started_at if status in ENDED else None,
        stuck=(),
        cause="",
    )


@asynccontextmanager
async def opened(make: ReadModelFactory) -> AsyncGenerator[ReadModel]:
    """Open a read model to write to it, and close it whatever happens."""
    model = make()
    await model.open()
    try:
        assert await model.claim(), "nobody else has the right to write, and it was not given"
        yield model
    finally:
        await model.close()


def place_of(row: SagaSummary) -> Place:
    """Where `row` stands among all."""
    return Place(row.started_at, row.namespace, row.id)


def wanted(rows: Sequence[SagaSummary], query: SagaQuery) -> list[SagaSummary]:
    """What a query must find in `rows`."""
    kept = [
        row
        for row in rows
        if (not query.namespace or row.namespace == query.namespace)
        and (not query.saga or row.saga == query.saga)
        and (query.version is None or row.version == query.version)
        and (not query.statuses or row.status in query.statuses)
        and (not query.business_status or row.business_status == query.business_status)
        and (query.paused is None or row.paused is query.paused)
        and (query.started_from is None or query.started_from <= row.started_at)
        and (query.started_before is None or row.started_at < query.started_before)
        and (query.updated_from is None or query.updated_from <= row.updated_at)
        and (query.updated_before is None or row.updated_at < query.updated_before)
        and row.id.startswith(query.id_prefix)
    ]
    return sorted(kept, key=place_of, reverse=query.newest_first)


async def an_empty_one_has_nothing(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        expect(await model.checkpoint(), Checkpoint(0, ""), "the checkpoint")
        expect(list(await model.find(SagaQuery(), limit=10)), [], "rows")
        expect(list(await model.counts()), [], "counts")


async def rows_come_back_as_they_were_put(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        full = SagaSummary(
            namespace="ω",
            id="Ünïcode 🚚 'quoted\" \\ %_",
            saga="order",
            version=7,
            status="stuck",
            business_status="WAITING_STOCK",
            paused=True,
            position=2**40,
            sequence=2**41,
            started_at=NOON,
            updated_at=NOON + timedelta(days=40_000, microseconds=1),
            ended_at=None,
            stuck=("hold-stock[äpple]", "pay"),
            cause="NO_STOCK",
        )
        plain = a_row(status="completed")
        await model.put([full, plain], Checkpoint(2**41, "mark 🚚"))
        expect(await model.checkpoint(), Checkpoint(2**41, "mark 🚚"), "the checkpoint")
        expect(list(await model.find(SagaQuery(namespace="ω"), limit=10)), [full], "a full row")
        expect(list(await model.find(SagaQuery(namespace="default"), limit=10)), [plain], "a plain row")


async def a_row_is_replaced_by_a_newer_one(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        await model.put([a_row("a"), a_row("b", started=1)], Checkpoint(2, "two"))
        ended = replace(a_row("a"), status="completed", position=9, ended_at=NOON, updated_at=NOON)
        await model.put([ended], Checkpoint(3, "three"))
        expect(
            list(await model.find(SagaQuery(newest_first=False), limit=10)),
            [ended, a_row("b", started=1)],
            "rows",
        )
        expect(
            list(await model.find(SagaQuery(statuses=("running",)), limit=10)),
            [a_row("b", started=1)],
            "open",
        )
        expect(await model.checkpoint(), Checkpoint(3, "three"), "the checkpoint")
        reopened = replace(ended, status="compensating", ended_at=None)
        await model.put([reopened], Checkpoint(4, "four"))
        expect(
            list(await model.find(SagaQuery(statuses=("compensating",)), limit=10)), [reopened], "reopened"
        )


async def the_checkpoint_moves_without_rows_too(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        await model.put([], Checkpoint(5, "five"))
        expect(await model.checkpoint(), Checkpoint(5, "five"), "the checkpoint")


async def rows_and_checkpoint_are_put_together_or_not_at_all(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        await model.put([a_row("a")], Checkpoint(1, "one"))
        impossible = replace(a_row("c"), started_at=NOON.replace(tzinfo=None))
        try:
            await model.put([a_row("b"), impossible], Checkpoint(2, "two"))
        except (TypeError, ValueError):
            expect(await model.checkpoint(), Checkpoint(1, "one"), "the checkpoint")
            expect(list(await model.find(SagaQuery(), limit=10)), [a_row("a")], "rows")
        else:
            raise AssertionError("a row without a time zone was taken")
        await model.put([a_row("b")], Checkpoint(2, "two"))
        expect(len(await model.find(SagaQuery(), limit=10)), 2, "rows")


async def a_claim_holds_until_it_is_let_go(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        assert await model.claim(), "what is ours was not given again"
        await model.put([a_row("a")], Checkpoint(1, "one"))
        assert await model.claim(), "what is ours was not given again after writing"
    async with opened(make) as model:
        await model.put([a_row("b")], Checkpoint(2, "two"))
        expect((await model.checkpoint()).sequence, 2, "the checkpoint of who came later")


async def removed_rows_are_neither_found_nor_counted(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        rows = [a_row(name, started=number) for number, name in enumerate("abc")]
        other = replace(a_row("a"), namespace="ω")
        await model.put([*rows, other], Checkpoint(4, "four"))
        await model.remove(
            [StreamKey("default", "a"), StreamKey("default", "c"), StreamKey("default", "nobody")]
        )
        expect(list(await model.find(SagaQuery(newest_first=False), limit=9)), [other, rows[1]], "rows")
        expect(list(await model.counts("default")), [Count("order", "running", 1)], "counts")
        expect(await model.checkpoint(), Checkpoint(4, "four"), "the checkpoint")
        await model.remove([])
        await model.remove([StreamKey("default", "b"), StreamKey("ω", "a")])
        expect(list(await model.counts()), [], "counts")
        await model.put([replace(rows[0], status="completed", ended_at=NOON)], Checkpoint(5, "five"))
        expect(list(await model.counts()), [Count("order", "completed", 1)], "counts of one that came back")


async def clearing_forgets_everything(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        await model.put([a_row("a")], Checkpoint(1, "one"))
        await model.clear()
        expect(await model.checkpoint(), Checkpoint(0, ""), "the checkpoint")
        expect(list(await model.find(SagaQuery(), limit=10)), [], "rows")
        expect(list(await model.counts()), [], "counts")


async def each_filter_finds_what_it_says(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        rows = _many_rows(random.Random(0), 300)  # noqa: S311  reproducible, guards nothing
        await model.put(rows, Checkpoint(1, "one"))
        later = NOON + 50 * MICROSECOND
        queries = (
            SagaQuery(namespace="ω"),
            SagaQuery(saga="order"),
            SagaQuery(version=2),
            *(SagaQuery(statuses=(status,)) for status in STATUSES),
            SagaQuery(statuses=("running", "stuck"), newest_first=False),
            SagaQuery(statuses=("running", "completed")),
            SagaQuery(business_status="PAID"),
            SagaQuery(paused=True),
            SagaQuery(paused=False),
            SagaQuery(started_from=later),
            SagaQuery(started_before=later),
            SagaQuery(started_from=later, started_before=later + MICROSECOND),
            SagaQuery(updated_from=later),
            SagaQuery(updated_before=later),
            SagaQuery(id_prefix="o-1"),
            SagaQuery(id_prefix="%"),
            SagaQuery(id_prefix="_"),
            SagaQuery(id_prefix="O"),
        )
        for query in queries:
            found = list(await model.find(query, limit=1_000))
            expect(found, wanted(rows, query), f"what is found by {query}")
        assert all(wanted(rows, query) for query in queries[:17]), "a filter that finds nothing shows nothing"


async def any_query_finds_what_it_says_page_by_page(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        chance = random.Random(1)  # noqa: S311  reproducible, guards nothing
        rows = _many_rows(chance, 300)
        await model.put(rows, Checkpoint(1, "one"))
        for _ in range(60):
            query, limit = _any_query(chance), chance.choice((1, 7, 50))
            found: list[SagaSummary] = []
            while page := await model.find(query, limit=limit, after=place_of(found[-1]) if found else None):
                assert len(page) <= limit, "a page is longer than its limit"
                found += page
                assert len(found) <= len(rows), "the pages do not come to an end"
            expect(found, wanted(rows, query), f"what is found by {query}")


async def what_is_begun_meanwhile_moves_no_page(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        rows = [a_row(f"o-{number}", started=number) for number in range(6)]
        await model.put(rows, Checkpoint(1, "one"))
        first = list(await model.find(SagaQuery(), limit=3))
        await model.put(
            [a_row("new", started=100), replace(rows[1], status="completed", ended_at=NOON)],
            Checkpoint(2, ""),
        )
        second = await model.find(SagaQuery(), limit=3, after=place_of(first[-1]))
        expect(
            [row.id for row in (*first, *second)], [f"o-{number}" for number in (5, 4, 3, 2, 1, 0)], "pages"
        )


async def equal_times_are_ordered_by_identity(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        rows = [
            replace(a_row(name), namespace=namespace)
            for namespace in ("default", "ω", "a")
            for name in ("b", "B", "é", "z", "名", "🚚", "aa", "a")
        ]
        await model.put(rows, Checkpoint(1, "one"))
        for newest_first in (True, False):
            query = SagaQuery(newest_first=newest_first)
            found: list[SagaSummary] = []
            while page := await model.find(query, limit=5, after=place_of(found[-1]) if found else None):
                found += page
            expect(found, wanted(rows, query), "rows of the same instant")


async def a_place_need_not_be_there(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        rows = [a_row(f"o-{number}", started=10 * number) for number in range(3)]
        await model.put(rows, Checkpoint(1, "one"))
        after = Place(NOON + 15 * MICROSECOND, "", "")
        expect(list(await model.find(SagaQuery(), limit=9, after=after)), [rows[1], rows[0]], "older")
        expect(
            list(await model.find(SagaQuery(newest_first=False), limit=9, after=after)), [rows[2]], "newer"
        )


async def instances_are_counted_by_saga_and_status(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        rows = _many_rows(random.Random(2), 200)  # noqa: S311  reproducible, guards nothing
        await model.put(rows, Checkpoint(1, "one"))
        for namespace in ("", "default", "ω", "nobody"):
            kept = [row for row in rows if namespace in {"", row.namespace}]
            counted: Counter[tuple[str, Status]] = Counter((row.saga, row.status) for row in kept)
            counts = [Count(*pair, number) for pair, number in sorted(counted.items())]
            expect(list(await model.counts(namespace)), counts, f"counts of {namespace!r}")
        ended = [replace(row, status="completed", ended_at=row.started_at) for row in rows[:100]]
        await model.put(ended, Checkpoint(2, "two"))
        counted = Counter((row.saga, row.status) for row in [*ended, *rows[100:]])
        counts = [Count(*pair, number) for pair, number in sorted(counted.items())]
        expect(list(await model.counts()), counts, "counts of rows that were replaced")


async def one_that_is_not_open_says_so(make: ReadModelFactory) -> None:
    model = make()
    await model.close()
    await model.open()
    await model.close()
    await model.close()
    questions: tuple[Callable[[], Awaitable[object]], ...] = (
        model.checkpoint,
        model.claim,
        lambda: model.remove([]),
        lambda: model.put([], Checkpoint(1, "")),
        model.clear,
        lambda: model.find(SagaQuery(), limit=1),
        model.counts,
    )
    for question in questions:
        try:
            answer = await question()
        except StoreUnavailable:
            continue
        raise AssertionError(f"a closed read model answered {answer!r}")


async def what_was_put_is_there_after_reopening(make: ReadModelFactory) -> None:
    async with opened(make) as model:
        await model.put([a_row("a")], Checkpoint(3, "three"))
    async with opened(make) as model:
        expect(await model.checkpoint(), Checkpoint(3, "three"), "the checkpoint")
        expect(list(await model.find(SagaQuery(), limit=10)), [a_row("a")], "rows")


def _many_rows(chance: random.Random, number: int) -> list[SagaSummary]:
    return [_any_row(chance, number) for number in range(number)]


def _any_row(chance: random.Random, number: int) -> SagaSummary:
    status = chance.choice(STATUSES)
    row = a_row(
        f"{chance.choice(('o', 'O', 'p%', '%', '_', 'é'))}-{number}",
        started=chance.randint(0, 100),
        status=status,
    )
    return replace(
        row,
        namespace=chance.choice(("default", "default", "ω")),
        saga=chance.choice(("order", "booking", "ördér")),
        version=chance.randint(1, 3),
        business_status=chance.choice(("", "PAID", "WAITING")),
        paused=chance.choice((True, False)),
        updated_at=row.started_at + chance.randint(0, 100) * MICROSECOND,
        stuck=("pay",) if status == "stuck" else (),
    )


def _any_query(chance: random.Random) -> SagaQuery:
    def instant() -> datetime | None:
        return chance.choice((None, None, None, NOON + chance.randint(-5, 150) * MICROSECOND))

    return SagaQuery(
        namespace=chance.choice(("", "", "default", "ω")),
        saga=chance.choice(("", "", "order", "ördér")),
        version=chance.choice((None, None, 1, 2)),
        statuses=tuple(chance.sample(STATUSES, chance.choice((0, 0, 1, 2, 3)))),
        business_status=chance.choice(("", "", "", "PAID")),
        paused=chance.choice((None, None, True, False)),
        started_from=instant(),
        started_before=instant(),
        updated_from=instant(),
        updated_before=instant(),
        id_prefix=chance.choice(("", "", "", "o-", "%", "é")),
        newest_first=chance.choice((True, False)),
    )


SCENARIOS: Final[tuple[Scenario, ...]] = (
    an_empty_one_has_nothing,
    rows_come_back_as_they_were_put,
    a_row_is_replaced_by_a_newer_one,
    the_checkpoint_moves_without_rows_too,
    rows_and_checkpoint_are_put_together_or_not_at_all,
    a_claim_holds_until_it_is_let_go,
    removed_rows_are_neither_found_nor_counted,
    clearing_forgets_everything,
    each_filter_finds_what_it_says,
    any_query_finds_what_it_says_page_by_page,
    what_is_begun_meanwhile_moves_no_page,
    equal_times_are_ordered_by_identity,
    a_place_need_not_be_there,
    instances_are_counted_by_saga_and_status,
    one_that_is_not_open_says_so,
)
PERSISTENCE_SCENARIOS: Final[tuple[Scenario, ...]] = (what_was_put_is_there_after_reopening,)
