"""The crash campaign on PostgreSQL: `python -m tests.crash.cluster.campaign [--short] [--minutes M] [--seed N] …`.

Real orchestrators (`amends serve`), a real PostgreSQL, the real services of the five examples. First something breaks
under load, one phase after the other: orchestrators are killed, PostgreSQL is killed, all sessions are cut, the tables
are locked, the disk is full, an orchestrator is stopped beyond its lease. Then, until the time is over, an orchestrator
is killed at every moment of every kind of saga: before and after each commit, when a command has left, when an answer
has come. `--short` does each of it once, and only some of the moments.

Rules: what must hold is looked at after each phase (`books`); the exit code is 1 if anything did not, or if resuming
took longer than the lease and five seconds. The seed is printed and repeats which moments are chosen, in which order.
It does not: break or judge by itself (`phases`, `books`).
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.crash.cluster import phases
from tests.crash.cluster.database import Database
from tests.crash.cluster.load import World
from tests.crash.cluster.phases import Found, Scene, under_load
from tests.crash.cluster.services import Cluster, Plan
from tests.crash.cluster.ways import WAYS
from tests.crash.verdict import said

LEASE: Final = 5.0
ALLOWED: Final = 5.0
"""Seconds beyond the lease within which 99 of 100 interrupted sagas have to go on."""
SHORT_STRIDE: Final = 7
"""Odd, for moments before and after a commit stand in turn."""
SETTINGS: Final = ("log:\n  level: warning",)

Play = Callable[[Scene], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    short: bool = False
    seed: int = 0
    minutes: float = 10.0
    processes: int = 2
    only: Sequence[str] = ()
    liar: bool = False
    may_mount: bool = True
    quiet: bool = False
    names: Sequence[str] = tuple(WAYS)
    stride: int = 0
    """Of the moments, in the short form; 0: as it is by default."""

    @property
    def lock_seconds(self) -> float:
        """How long the tables are locked."""
        return 3.0 if self.short else 30.0

    @property
    def stop_seconds(self) -> float:
        """How long an orchestrator is stopped: beyond its lease."""
        return LEASE + (1.0 if self.short else 5.0)


@dataclass
class Campaign:
    """One run of it."""

    directory: Path
    options: Options
    began: float = field(default_factory=time.monotonic)
    found: list[Found] = field(default_factory=list[Found])

    async def run(self) -> None:
        """Play all phases; what was found stands in `found`."""
        async with AsyncExitStack() as stack:
            world = await stack.enter_async_context(World(self.directory / "services", self.options.names))
            database = Database(self.directory, may_mount=self.options.may_mount)
            stack.push_async_callback(database.remove)
            await database.start()
            outages = self._outages()
            if outages:
                async with Cluster(self._plan(world, database, with_fuses=False)) as cluster:
                    for name, play in outages.items():
                        await self._play(name, play, world, database, cluster)
            if self._is_wanted("moments"):
                async with Cluster(self._plan(world, database, with_fuses=True)) as cluster:
                    await self._play("moments", self._moments, world, database, cluster)

    @property
    def wrong(self) -> list[str]:
        """Everything that does not hold."""
        late = [
            f"{found.name}: resuming took {found.slowest[0]:.1f} s (99th percentile)"
            for found in self.found
            if found.slowest[0] > LEASE + ALLOWED
        ]
        return [*(f"{found.name}: {fault}" for found in self.found for fault in found.wrong), *late]

    def _outages(self) -> dict[str, Play]:
        options = self.options
        often = 1 if options.short else 3
        breakings: dict[str, tuple[phases.Breaking, int]] = {
            "process-killed": (phases.process_killed, 2 * often),
            "server-killed": (phases.server_killed, often),
            "sessions-cut": (phases.sessions_cut, 2 * often),
            "tables-locked": (phases.tables_locked(options.lock_seconds), 1),
            "disk-full": (phases.disk_full, 1),
            "process-stopped": (phases.process_stopped(options.stop_seconds), max(options.processes, 1)),
        }

        def play(breaking: phases.Breaking, times: int) -> Play:
            return lambda scene: under_load(scene, breaking, times=times)

        return {name: play(*breakings[name]) for name in breakings if self._is_wanted(name)}

    async def _moments(self, scene: Scene) -> None:
        options = self.options
        ways = {name: tuple(WAYS[name]) for name in options.names}
        stride = options.stride or (SHORT_STRIDE if options.short else 1)
        draw = random.Random(options.seed)
        until = self.began + options.minutes * 60
        while True:
            await phases.every_moment(scene, ways, stride=stride, abreast=6, draw=draw, until=until)
            if options.short or time.monotonic() > until:
                return

    async def _play(self, name: str, play: Play, world: World, database: Database, cluster: Cluster) -> None:
        found = Found(name)
        self.found.append(found)
        began, kills = time.monotonic(), cluster.kills

        def say(what: str) -> None:
            if not self.options.quiet and sys.stderr.isatty():
                sys.stderr.write(f"\r\x1b[K{name}: {what}")
                sys.stderr.flush()

        scene = Scene(world, database, cluster, found, say)
        await play(scene)
        await scene.balance()
        found.kills = cluster.kills - kills
        found.seconds = time.monotonic() - began
        if not self.options.quiet:
            sys.stderr.write(f"\r\x1b[K{line_of(found)}\n" if sys.stderr.isatty() else f"{line_of(found)}\n")

    def _plan(self, world: World, database: Database, *, with_fuses: bool) -> Plan:
        directory = self.directory / ("fused" if with_fuses else "whole")
        directory.mkdir()
        return Plan(
            directory=directory,
            store=database.url,
            targets=world.targets,
            participants=world.participants,
            processes=self.options.processes,
            settings=SETTINGS,
            fuses=directory / "fuses" if with_fuses else None,
            liar=self.options.liar,
        )

    def _is_wanted(self, name: str) -> bool:
        return not self.options.only or name in self.options.only


def line_of(found: Found) -> str:
    """Return a phase's line of the table."""
    late, latest = found.slowest
    fuses = ", ".join(f"{kind} {number}" for kind, number in sorted(found.fuses.items()))
    return (
        f"{found.name:<16} {found.sagas:>6} sagas {found.outages:>3} outages {found.kills:>4} kills "
        f"resumed in {late:5.2f} s (99 %), {latest:5.2f} s at most {found.seconds:6.1f} s  "
        f"wrong: {len(found.wrong)}{f'  ({fuses})' if fuses else ''}"
    )


def document(campaign: Campaign) -> dict[str, object]:
    """Return everything as one JSON document."""
    return {
        "seed": campaign.options.seed,
        "processes": campaign.options.processes,
        "seconds": round(time.monotonic() - campaign.began, 1),
        "wrong": campaign.wrong,
        "phases": [
            {
                "name": found.name,
                "sagas": found.sagas,
                "outages": found.outages,
                "kills": found.kills,
                "fuses": found.fuses,
                "missed": found.missed,
                "resumed": len(found.resumes),
                "resume_p99_s": round(found.slowest[0], 3),
                "resume_max_s": round(found.slowest[1], 3),
                "slow": sorted(found.slow, reverse=True)[:20],
                "seconds": round(found.seconds, 1),
                **found.notes,
            }
            for found in campaign.found
        ],
    }


PHASES: Final = (
    "process-killed",
    "server-killed",
    "sessions-cut",
    "tables-locked",
    "disk-full",
    "process-stopped",
    "moments",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign of the command line."""
    parser = argparse.ArgumentParser(prog="tests.crash.cluster.campaign", description="outages on PostgreSQL")
    parser.add_argument("--short", action="store_true", help="each outage once, some of the moments")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the whole takes at least")
    parser.add_argument("--processes", type=int, default=2, help="how many orchestrators share the database")
    parser.add_argument(
        "--only", choices=PHASES, action="append", default=[], help="one phase instead of all"
    )
    parser.add_argument("--example", choices=tuple(WAYS), action="append", help="one example instead of all")
    parser.add_argument("--liar", action="store_true", help="acknowledge before the commit: this must fail")
    parser.add_argument(
        "--no-mount", action="store_true", help="fill the disk by a limit on files, as without root"
    )
    parser.add_argument("--directory", type=Path, help="where the run's files stay, to be looked at")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parsed = parser.parse_args(arguments)
    options = Options(
        short=parsed.short,
        seed=parsed.seed,
        minutes=parsed.minutes,
        processes=parsed.processes,
        only=parsed.only,
        liar=parsed.liar,
        may_mount=not parsed.no_mount,
        names=tuple(parsed.example or WAYS),
    )
    print(f"seed {options.seed}, {options.processes} processes", file=sys.stderr, flush=True)
    with TemporaryDirectory(prefix="amends-campaign-") as own:
        campaign = Campaign(parsed.directory or Path(own), options)
        asyncio.run(campaign.run())
    return said(campaign.wrong, document(campaign) if parsed.json else None)


if __name__ == "__main__":
    sys.exit(main())
