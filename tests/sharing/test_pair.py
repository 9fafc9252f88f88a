"""Two orchestrators on one store: each takes everything, and the one that holds an instance decides it."""

import asyncio

import pytest

from amends import ActRefused, PositionMoved, SagaConflict, SagaUnknown
from amends.adapters.postgres import Address
from tests.adapters.postgres import storage
from tests.adapters.postgres.lines import ask
from tests.application.shop import APPROVED, FOR_EVER, FULFIL, Order, Shop, Word
from tests.sharing.fleet import held, id_at, member, pair, shares, sharing

INBOX = "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM inbox_answer)"


@pytest.fixture
def address() -> Address:
    return storage.address()


async def test_two_have_half_of_the_shards_each(address: Address) -> None:
    async with pair(address, Shop()) as (one, other):
        assert held(one).isdisjoint(held(other))
        assert held(one) | held(other) == frozenset(range(64))
        async with member(address, Shop()) as third:
            await shares(one, other, third)
            assert held(one) | held(other) | held(third) == frozenset(range(64))
        await shares(one, other)
    async with member(address, Shop()) as alone:
        assert len(held(alone)) == 64


async def test_what_comes_to_the_wrong_one_is_decided_by_the_holder(address: Address) -> None:
    shop = Shop()
    async with pair(address, shop) as (one, other):
        far = id_at(other)
        view = await one.start(FOR_EVER, Order(), saga_id=far)
        assert (view.id, view.status) == (far, "running")
        assert (await one.get(far)).position == view.position
        assert (await one.signal(far, "go", Word())).status == "completed"
        assert (await other.get(far)).status == "completed"
        assert (await one.wait(far)).status == "completed"
        assert sharing(one).sender.waiting == 0
    assert await ask(address, INBOX) == 0


async def test_running_to_the_end_works_for_what_another_holds(address: Address) -> None:
    shop = Shop()
    async with pair(address, shop) as (one, other):
        ids = [f"o-{number}" for number in range(40)]
        views = await asyncio.gather(*(one.run(FULFIL, Order(), saga_id=each) for each in ids))
        assert {view.status for view in views} == {"completed"}
        assert shop.done["ship"] == 40
        again = await other.begin("fulfil", b'{"sku":"sku-1","amount":10}', saga_id=id_at(one))
        assert not again.is_new


async def test_a_no_of_the_holder_is_raised_where_it_was_asked(address: Address) -> None:
    async with pair(address, Shop()) as (one, other):
        far = id_at(other)
        with pytest.raises(SagaUnknown):
            await one.cancel(far, by="me", reason="why not")
        await one.start(APPROVED, Order(), saga_id=far)
        with pytest.raises(SagaConflict):
            await one.start(APPROVED, Order(sku="another"), saga_id=far)
        with pytest.raises(ActRefused) as refused:
            await one.signal(far, "nothing", Word())
        assert refused.value.code == "unknown-signal"
        with pytest.raises(PositionMoved) as moved:
            await one.cancel(far, by="me", reason="why not", expected=999)
        assert moved.value.expected == 999
        assert (await one.cancel(far, by="me", reason="why not")).status in {"compensating", "compensated"}


async def test_made_ids_are_of_own_shards(address: Address) -> None:
    shop = Shop()
    async with pair(address, shop) as (one, _other):
        for _ in range(20):
            await one.start(FULFIL, Order())
        assert sharing(one).sender.waiting == 0
        assert await ask(address, "SELECT last_value FROM inbox_number_seq") == 1
