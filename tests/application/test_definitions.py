"""Definitions that change under open instances are refused; versions stand side by side."""

import asyncio
from datetime import timedelta

import pytest

from amends import DefinitionChanged, Saga, sequence, wait_for
from amends.definition.shape import fingerprint, shape
from amends.ports import DefinitionNote
from tests.application.conftest import Stores
from tests.application.engine_world import ManualClock, orchestrator, until
from tests.application.shop import APPROVED, FOR_EVER, FULFIL, Order, Shop, Word, paying, reserving, shipping
from tests.application.stores import Wrapped

CHANGED = Saga(
    "approved",
    version=1,
    data=Order,
    body=sequence(reserving, wait_for("approve", Word, timeout=timedelta(days=30)), paying, shipping),
)
NEXT = Saga("approved", version=2, data=Order, body=CHANGED.body)


async def waiting_instance(stores: Stores, shop: Shop, saga_id: str = "o-1") -> None:
    async with orchestrator(stores(), shop, sagas=[APPROVED]) as amends:
        await amends.start(APPROVED, Order(), saga_id=saga_id)
        await until(lambda: amends.engine.live == 0)


async def test_a_changed_definition_is_refused_while_an_instance_is_open(stores: Stores, shop: Shop) -> None:
    await waiting_instance(stores, shop)
    calls = len(shop.calls)
    refused = orchestrator(stores(), shop, sagas=[CHANGED])
    with pytest.raises(DefinitionChanged) as error:
        await refused.__aenter__()
    old, new = (
        orchestrator(stores(), shop, sagas=[each]).definitions[0].fingerprint for each in (APPROVED, CHANGED)
    )
    for part in ("'approved' version 1", "'o-1'", old, new, "new version"):
        assert part in str(error.value)
    assert len(shop.calls) == calls, "nothing ran"
    async with orchestrator(stores(), shop, sagas=[APPROVED]) as amends:
        await amends.signal("o-1", "approve", Word())
        assert (await amends.wait("o-1")).status == "completed", (
            "the store was let go, and the old one goes on"
        )


async def test_it_is_refused_again_and_again(stores: Stores, shop: Shop) -> None:
    await waiting_instance(stores, shop)
    for _ in range(2):
        with pytest.raises(DefinitionChanged, match="o-1"):
            await orchestrator(stores(), shop, sagas=[CHANGED, FULFIL]).__aenter__()


async def test_a_changed_definition_is_accepted_once_all_have_ended(stores: Stores, shop: Shop) -> None:
    await waiting_instance(stores, shop)
    async with orchestrator(stores(), shop, sagas=[APPROVED]) as amends:
        await amends.signal("o-1", "approve", Word())
        ended = await amends.wait("o-1")
    async with orchestrator(stores(), shop, sagas=[CHANGED]) as amends:
        await amends.start(CHANGED, Order(), saga_id="o-2")
        shown = await amends.get("o-1")
        assert (shown.status, shown.position) == ("completed", ended.position)
        assert shown.data == {"sku": "sku-1", "amount": 10, "payment": ""}, "shown without its definition"
        again = await amends.start(CHANGED, Order(), saga_id="o-1")
        assert (again.status, again.position) == ("completed", ended.position), "a start is idempotent"
        await until(lambda: shop.done["reserve"] == 2)
    with pytest.raises(DefinitionChanged, match="o-2"):
        await orchestrator(stores(), shop, sagas=[APPROVED]).__aenter__()


async def test_what_was_never_begun_may_change(stores: Stores, shop: Shop) -> None:
    async with orchestrator(stores(), shop, sagas=[APPROVED, FOR_EVER]) as amends:
        await amends.start(FOR_EVER, Order(), saga_id="other")
    for saga in (CHANGED, APPROVED, CHANGED):
        async with orchestrator(stores(), shop, sagas=[saga, FOR_EVER]):
            pass


async def test_two_versions_stand_side_by_side(stores: Stores, shop: Shop) -> None:
    async with orchestrator(stores(), shop, sagas=[APPROVED]) as amends:
        for name in ("old", "older"):
            await amends.start(APPROVED, Order(), saga_id=name)
        await until(lambda: amends.engine.live == 0)
    async with orchestrator(stores(), shop, sagas=[APPROVED, NEXT]) as amends:
        new = await amends.begin("approved", b"{}", saga_id="new")
        await amends.signal("old", "approve", Word())
        old = await amends.wait("old")
        assert (new.view.version, old.version, old.status) == (2, 1, "completed")
        assert [step.path for step in old.steps] == ["reserve", "ship"]
        assert not shop.named("pay")
    async with orchestrator(stores(), shop, sagas=[NEXT, APPROVED]) as amends:
        for name, version, steps in (
            ("older", 1, ["reserve", "ship"]),
            ("new", 2, ["reserve", "pay", "ship"]),
        ):
            await amends.signal(name, "approve", Word())
            ended = await amends.wait(name)
            assert (ended.version, ended.status) == (version, "completed")
            assert [step.path for step in ended.steps] == steps


async def test_open_instances_are_looked_at_only_when_a_fingerprint_differs(
    stores: Stores, shop: Shop
) -> None:
    async with orchestrator(stores(), shop) as amends:
        for number in range(20):
            await amends.start(FOR_EVER, Order(), saga_id=f"o-{number}")
    for sagas, read in (
        ([FOR_EVER, APPROVED], 0),
        ([FOR_EVER, NEXT, APPROVED], 0),
        ([FOR_EVER, CHANGED], 20),
    ):
        counting = Wrapped(stores())
        async with orchestrator(counting, shop, sagas=sagas) as amends:
            await until(lambda amends=amends: not amends.engine.recovering)  # type: ignore[misc]
        assert counting.calls["read"] == read


async def test_what_was_noted_is_replaced_only_when_it_was_accepted(stores: Stores, shop: Shop) -> None:
    await waiting_instance(stores, shop)
    with pytest.raises(DefinitionChanged):
        await orchestrator(stores(), shop, sagas=[CHANGED, FULFIL]).__aenter__()
    store = stores()
    await store.open()
    noted = DefinitionNote("approved", 1, fingerprint(APPROVED), shape(APPROVED))
    assert [DefinitionNote(*note) for note in await store.definitions()] == [noted]
    await store.close()


async def test_a_late_reply_to_what_ended_on_another_definition_is_told(stores: Stores, shop: Shop) -> None:
    await waiting_instance(stores, shop)
    async with orchestrator(stores(), shop, sagas=[APPROVED], clock=ManualClock()) as amends:
        await amends.abandon("o-1", by="ada", reason="test")
    async with orchestrator(stores(), shop, sagas=[CHANGED]) as amends:
        acts = [amends.cancel("o-1", by="ada", reason="test") for _ in range(2)]
        results = await asyncio.gather(*acts, return_exceptions=True)
        assert [type(result) for result in results] == [DefinitionChanged] * 2
