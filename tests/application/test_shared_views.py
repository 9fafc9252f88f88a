"""Several processes on one read model: one projects, the others stand by, answer, and take over."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from amends.adapters.memory import MemoryReadModel
from amends.application.follower import Follower
from amends.application.projector import Projector
from amends.application.queries import Queries, SagaQuery
from amends.ports import Checkpoint, ClaimLost, EventStore, ReadModel, SagaSummary
from amends.testing.read_model_suite import ReadModelFactory
from tests.adapters.postgres import storage
from tests.application.engine_world import orchestrator, until
from tests.application.shop import FULFIL, Order


@dataclass
class Side:
    """The read side of one process."""

    follower: Follower
    projector: Projector
    queries: Queries
    read_model: ReadModel

    async def shown(self) -> list[str]:
        await self.queries.caught_up()
        return [row.id for row in (await self.queries.find(SagaQuery(newest_first=False))).sagas]


@asynccontextmanager
async def side(store: EventStore, read_model: ReadModel, *, stand_by: float = 0) -> AsyncGenerator[Side]:
    await read_model.open()
    follower = Follower(store, rest=0)
    projector = Projector(store, read_model, stand_by=stand_by)
    projector.on_look = lambda place, end: follower.note(projector, place, end)
    queries = Queries(
        read_model=read_model, store=store, follower=follower, projector=projector, namespace="default"
    )
    await follower.start(projector)
    try:
        yield Side(follower, projector, queries, read_model)
    finally:
        await follower.stop()
        await read_model.close()


async def test_one_projects_all_answer_and_another_takes_over(store: EventStore) -> None:
    make: ReadModelFactory = storage.read_models()
    async with orchestrator(store) as amends, AsyncExitStack() as first_ends:
        first = await first_ends.enter_async_context(side(store, make()))
        await until(lambda: first.projector.leads)
        async with side(store, make()) as second:

            def committed(size: int) -> None:
                first.follower.committed(size)
                second.follower.committed(size)

            amends.engine.writer.on_commit = committed
            for number in range(3):
                await amends.run(FULFIL, Order(), saga_id=f"o-{number}")
                for each in (first, second):
                    assert await each.shown() == [f"o-{n}" for n in range(number + 1)]
            assert not second.projector.leads
            end = await store.log_end()
            await until(lambda: second.queries.projected == end)
            assert second.queries.lag == 0
            await first_ends.aclose()
            await amends.run(FULFIL, Order(), saga_id="o-3")
            assert await second.shown() == ["o-0", "o-1", "o-2", "o-3"]
            assert second.projector.leads
            assert await second.queries.counts() == {"fulfil": {"completed": 4}}


async def test_who_stands_by_waits_for_the_rows_and_not_for_its_next_look(store: EventStore) -> None:
    make: ReadModelFactory = storage.read_models()
    async with orchestrator(store) as amends, side(store, make()) as first:
        await until(lambda: first.projector.leads)
        amends.engine.writer.on_commit = first.follower.committed
        async with side(store, make(), stand_by=10_000) as second:
            looked = asyncio.Event()

            def look(place: int, end: int) -> None:
                second.follower.note(second.projector, place, end)
                looked.set()

            second.projector.on_look = look
            # Not that its first look comes when the rows are there already.
            await looked.wait()
            await amends.run(FULFIL, Order(), saga_id="o-1")
            assert await second.shown() == ["o-1"]


class Losing(MemoryReadModel):
    """Loses its claim now and then, and at first what it was just given, as a server that crashed."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = 0
        self.claims = 0

    async def claim(self) -> bool:
        self.claims += 1
        return await super().claim()

    async def put(self, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
        if self.losses:
            self.losses -= 1
            raise ClaimLost("The claim ended with its session.")
        await super().put(rows, checkpoint)


async def test_who_lost_the_claim_goes_on_from_the_checkpoint(store: EventStore) -> None:
    model = Losing()
    async with orchestrator(store) as amends, side(store, model) as one:
        amends.engine.writer.on_commit = one.follower.committed
        await amends.run(FULFIL, Order(), saga_id="o-0")
        assert await one.shown() == ["o-0"]
        kept = await model.checkpoint()
        rows = await model.find(SagaQuery(), limit=10)
        await amends.run(FULFIL, Order(), saga_id="o-1")
        assert await one.shown() == ["o-0", "o-1"]
        # What was put last is gone with the server that had not written it yet.
        await model.clear()
        await model.put(rows, kept)
        model.losses = 2
        await amends.run(FULFIL, Order(), saga_id="o-2")
        await until(lambda: model.losses == 0)
        await until(lambda: model.claims == 3)
        await asyncio.wait_for(one.queries.caught_up(), 10)
        assert await one.shown() == ["o-0", "o-1", "o-2"]
        assert model.claims == 3
