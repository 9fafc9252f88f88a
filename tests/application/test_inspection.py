"""Looking at a store file without an orchestrator: beside one that runs, and without definitions."""

from pathlib import Path

import pytest

from amends import (
    PositionUnknown,
    SagaIdInvalid,
    SagaQuery,
    SagaUnknown,
    StoreCorrupt,
    sqlite,
    sqlite_reader,
)
from tests.application.engine_world import orchestrator, until
from tests.application.shop import APPROVED, FULFIL, Order, Shop


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "amends.db"


async def test_it_shows_what_the_orchestrator_shows(path: Path) -> None:
    async with orchestrator(sqlite(path)) as amends, sqlite_reader(path) as seen:
        end = await amends.run(FULFIL, Order(), saga_id="o-1")
        shown, wanted = (await seen.get("o-1")).as_dict(), end.as_dict()
        assert shown.pop("data") == {"sku": "sku-1", "amount": 10, "payment": "p-1"}
        assert wanted.pop("data") == Order(payment="p-1")
        assert shown == wanted
        then = await seen.get("o-1", at=3)
        assert then.steps == (await amends.get("o-1", at=3)).steps
        assert await seen.events("o-1") == await amends.events("o-1")
        assert await seen.events("o-1", after=2, limit=2) == await amends.events("o-1", after=2, limit=2)


async def test_its_lists_grow_with_the_store(path: Path) -> None:
    async with orchestrator(sqlite(path), Shop()) as amends, sqlite_reader(path) as seen:
        assert await seen.counts() == {}
        for number in range(3):
            await amends.run(FULFIL, Order(), saga_id=f"o-{number}")
            assert (await seen.counts())["fulfil"] == {"completed": number + 1}
        await amends.start(APPROVED, Order(), saga_id="waits")
        await until(lambda: amends.engine.live == 0)
        page = await seen.find(SagaQuery(), limit=2)
        rest = await seen.find(SagaQuery(), limit=2, after=page.next)
        assert [row.id for row in (*page.sagas, *rest.sagas)] == ["waits", "o-2", "o-1", "o-0"]
        assert [row.id for row in (await seen.find(SagaQuery(statuses=("running",)))).sagas] == ["waits"]


async def test_what_is_not_there_is_said(path: Path) -> None:
    with pytest.raises(StoreCorrupt, match="no such file"):
        await sqlite_reader(path).__aenter__()
    async with orchestrator(sqlite(path)) as amends:
        end = await amends.run(FULFIL, Order(), saga_id="o-1")
    async with sqlite_reader(path) as seen:
        for question in (
            seen.get("o-2"),
            seen.get("o-2", at=1),
            seen.events("o-2"),
            seen.events("o-2", after=1),
        ):
            with pytest.raises(SagaUnknown, match="o-2"):
                await question
        with pytest.raises(PositionUnknown, match=f"1 to {end.position}"):
            await seen.get("o-1", at=end.position + 1)
        with pytest.raises(SagaIdInvalid):
            await seen.get("no id")
    async with sqlite_reader(path, namespace="another") as seen:
        with pytest.raises(SagaUnknown):
            await seen.get("o-1")
