"""Several orchestrators on one store, in one process: the same shop behind all of them.

It does not: kill anything (`lives` does, with real processes).
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from amends import Orchestrator
from amends.adapters.postgres import Address, PostgresEventStore
from amends.application.sharing import Sharing
from amends.ports import StreamKey, shard_of
from tests.application.engine_world import orchestrator, until
from tests.application.shop import Shop

LEASE = timedelta(seconds=5)


def sharing(amends: Orchestrator) -> Sharing:
    found = amends.engine.sharing
    assert found is not None
    return found


def held(amends: Orchestrator) -> frozenset[int]:
    return amends.engine.shards.held


@asynccontextmanager
async def member(
    address: Address, shop: Shop, *, lease: timedelta = LEASE
) -> AsyncGenerator[Orchestrator, None]:
    async with orchestrator(PostgresEventStore(address, lease=lease), shop) as amends:
        yield amends


@asynccontextmanager
async def pair(address: Address, shop: Shop) -> AsyncGenerator[tuple[Orchestrator, Orchestrator], None]:
    """Two that have half of the shards each."""
    async with member(address, shop) as one, member(address, shop) as other:
        await shares(one, other)
        yield one, other


async def shares(*members: Orchestrator) -> None:
    """Wait until these have all shards, each its fair share."""
    fair = -(-64 // len(members))
    wanted = sorted([fair] * (len(members) - 1) + [64 - fair * (len(members) - 1)])
    await until(lambda: sorted(len(held(each)) for each in members) == wanted, "fair shares")


def id_at(amends: Orchestrator, prefix: str = "o") -> str:
    """Return an id whose instance `amends` holds."""
    keys = (StreamKey("default", f"{prefix}-{number}") for number in range(10_000))
    return next(key.saga_id for key in keys if shard_of(key) in held(amends))
