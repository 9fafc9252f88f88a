"""The read model that several processes share: one writes, all answer, another one takes over; built anew when gone."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from amends.adapters.postgres import Address, PostgresReadModel, migrate_views, migrations, statements
from amends.adapters.postgres.migrations import Migration, known_migrations
from amends.ports import Checkpoint, ClaimLost, Count, SagaQuery, StoreNewer
from amends.testing.read_model_suite import a_row
from tests.adapters.postgres.lines import ask, session

CLAIM = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::oid"
)
ONE, TWO = Checkpoint(1, "one"), Checkpoint(2, "two")


@asynccontextmanager
async def standing_by(address: Address) -> AsyncGenerator[PostgresReadModel]:
    model = PostgresReadModel(address)
    await model.open()
    try:
        yield model
    finally:
        await model.close()


async def found(model: PostgresReadModel) -> list[str]:
    return [row.id for row in await model.find(SagaQuery(newest_first=False), limit=10)]


async def end_claim(address: Address) -> int:
    """End the session that has the right to write, as a failing network would."""
    schema = await ask(address, "SELECT $1::text::regnamespace::oid::bigint", address.schema)
    return int(await ask(address, CLAIM, schema))


async def test_one_writes_and_all_answer(address: Address) -> None:
    async with standing_by(address) as first, standing_by(address) as second:
        assert await first.claim()
        assert not await second.claim()
        await first.put([a_row("a")], ONE)
        assert (await found(second), await second.checkpoint()) == (["a"], ONE)
        assert list(await second.counts()) == [Count("order", "running", 1)]
        with pytest.raises(ClaimLost):
            await second.put([a_row("b")], TWO)
        with pytest.raises(ClaimLost):
            await second.clear()
        with pytest.raises(ClaimLost):
            await second.remove([])
        assert await found(first) == ["a"]
        await first.close()
        assert await second.claim()
        await second.put([a_row("b", started=1)], TWO)
        assert await found(second) == ["a", "b"]


async def test_a_session_that_was_lost_writes_nothing_any_more(address: Address) -> None:
    async with standing_by(address) as first, standing_by(address) as second:
        assert await first.claim()
        await first.put([a_row("a")], ONE)
        assert await end_claim(address) == 1
        assert await second.claim()
        await second.put([a_row("b", started=1)], TWO)
        for _ in range(2):
            with pytest.raises(ClaimLost):
                await first.put([a_row("c")], ONE)
        assert not await first.claim()
        assert (await found(first), await first.checkpoint()) == (["a", "b"], TWO)


async def test_what_was_dropped_is_built_anew(address: Address) -> None:
    async with standing_by(address) as model:
        assert await model.claim()
        await model.put([a_row("a")], ONE)
        await ask(address, f"DROP SCHEMA {address.schema} CASCADE")
        with pytest.raises(ClaimLost):
            await model.put([a_row("b")], TWO)
        assert await model.claim()
        assert await model.checkpoint() == Checkpoint(0, "")
        await model.put([a_row("b")], ONE)
        assert await found(model) == ["b"]


async def test_what_another_state_of_the_files_built_is_built_anew(address: Address) -> None:
    async with standing_by(address) as model:
        assert await model.claim()
        await model.put([a_row("a")], ONE)
    await ask(address, "UPDATE migration SET checksum = 'another'")
    async with standing_by(address) as model:
        assert (await found(model), await model.checkpoint()) == ([], Checkpoint(0, ""))


async def test_a_newer_one_is_refused(address: Address) -> None:
    assert await migrate_views(address) == [each.name for each in known_migrations("views_migrations")]
    assert await migrate_views(address) == []
    await ask(address, "INSERT INTO migration VALUES (9999, '9999_later', 'x')")
    with pytest.raises(StoreNewer, match="9999"):
        await PostgresReadModel(address).open()


async def test_a_missing_migration_is_applied_whatever_its_number(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"views_migrations": known_migrations("views_migrations"), "migrations": known_migrations()}
    later, between = (Migration(n, f"000{n}_more", f"CREATE TABLE more_{n} (x integer);") for n in (3, 2))
    for extra in ((later,), (between, later)):
        monkeypatch.setattr(migrations, "known_migrations", lambda folder, e=extra: (*known[folder], *e))
        applied = await migrate_views(address)
        assert extra[0].name in applied
    assert await migrate_views(address) == []


async def test_text_with_a_null_character_harms_no_row(address: Address) -> None:
    odd = replace(a_row("a"), cause="NO\0STOCK", business_status="\0", stuck=("hold[\0]",))
    async with standing_by(address) as model:
        assert await model.claim()
        await model.put([odd], ONE)
        (row,) = await model.find(SagaQuery(), limit=1)
        assert (row.cause, row.business_status, row.stuck) == ("NO\ufffdSTOCK", "\ufffd", ("hold[\0]",))
        assert list(await model.find(SagaQuery(id_prefix="\0"), limit=1)) == []


async def test_lists_and_counts_walk_over_indexes(address: Address) -> None:
    rows = [a_row(f"o-{n:05}", started=n, status="completed" if n % 200 else "running") for n in range(4_000)]
    async with standing_by(address) as model:
        assert await model.claim()
        for first in range(0, 4_000, 500):
            await model.put(rows[first : first + 500], Checkpoint(first + 1, ""))
    place = [rows[2_000].started_at, "default", "", 50]
    values = ["", "", None, None, "", None, None, None, None, None, "", *place]
    async with session(address) as link:
        await link.execute("SET plan_cache_mode = force_custom_plan")
        for sql, index in (
            (statements.VIEWS_FIND_OPEN_NEWEST, "saga_open"),
            (statements.VIEWS_FIND_NEWEST, "saga_started"),
        ):
            plan = "\n".join(row[0] for row in await link.fetch(f"EXPLAIN {sql}", *values))
            assert f"using {index}" in plan, plan
            assert "ROW(started_at, namespace, id) <" in plan.partition("Filter")[0], plan
            assert "Sort" not in plan, plan
