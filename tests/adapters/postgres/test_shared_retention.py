"""Giving streams up where several processes have the store open: who decides a shard, and nobody else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from amends.adapters.postgres import Address, PostgresEventStore
from amends.ports import SHARDS, RemoveIndex, SetIndex, StoreHeld, StreamEnd
from amends.testing.event_store_suite import NOON, A, B, C, an_append

OPEN = SetIndex(NOON, outstanding=True)
LATER = NOON + timedelta(days=1)


@asynccontextmanager
async def member(address: Address) -> AsyncGenerator[PostgresEventStore]:
    store = PostgresEventStore(address)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def end_of(store: PostgresEventStore) -> StreamEnd:
    """Begin and end A, and begin another one behind it."""
    await store.append([an_append(A, index=OPEN)])
    await store.append([an_append(A, 2, index=RemoveIndex())])
    await store.append([an_append(B, index=OPEN)])
    (stream,) = await store.streams([A])
    return stream.end


async def test_only_the_holder_of_its_shard_gives_a_stream_up(address: Address) -> None:
    async with (
        member(address) as first,
        member(address) as second,
    ):
        held = await first.membership().claim(SHARDS)
        assert len(held) == SHARDS
        end = await end_of(first)
        assert list((await second.finished(before=LATER)).ends) == []
        assert list(await second.delete_streams([end])) == [False]
        await first.membership().release(held)
        assert list(await first.delete_streams([end])) == [False]
        await second.membership().claim(SHARDS)
        assert list((await second.finished(before=LATER)).ends) == [end]
        assert list(await second.delete_streams([end])) == [True]


async def test_who_gets_a_shard_back_knows_no_stream_that_was_given_up_meanwhile(address: Address) -> None:
    async with (
        member(address) as first,
        member(address) as second,
    ):
        held = await first.membership().claim(SHARDS)
        await first.append([an_append(A, index=OPEN)])
        await first.membership().release(held)
        await second.membership().claim(SHARDS)
        await second.append([an_append(A, 2, index=RemoveIndex())])
        await second.append([an_append(B, index=OPEN)])
        (stream,) = await second.streams([A])
        assert list(await second.delete_streams([stream.end])) == [True]
        await second.membership().release(held)
        await first.membership().claim(SHARDS)
        anew = an_append(A, index=OPEN, note="anew")
        assert list(await first.append([anew])) == [True]
        assert list(await second.read(A)) == [anew.transition]


async def test_who_opens_it_alone_is_alone_and_may_give_up_everything(address: Address) -> None:
    async with member(address) as running:
        await running.membership().claim(SHARDS)
        end = await end_of(running)
        with pytest.raises(StoreHeld, match="nobody may run on it"):
            await PostgresEventStore(address).open_alone()
        assert list(await running.append([an_append(C)])) == [True]
    alone = PostgresEventStore(address)
    await alone.open_alone()
    try:
        with pytest.raises(StoreHeld, match="has the store to itself"):
            await PostgresEventStore(address).open()
        assert list(await alone.delete_streams([end])) == [True]
    finally:
        await alone.close()
    async with member(address) as store:
        assert list(await store.read(A)) == []
