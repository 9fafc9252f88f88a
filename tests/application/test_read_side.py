"""The read side: rows that say what the streams say, whatever happened; built anew when they are of another store."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from amends import ActRefused, Orchestrator, Page, Place, SagaQuery, SagaSummary, Service, memory, sqlite
from amends.adapters.memory import MemoryReadModel
from amends.adapters.sqlite import SqliteReadModel
from amends.application.breakers import BreakerPolicy
from amends.application.follower import Followed
from amends.application.gate import Protection
from amends.application.projector import Projector
from amends.application.registry import Registry
from amends.core.effect import SendCommand
from amends.core.outcome import Answer, Failed, Refused, Succeeded
from amends.ports import (
    Append,
    Checkpoint,
    EventStore,
    KeepIndex,
    ReadModel,
    StoreUnavailable,
    StreamKey,
    Transition,
)
from tests.adapters.postgres import storage
from tests.application.conftest import Stores
from tests.application.engine_world import NOON, ManualClock, fire, orchestrator, turns, until
from tests.application.shop import APPROVED, FULFIL, Order, Shop
from tests.application.stores import Wrapped
from tests.core import sagas

SAGAS = (
    sagas.order(),
    sagas.booking(),
    sagas.offer(),
    sagas.any_of(),
    sagas.two_of_three(),
    sagas.nested_tolerate(),
    sagas.waiting(),
    sagas.fulfilment(),
)
ALL = SagaQuery(newest_first=False)
ENDS = frozenset({"SagaCompleted", "SagaCompensated", "SagaAbandoned"})


UNPROTECTED = Protection(breaker=BreakerPolicy(enabled=False))
"""Behind a breaker that ramps commands stay in memory until the clock moves, and here everything is to leave it."""


class Moody:
    """A transport whose answers are drawn."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def send(self, command: SendCommand) -> Answer:
        for _ in range(self._chance.randint(0, 3)):
            await asyncio.sleep(0)
        mood = self._chance.random()
        if mood < 0.75:
            return Succeeded(b'{"number":1}' if self._chance.random() < 0.5 else b"null")
        return Refused("NO", "drawn") if mood < 0.88 else Failed("drawn")

    async def close(self) -> None:
        """Nothing to release."""


class Gated(MemoryReadModel):
    """A read model that puts nothing until its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waits = False

    async def put(self, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
        self.waits = True
        await self.gate.wait()
        await super().put(rows, checkpoint)


class Shaky(MemoryReadModel):
    """A read model that fails at first, and at times."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.failed = 0

    async def put(self, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
        if not self.failed or self._chance.random() < 0.2:
            self.failed += 1
            raise StoreUnavailable("The views are away.")
        await super().put(rows, checkpoint)


async def some_act(amends: Orchestrator, chance: random.Random, saga_id: str) -> None:
    view = await amends.get(saga_id)
    step = chance.choice(view.stuck or ("pay",))
    acts: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: amends.cancel(saga_id, by="ada", reason="drawn"),
        lambda: amends.pause(saga_id, by="ada", reason="drawn"),
        lambda: amends.resume(saga_id, by="ada", reason="drawn"),
        lambda: amends.abandon(saga_id, by="ada", reason="drawn"),
        lambda: amends.retry(saga_id, step, by="ada", reason="drawn"),
        lambda: amends.skip(saga_id, step, by="ada", reason="drawn"),
    )
    with suppress(ActRefused):
        await chance.choice(acts)()


async def live_through(
    amends: Orchestrator, chance: random.Random, clock: ManualClock, first: int = 0
) -> list[str]:
    """Start instances of all kinds and let anything happen to them; return their ids, which are numbered from `first`.

    An id that is drawn twice is one instance: its second start is none, and there would be more ids than rows.
    """
    ids: list[str] = []
    for number in range(first, first + 40):
        saga = chance.choice(SAGAS)
        saga_id = f"{saga.name}-{number}"
        await amends.start(saga, sagas.Order(coupon=chance.random() < 0.5), saga_id=saga_id)
        ids.append(saga_id)
        if chance.random() < 0.5:
            await turns(chance.randint(1, 30))
            await some_act(amends, chance, chance.choice(ids))
        if chance.random() < 0.2:
            await fire(amends, clock, by=timedelta(seconds=chance.choice((1, 40, 4_000))))
    return ids


async def check_rows(service: Service, ids: Sequence[str]) -> set[str]:
    """Hold every row against what the orchestrator says; return the statuses that were seen."""
    assert service.queries is not None
    await until(lambda: service.orchestrator.engine.live == 0)
    await service.queries.caught_up()
    rows = {row.id: row for row in (await service.queries.find(ALL, limit=1000)).sagas}
    assert sorted(rows) == sorted(ids)
    for saga_id, row in rows.items():
        view = await service.orchestrator.get(saga_id)
        events = await service.orchestrator.events(saga_id)
        ends = [event.time for event in events if event.type in ENDS]
        assert row == SagaSummary(
            namespace="default",
            id=saga_id,
            saga=view.saga,
            version=view.version,
            status=view.status,
            business_status=view.business_status,
            paused=view.paused,
            position=view.position,
            sequence=row.sequence,
            started_at=events[0].time,
            updated_at=events[-1].time,
            ended_at=ends[-1] if view.status in {"completed", "compensated", "abandoned"} else None,
            stuck=view.stuck,
            cause=view.cause.code if view.cause is not None else "",
        )
    counted = Counter((row.saga, row.status) for row in rows.values())
    table = await service.queries.counts()
    assert {(saga, status): n for saga, by in table.items() for status, n in by.items()} == counted
    return {row.status for row in rows.values()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "shaky"])
async def test_every_row_says_what_its_stream_says(
    stores: Stores, tmp_path: Path, kind: str, seed: int
) -> None:
    chance, clock = random.Random(seed), ManualClock()
    shaky, kept = Shaky(random.Random(seed)), MemoryReadModel()
    shared = storage.read_models() if kind == "postgres" else None

    def read_model() -> ReadModel:
        if shared is not None:
            return shared()
        return (
            SqliteReadModel(tmp_path / "views") if kind == "sqlite" else (shaky if kind == "shaky" else kept)
        )

    moody = {name: Moody(chance) for plan in Registry(SAGAS).plans for name in plan.participants}
    ids: list[str] = []
    statuses: set[str] = set()
    for _ in range(2):
        amends = Orchestrator(
            sagas=SAGAS, store=stores(), participants=moody, clock=clock, protection=UNPROTECTED
        )
        async with Service(amends, read_model=read_model()) as service:
            ids += await live_through(amends, chance, clock, first=len(ids))
            statuses = await check_rows(service, ids)
    assert len(statuses) >= 3, f"little happened: {statuses}"
    assert kind != "shaky" or shaky.failed


@pytest.mark.parametrize("seed", range(2))
async def test_rows_are_the_same_when_no_state_is_kept(seed: int) -> None:
    chance, clock, store = random.Random(seed), ManualClock(), memory()
    moody = {name: Moody(chance) for plan in Registry(SAGAS).plans for name in plan.participants}
    amends = Orchestrator(sagas=SAGAS, store=store, participants=moody, clock=clock, protection=UNPROTECTED)
    async with Service(amends, read_model=MemoryReadModel()) as service:
        ids = await live_through(amends, chance, clock)
        await check_rows(service, ids)
        assert service.queries is not None
        wanted = (await service.queries.find(ALL, limit=1000)).sagas
        for most_kept, piece in ((0, 7), (2, 3), (10_000, 1)):
            model = MemoryReadModel()
            await model.open()
            projector = Projector(store, model, most_kept=most_kept)
            log = [Followed(logged) for logged in await store.log(limit=100_000)]
            for first in range(0, len(log), piece):
                await projector.take(log[first : first + piece])
            assert tuple(await model.find(ALL, limit=1000)) == wanted


async def shown(service: Service, query: SagaQuery = ALL) -> list[str]:
    assert service.queries is not None
    await service.queries.caught_up()
    return [row.id for row in (await service.queries.find(query, limit=1000)).sagas]


async def test_a_read_model_of_another_store_is_built_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    views = tmp_path / "views"
    for name in ("first", "second"):
        amends = orchestrator(sqlite(tmp_path / f"{name}.db"))
        async with Service(amends, read_model=SqliteReadModel(views)) as service:
            for number in range(3):
                await amends.run(FULFIL, Order(), saga_id=f"{name}-{number}")
            assert await shown(service) == [f"{name}-{number}" for number in range(3)]
    assert "built anew" in caplog.text


async def test_a_store_that_was_put_back_takes_its_rows_with_it(tmp_path: Path) -> None:
    database = tmp_path / "amends.db"
    async with orchestrator(sqlite(database)) as amends:
        await amends.run(FULFIL, Order(), saga_id="o-1")
    backup = database.read_bytes()
    for saga_id in ("lost", "o-2"):
        amends = orchestrator(sqlite(database))
        async with Service(amends, read_model=SqliteReadModel(tmp_path / "views")) as service:
            await amends.run(FULFIL, Order(), saga_id=saga_id)
            assert await shown(service) == ["o-1", saga_id]
        database.write_bytes(backup)
    # The log of the one that was put back grows beyond the checkpoint before anybody looks.
    async with orchestrator(sqlite(database)) as amends:
        for number in (3, 4, 5):
            await amends.run(FULFIL, Order(), saga_id=f"o-{number}")
    amends = orchestrator(sqlite(database))
    async with Service(amends, read_model=SqliteReadModel(tmp_path / "views")) as service:
        assert await shown(service) == ["o-1", "o-3", "o-4", "o-5"]


async def test_views_go_on_where_they_were(tmp_path: Path, stores: Stores) -> None:
    async with Service(orchestrator(stores()), read_model=SqliteReadModel(tmp_path / "v")) as service:
        await service.orchestrator.run(FULFIL, Order(), saga_id="o-1")
        await shown(service)
    async with orchestrator(stores()) as amends:
        await amends.run(FULFIL, Order(), saga_id="o-2")
    counting = Wrapped(stores())
    async with Service(orchestrator(counting), read_model=SqliteReadModel(tmp_path / "v")) as service:
        assert await shown(service) == ["o-1", "o-2"]
        assert service.queries is not None
        assert (service.queries.projected, service.queries.lag) == (await counting.log_end(), 0)
    (tmp_path / "v").unlink()
    async with Service(orchestrator(stores()), read_model=SqliteReadModel(tmp_path / "v")) as service:
        assert await shown(service) == ["o-1", "o-2"], "deleted, and built again"


async def test_a_stream_that_cannot_be_read_harms_no_other_row(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores()
    await store.open()
    for position, body in ((1, b'[{"type":"FromTheFuture","schema":99}]'), (2, b"[{}]")):
        key = StreamKey("default", "bad")
        damaged = Transition(key=key, position=position, events=1, recorded_at=NOON, body=body)
        await store.append([Append(damaged, KeepIndex())])
    await store.close()
    async with Service(orchestrator(stores()), read_model=MemoryReadModel()) as service:
        await service.orchestrator.run(FULFIL, Order(), saga_id="good")
        assert await shown(service) == ["good"]
    assert any(r.levelno == logging.ERROR and "bad" in r.message for r in caplog.records)


async def test_only_the_own_namespace_is_shown(store: EventStore) -> None:
    model = MemoryReadModel()
    shop = Shop()
    for namespace in ("north", "south"):
        amends = Orchestrator(sagas=[FULFIL], store=store, participants=shop.bindings(), namespace=namespace)
        async with Service(amends, read_model=model) as service:
            await amends.run(FULFIL, Order(), saga_id=namespace)
            assert await shown(service) == [namespace]
            assert await shown(service, SagaQuery(namespace="north")) == [namespace]
            assert service.queries is not None
            assert await service.queries.counts() == {"fulfil": {"completed": 1}}


async def test_pages_go_on_behind_a_place_and_end(store: EventStore) -> None:
    clock = ManualClock()
    async with Service(orchestrator(store, clock=clock), read_model=MemoryReadModel()) as service:
        for number in range(5):
            await service.orchestrator.start(APPROVED, Order(), saga_id=f"o-{number}")
            clock.move(timedelta(seconds=1))
        queries = service.queries
        assert queries is not None
        await queries.caught_up()
        first = await queries.find(SagaQuery(), limit=3)
        assert [row.id for row in first.sagas] == ["o-4", "o-3", "o-2"]
        assert first.next == Place(NOON + timedelta(seconds=2), "default", "o-2")
        rest = await queries.find(SagaQuery(), limit=3, after=first.next)
        assert ([row.id for row in rest.sagas], rest.next) == (["o-1", "o-0"], None)
        assert (await queries.find(SagaQuery(), limit=5)).next is None
        assert await queries.find(SagaQuery(saga="none"), limit=5) == Page((), None)
        for limit in (0, -1, 1001):
            with pytest.raises(ValueError, match="1 to 1000"):
                await queries.find(SagaQuery(), limit=limit)


async def test_caught_up_waits_for_what_is_durable_now(store: EventStore) -> None:
    model = Gated()
    async with Service(orchestrator(store), read_model=model) as service:
        await service.orchestrator.run(FULFIL, Order(), saga_id="o-1")
        assert service.queries is not None
        waiting = asyncio.create_task(service.queries.caught_up())
        await until(lambda: model.waits)
        await turns()
        assert not waiting.done()
        assert service.queries.lag > 0
        model.gate.set()
        await waiting
        await asyncio.wait_for(service.queries.caught_up(1), 5)
        assert [row.id for row in (await service.queries.find(ALL)).sagas] == ["o-1"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await service.queries.caught_up(10**9)


async def test_a_slow_read_model_does_not_hold_up_sagas(store: EventStore) -> None:
    model = Gated()
    async with Service(orchestrator(store), read_model=model) as service:
        for number in range(20):
            view = await service.orchestrator.run(FULFIL, Order(), saga_id=f"o-{number}")
            assert view.status == "completed"
        assert not model.gate.is_set()


async def test_the_end_of_an_instance_that_was_reopened_is_taken_back(store: EventStore) -> None:
    clock, shop = ManualClock(), Shop()
    shop.on("pay", lambda _command: asyncio.Event().wait())
    async with Service(orchestrator(store, shop, clock=clock), read_model=MemoryReadModel()) as service:
        amends = service.orchestrator
        await amends.start(FULFIL, Order(), saga_id="o-1")
        shop.refuse("refund")
        while (await amends.get("o-1")).status not in {"compensated", "stuck"}:
            await fire(amends, clock, by=timedelta(minutes=1))
        shop.on("refund", lambda _command: None)
        while (await amends.get("o-1")).status == "stuck":
            await amends.retry("o-1", (await amends.get("o-1")).stuck[0], by="ada", reason="test")
            await turns()
        await until(lambda: amends.engine.live == 0)
        assert (await amends.get("o-1")).status == "compensated"
        await check_rows(service, ["o-1"])
        gate = asyncio.Event()
        shop.on("refund", lambda _command: gate.wait())
        await amends.reply("o-1", "pay", Succeeded(b'{"payment":"late"}'))
        assert (await amends.get("o-1")).status == "compensating"
        assert service.queries is not None
        await service.queries.caught_up()
        (row,) = (await service.queries.find(ALL)).sagas
        assert (row.status, row.ended_at) == ("compensating", None)
        clock.move(timedelta(seconds=1))
        gate.set()
        await until(lambda: amends.engine.live == 0)
        await check_rows(service, ["o-1"])
