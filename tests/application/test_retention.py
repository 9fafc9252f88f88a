"""Retention: what is old enough goes, durable first; what goes wrong half-way is put right by the next run."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from amends import (
    Orchestrator,
    Refused,
    SagaQuery,
    SagaUnknown,
    Service,
    Succeeded,
    memory,
    memory_read_model,
)
from amends.adapters.folder import FolderArchive
from amends.adapters.memory import MemoryReadModel
from amends.application.projector import Projector
from amends.application.restoration import Restored, restore
from amends.application.retention import Archived, Retention
from amends.application.service import Retained
from amends.ports import (
    SHARDS,
    Archive,
    EventStore,
    ReadModel,
    RetainedStore,
    SharedStore,
    StoredStream,
    StoreUnavailable,
    StreamEnd,
    StreamKey,
    Volume,
)
from tests.application.conftest import Stores
from tests.application.engine_world import NOON, ManualClock, events_of, orchestrator, until
from tests.application.shop import APPROVED, FULFIL, Order
from tests.application.stores import Held, Wrapped

DAY = timedelta(days=1)
ALL = SagaQuery(newest_first=False)


def retained(store: EventStore) -> RetainedStore:
    assert isinstance(store, RetainedStore)
    return store


def retention(
    store: EventStore,
    archive: Archive,
    clock: ManualClock,
    *,
    read_model: ReadModel | None = None,
    **options: Any,
) -> Retention:
    return Retention(retained(store), archive, clock, age=DAY, read_model=read_model, rest=0, **options)


async def run(amends: Orchestrator, *ids: str) -> None:
    for saga_id in ids:
        assert (await amends.run(FULFIL, Order(), saga_id=saga_id)).status == "completed"


async def listed(service: Service) -> list[str]:
    assert service.queries is not None
    await service.queries.caught_up()
    return [row.id for row in (await service.queries.find(ALL)).sagas]


async def ids_in(archive: Archive, name: str) -> list[str]:
    return [stream.key.saga_id async for page in archive.read(name) for stream in page]


async def test_what_is_old_goes_and_comes_back(store: EventStore, tmp_path: Path) -> None:
    clock, model, archive = ManualClock(), memory_read_model(), FolderArchive(tmp_path)
    async with Service(orchestrator(store, clock=clock), read_model=model) as service:
        amends = service.orchestrator
        await run(amends, "old-1", "old-2")
        await amends.start(APPROVED, Order(), saga_id="waiting")
        clock.move(2 * DAY)
        await run(amends, "new")
        assert await listed(service) == ["old-1", "old-2", "waiting", "new"]
        before = await events_of(store, "old-1")
        role = retention(store, archive, clock, read_model=model)
        done = await role.run_once()
        assert (done.streams, len(done.volumes), role.archived) == (2, 1, 2)
        assert done.transitions == len(await ids_in(archive, done.volumes[0])) * 4
        assert await role.run_once() == Archived(), "nothing is archived twice"
        assert await listed(service) == ["waiting", "new"]
        assert service.queries is not None
        counts = await service.queries.counts()
        assert counts["fulfil"] == {"completed": 1}
        with pytest.raises(SagaUnknown):
            await amends.get("old-1")
        with pytest.raises(SagaUnknown):
            await amends.reply("old-1", "pay", Succeeded(b"null"))
        projector = Projector(store, model)
        back = await restore(retained(store), archive, done.volumes[0], projector=projector, ids={"old-1"})
        assert back == Restored(1, 0)
        assert await restore(retained(store), archive, done.volumes[0], projector=projector) == Restored(1, 1)
        assert await listed(service) == ["old-1", "old-2", "waiting", "new"]
        assert await events_of(store, "old-1") == before
        assert (await amends.get("old-1")).status == "completed"
        await run(amends, "newer")
        assert (await listed(service))[-1] == "newer", "the followers go on"


async def test_lists_are_what_a_rebuild_would_make(store: EventStore, tmp_path: Path) -> None:
    clock, model = ManualClock(), memory_read_model()
    async with Service(orchestrator(store, clock=clock), read_model=model) as service:
        await run(service.orchestrator, "old")
        clock.move(2 * DAY)
        await run(service.orchestrator, "new")
        await listed(service)
        await retention(store, FolderArchive(tmp_path), clock, read_model=model).run_once()
        rows = list(await model.find(ALL, limit=10))
    async with Service(orchestrator(store), read_model=MemoryReadModel()) as service:
        assert service.queries is not None
        await service.queries.caught_up()
        assert list((await service.queries.find(ALL)).sagas) == rows
    async with Service(orchestrator(store), read_model=model) as service:
        assert await listed(service) == ["new"], "its checkpoint is still a place of this log"


async def test_the_newest_stays_and_is_not_archived_over_and_over(store: EventStore, tmp_path: Path) -> None:
    clock, archive = ManualClock(), FolderArchive(tmp_path)
    async with orchestrator(store, clock=clock) as amends:
        await run(amends, "old", "newest")
        clock.move(2 * DAY)
        role = retention(store, archive, clock)
        assert (await role.run_once()).streams == 1
        assert await role.run_once() == Archived()
        assert (await amends.get("newest")).status == "completed"
        assert len(await archive.volumes()) == 1


async def test_rows_that_lag_hold_their_instances_back(store: EventStore, tmp_path: Path) -> None:
    clock, model = ManualClock(), MemoryReadModel()
    async with orchestrator(store, clock=clock) as amends:
        await model.open()
        await run(amends, "old", "new")
        clock.move(2 * DAY)
        assert (
            await retention(store, FolderArchive(tmp_path), clock, read_model=model).run_once() == Archived()
        )


async def test_volumes_are_bounded(store: EventStore, tmp_path: Path) -> None:
    clock, archive = ManualClock(), FolderArchive(tmp_path)
    async with orchestrator(store, clock=clock) as amends:
        ids = [f"o-{number}" for number in range(8)]
        await run(amends, *ids)
        clock.move(2 * DAY)
        done = await retention(store, archive, clock, largest_volume=3).run_once()
        assert [await ids_in(archive, name) for name in done.volumes] == [ids[:3], ids[3:6], ids[6:7]]


class Broken:
    """A store whose named call fails once, before or after its work."""

    def __init__(self, store: RetainedStore, call: str, *, after: bool) -> None:
        self._store = store
        self._call = call
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name != self._call:
            return found

        async def failing(*arguments: Any, **named: Any) -> Any:
            self._call = ""
            if self._after:
                await found(*arguments, **named)
            raise StoreUnavailable("It went away.")

        return failing


@pytest.mark.parametrize("failing", ["before", "after"])
@pytest.mark.parametrize("call", ["delete_streams", "remove", "settle"])
async def test_what_went_wrong_half_way_is_put_right_by_the_next_run(
    store: EventStore, tmp_path: Path, call: str, failing: str
) -> None:
    clock, model, archive = ManualClock(), memory_read_model(), FolderArchive(tmp_path)
    async with Service(orchestrator(store, clock=clock), read_model=model) as service:
        await run(service.orchestrator, "old-1", "old-2")
        clock.move(2 * DAY)
        await run(service.orchestrator, "new")
        await listed(service)
        parts: dict[str, Any] = {"store": retained(store), "archive": archive, "read_model": model}
        kind = {"delete_streams": "store", "remove": "read_model", "settle": "archive"}[call]
        parts[kind] = Broken(parts[kind], call, after=failing == "after")
        role = Retention(
            parts["store"], parts["archive"], clock, age=DAY, read_model=parts["read_model"], rest=0
        )
        with pytest.raises(StoreUnavailable):
            await role.run_once()
        assert [volume.is_settled for volume in await archive.volumes()] == [
            (kind, failing) == ("archive", "after")
        ]
        assert (await role.run_once()).streams == 0, "it is in a volume already"
        assert [volume.is_settled for volume in await archive.volumes()] == [True]
        assert await listed(service) == ["new"]
        assert await events_of(store, "old-1") == []


class Meanwhile(FolderArchive):
    """Lets something happen when a volume is complete, before anything is deleted."""

    happens: Callable[[], Any]

    async def write(self, at: datetime, pages: AsyncIterator[Sequence[StoredStream]]) -> Volume | None:
        volume = await super().write(at, pages)
        await self.happens()
        return volume


async def test_an_instance_that_goes_on_meanwhile_stays(store: EventStore, tmp_path: Path) -> None:
    clock, model, archive = ManualClock(), memory_read_model(), Meanwhile(tmp_path)
    async with Service(orchestrator(store, clock=clock), read_model=model) as service:
        amends = service.orchestrator
        await run(amends, "late", "other")
        clock.move(2 * DAY)
        await run(amends, "new")
        await listed(service)
        before = await events_of(store, "late")

        async def goes_on() -> None:
            await amends.reply("late", "pay", Refused("NO", "after all"))
            await run(amends, "newer")

        archive.happens = goes_on
        role = retention(store, archive, clock, read_model=model)
        assert ((await role.run_once()).streams, role.archived) == (2, 1)
        assert len(await events_of(store, "late")) > len(before)
        assert (await amends.get("late")).status == "completed"
        assert sorted(await listed(service)) == ["late", "new", "newer"]


async def test_a_reply_that_meets_its_deletion_is_told(store: EventStore, tmp_path: Path) -> None:
    clock, held = ManualClock(), Held(store)
    held.gate.set()
    async with orchestrator(held, clock=clock) as amends:
        if isinstance(store, SharedStore):
            # Behind the wrapper it is not seen to be shared, and only a shard's holder gives streams up.
            assert len(await store.membership().claim(SHARDS)) == SHARDS
        await run(amends, "old", "new")
        held.gate.clear()
        held.held.clear()
        contradiction = Refused("NO", "after all")
        late = asyncio.create_task(amends.reply("old", "pay", contradiction))
        await held.held.wait()
        (stream,) = await retained(store).streams([StreamKey("default", "old")])
        assert list(await retained(store).delete_streams([stream.end])) == [True]
        held.gate.set()
        with pytest.raises(SagaUnknown):
            await late
        await until(lambda: amends.engine.live == 0)
        with pytest.raises(SagaUnknown):
            await amends.get("old")
        await run(amends, "old")


async def test_writers_go_on_while_streams_are_deleted(stores: Stores, tmp_path: Path) -> None:
    clock, store = ManualClock(), stores()
    async with orchestrator(store, clock=clock) as amends:
        await asyncio.gather(*(run(amends, f"o-{number}") for number in range(250)))
        clock.move(2 * DAY)
        await run(amends, "new")
        role = retention(store, FolderArchive(tmp_path), clock)
        running = asyncio.create_task(role.run_once())
        begun = 0
        # So many and no more: what is new is looked through as well.
        while not running.done() and begun < 200:
            await run(amends, f"n-{begun}")
            begun += 1
        assert (await running).streams == 250
        assert begun > 1
        assert {(await amends.get(f"n-{number}")).status for number in range(begun)} == {"completed"}


async def test_a_service_archives_by_itself_and_says_what_goes_wrong(
    store: EventStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, model = ManualClock(), memory_read_model()
    async with orchestrator(store, clock=clock) as amends:
        await run(amends, "old", "new")
    clock.move(2 * DAY)
    (tmp_path / "file").write_text("in the way")
    for folder, says in ((tmp_path / "file", "failures"), (tmp_path / "archive", "size")):
        again = Retained(FolderArchive(folder), DAY, timedelta(milliseconds=1))
        amends = orchestrator(store, clock=clock)
        async with Service(amends, read_model=model, retained=again) as service:
            await until(partial(getattr, service.retention, says))
            assert await listed(service) == (["new", "old"] if says == "failures" else ["new"])
    assert "retention goes on later: the archive in" in caplog.text
    assert clock.now() > NOON


def test_a_store_that_keeps_everything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="keeps everything"):
        Service(orchestrator(Wrapped(memory())), retained=Retained(FolderArchive(tmp_path), DAY))


async def test_an_end_that_is_asked_for_twice_is_deleted_once(store: EventStore) -> None:
    async with orchestrator(store) as amends:
        await run(amends, "old", "new")
        (stream,) = await retained(store).streams([StreamKey("default", "old")])
        verdicts = await asyncio.gather(*(retained(store).delete_streams([stream.end]) for _ in range(3)))
        assert sorted(verdict for (verdict,) in verdicts) == [False, False, True]
        assert isinstance(stream.end, StreamEnd)
