"""The campaign's phases: what is broken, when, and what must hold afterwards.

Rules
- A phase begins with everything up, has sagas of all examples under way, breaks something, mends it, and waits until
  every saga that was begun has ended. Then the books are looked at.
- Time to resume counts from the moment when what was broken is whole again (from the kill itself, where another process
  or the next life can go on at once), for each saga that was open then.
It does not: choose how long or how often (`campaign`).
"""

import asyncio
import random
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from amends.adapters.postgres import PostgresStoreReader
from amends.application.history import events_in
from amends.core.event import CommandIssued
from amends.ports import StreamKey
from tests.adapters.postgres.lines import session
from tests.crash.cluster.books import history, percentile, resumes, wrong_in_services, wrong_in_store
from tests.crash.cluster.database import Database
from tests.crash.cluster.fuses import Fuse, FuseBox, command_name
from tests.crash.cluster.load import Client, Load, Run, World
from tests.crash.cluster.services import Cluster, pause
from tests.crash.points import KINDS, Kind

SETTLED_WITHIN: Final = 180.0
SLOW: Final = 3.0
"""Seconds to go on that are worth a look."""
FULL = re.compile(rb"no space left|File too large")
"""What an orchestrator's log says of a full disk, and of a limit on files."""
OPEN = "SELECT saga_id FROM open_saga"
ON_THE_WAY: Final = 12
"""Sagas that are under way at a time while something breaks."""
BETWEEN: Final = 12
"""Sagas that end between two outages."""
MOST_MISSED: Final = 0.05
"""Fuses that may stay whole: where branches run beside one another, what one run did another may not do."""


Interrupted: TypeAlias = tuple[Sequence[str], float]
"""The sagas that something kept from going on, and since when they could."""


@dataclass
class Found:
    """What one phase has seen."""

    name: str
    sagas: int = 0
    kills: int = 0
    outages: int = 0
    seconds: float = 0.0
    fuses: dict[Kind, int] = field(default_factory=dict[Kind, int])
    missed: list[str] = field(default_factory=list[str])
    resumes: list[float] = field(default_factory=list[float])
    slow: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    wrong: list[str] = field(default_factory=list[str])
    notes: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def slowest(self) -> tuple[float, float]:
        """The 99th percentile and the longest time to resume."""
        return percentile(self.resumes, 0.99), percentile(self.resumes, 1.0)


@dataclass
class Scene:
    """What a phase plays on."""

    world: World
    database: Database
    cluster: Cluster
    found: Found
    say: Callable[[str], None]

    @property
    def client(self) -> Client:
        return Client(self.world, self.cluster)

    async def interrupted(self) -> Interrupted:
        """Return the sagas that are open now, and now."""
        now = time.time()
        async with session(self.database.address) as link:
            return [row[0] for row in await link.fetch(OPEN)], now

    async def went_on(self, interrupted: Interrupted, kills: Sequence[float] = ()) -> None:
        """Note how long it took each of them to go on, counted from the last of `kills` before it did."""
        sagas, since = interrupted
        found = await resumes(self.database.address, dict.fromkeys(sagas, since))
        for saga_id, whole in found.items():
            last = max([since, *(kill for kill in kills if since < kill < since + whole)])
            seconds = since + whole - last
            self.found.resumes.append(seconds)
            if seconds > SLOW:
                self.found.slow.append((seconds, saga_id))
                told = await history(self.database.address, saga_id)
                path = self.cluster.plan.directory / f"{saga_id}.slow"
                path.write_text(f"interrupted at {since:.3f}, went on after {seconds:.3f} s\n{told}\n")

    async def balance(self) -> None:
        """Look at the books of everything so far."""
        acknowledged = [run.saga_id for run in self.world.runs if run.saga_id in self.world.seen]
        self.found.wrong += self.world.wrong
        self.world.wrong.clear()
        self.found.wrong += await wrong_in_store(self.database.address, acknowledged)
        self.found.wrong += await wrong_in_services(self.world, self.database.address)


Breaking: TypeAlias = Callable[[Scene, int], Awaitable[Interrupted]]
"""Breaks and mends something for the n-th time."""


async def under_load(scene: Scene, breaking: Breaking, *, times: int) -> None:
    """Break something so often while sagas are under way."""
    load = Load(scene.client, ON_THE_WAY)
    load.tell = lambda: scene.say(
        f"{load.ended} of {load.started} sagas ended, {scene.found.outages} outages"
    )
    load.begin()
    waiting: list[Interrupted] = []
    try:
        await load.until_ended(BETWEEN)
        for number in range(times):
            waiting.append(await breaking(scene, number))
            scene.found.outages += 1
            await load.until_ended(BETWEEN)
    finally:
        await load.finish(SETTLED_WITHIN)
    for interrupted in waiting:
        await scene.went_on(interrupted)
    scene.found.sagas += load.ended


# --- what can break --------------------------------------------------------------------------------------------------


async def process_killed(scene: Scene, number: int) -> Interrupted:
    """SIGKILL of an orchestrator."""
    members = scene.cluster.members
    member = members[number % len(members)]
    await member.up.wait()
    member.signal(signal.SIGKILL)
    return await scene.interrupted()


async def server_killed(scene: Scene, _number: int) -> Interrupted:
    """SIGKILL of all processes of PostgreSQL, and its restart."""
    async with scene.database.killed():
        pass
    return await scene.interrupted()


async def sessions_cut(scene: Scene, _number: int) -> Interrupted:
    """Every connection to the database ends."""
    await scene.database.cut()
    return await scene.interrupted()


def tables_locked(seconds: float) -> Breaking:
    """Another session holds the tables."""

    async def lock(scene: Scene, _number: int) -> Interrupted:
        async with scene.database.locked():
            await pause(seconds)
        return await scene.interrupted()

    return lock


async def disk_full(scene: Scene, _number: int) -> Interrupted:
    """No space is left, until somebody makes room."""
    logs = {member.log: member.log.stat().st_size for member in scene.cluster.members}
    async with scene.database.full():
        async with asyncio.timeout(SETTLED_WITHIN):
            while not any(FULL.search(log.read_bytes()[size:]) for log, size in logs.items()):
                await pause(0.1)
    return await scene.interrupted()


def process_stopped(seconds: float) -> Breaking:
    """SIGSTOP of an orchestrator for longer than its lease."""

    async def stop(scene: Scene, number: int) -> Interrupted:
        members = scene.cluster.members
        member = members[number % len(members)]
        await member.up.wait()
        member.signal(signal.SIGSTOP)
        interrupted = await scene.interrupted()
        await pause(seconds)
        member.signal(signal.SIGCONT)
        return interrupted if len(members) > 1 else await scene.interrupted()

    return stop


# --- every moment of a saga ------------------------------------------------------------------------------------------


async def fuses_of(scene: Scene, run: Run) -> list[Fuse]:
    """Return every moment that a process can die at, from the stream of a run in which none did."""
    reader = PostgresStoreReader(scene.database.address)
    await reader.open()
    try:
        transitions = await reader.read(StreamKey("default", run.saga_id))
    finally:
        await reader.close()
    fuses: list[Fuse] = []
    for transition in transitions:
        fuses += [Fuse("before-commit", transition.position), Fuse("after-commit", transition.position)]
        for event in events_in(transition):
            if isinstance(event, CommandIssued):
                name = command_name(event.direction, event.step, event.round)
                fuses += [Fuse("after-send", name), Fuse("after-reply", name)]
    # By kinds, so that whoever takes only some of them takes some of each.
    return sorted(fuses, key=lambda fuse: KINDS.index(fuse.kind))


async def every_moment(
    scene: Scene,
    ways: Mapping[str, Sequence[str]],
    *,
    stride: int,
    abreast: int,
    draw: random.Random,
    until: float,
) -> None:
    """Kill a process at each moment of each way, every `stride`-th, beginning anywhere, as long as there is time."""
    box = FuseBox(scene.cluster.plan.fuses or scene.cluster.plan.directory)
    references = [scene.world.make(name, way) for name in ways for way in ways[name]]
    await asyncio.gather(*(scene.client.see_through(run) for run in references))
    laid: list[tuple[Run, Fuse]] = []
    for reference in references:
        fuses = await fuses_of(scene, reference)
        laid += [(reference, fuse) for fuse in fuses[draw.randrange(stride) :: stride]]
    # Not in the order of a saga's life, so that whatever time suffices for is spread over all of it.
    draw.shuffle(laid)
    waiting = iter(laid)
    burnt: list[Interrupted] = []

    async def go_on() -> None:
        for reference, fuse in waiting:
            if time.monotonic() > until:
                return
            run = scene.world.make(reference.example.name, reference.way)
            box.lay(run.saga_id, fuse)
            await scene.client.see_through(run)
            mark = box.burnt(run.saga_id)
            if mark is None:
                scene.found.missed.append(f"{reference.example.name} {reference.way} {fuse}")
            else:
                burnt.append(([run.saga_id], mark.at))
                scene.found.fuses[fuse.kind] = scene.found.fuses.get(fuse.kind, 0) + 1
            scene.say(f"{len(burnt)} of {len(laid)} moments")

    await asyncio.gather(*(go_on() for _ in range(abreast)))
    scene.found.sagas += len(references) + len(burnt) + len(scene.found.missed)
    scene.found.notes["moments"] = len(laid)
    kills = [at for _sagas, at in burnt]
    for interrupted in burnt:
        # The kill of another saga's moment may have hit whoever had taken this one over.
        await scene.went_on(interrupted, kills)
    if len(scene.found.missed) > MOST_MISSED * len(laid):
        scene.found.wrong += [f"nobody came to {missed}" for missed in scene.found.missed]
    if missing := [kind for kind in KINDS if not scene.found.fuses.get(kind)]:
        scene.found.wrong.append(f"no process died {' or '.join(missing)}")
