"""The crash campaign: `python -m tests.crash.campaign [--short] [--seed N] [--minutes M]`, or `make crash`.

First every single crash point of every way through the order process: each kind, n = 1, 2, 3… until a run ends without
reaching it. Then every command whose participant is killed after acting and before answering. Then, until the minutes
are over, runs that are killed two to six times at points drawn from the seed. `--short` leaves the drawn runs out, and
every second point.

Rules: what must hold is checked after each run and over all of them (`expedition`); the exit code is 1 if anything did
not. The seed is printed and repeats the drawn runs. It does not: choose how a run is killed (`points`).
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.crash.expedition import Expedition, Tally
from tests.crash.orders import COMMANDS, WAYS
from tests.crash.points import KINDS, Kind, Point

MOST_POINTS: Final = 60
ABREAST: Final = 3


def progress(tally: Tally, what: str) -> None:
    line = f"{tally.runs} runs, {tally.kills} kills, {len(tally.wrong)} wrong: {what}"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


async def every_point(expedition: Expedition, way: str, kind: Kind, *, stride: int, offset: int = 0) -> int:
    """Kill at each point of one kind until a run does not reach it; return how many were reached."""
    reached = 0
    for number in range(1 + offset, MOST_POINTS, stride):
        if not await expedition.run(way, [Point(kind, number)]):
            return reached
        reached += 1
        progress(expedition.tally, f"{way}, {kind} {number}")
    expedition.tally.wrong.append(f"{way}: more than {MOST_POINTS} points of the kind {kind}")
    return reached


async def every_way(expedition: Expedition, ways: Sequence[str], *, stride: int) -> dict[str, dict[str, int]]:
    """Every kind of every way, several abreast; return how many points each had."""
    table: dict[str, dict[str, int]] = {way: {} for way in ways}

    async def one(way: str, kind: Kind, offset: int) -> None:
        table[way][kind] = await every_point(expedition, way, kind, stride=stride, offset=offset)

    pairs: list[tuple[str, Kind]] = [(way, kind) for way in ways for kind in KINDS]
    await asyncio.gather(*(one(way, kind, number % stride) for number, (way, kind) in enumerate(pairs)))
    return table


async def every_participant(expedition: Expedition) -> None:
    """Kill each command's participant when it has acted and not answered."""
    for way, service, command in COMMANDS:
        await expedition.run_with_participant_killed(way, service, command)
        progress(expedition.tally, f"{service} killed at {command}")


async def drawn_runs(expedition: Expedition, draw: random.Random, *, until: float) -> None:
    """Kill runs again and again at drawn points until the time is over."""

    async def go_on() -> None:
        while time.monotonic() < until:
            way = draw.choice(list(WAYS))
            kinds = draw.choices(KINDS, k=draw.randint(2, 6))
            points = [Point(kind, draw.choice((1, 1, 2, 3, draw.randint(1, 20)))) for kind in kinds]
            await expedition.run(way, points)
            progress(expedition.tally, f"{way}, {len(points)} deaths")

    await asyncio.gather(*(go_on() for _ in range(ABREAST)))


def summary(tally: Tally, table: dict[str, dict[str, int]], seconds: float) -> str:
    """Return the table that ends a campaign."""
    lines = [f"{'points killed':<18}" + "".join(f"{kind:>15}" for kind in KINDS)]
    for way, kinds in table.items():
        lines.append(f"{way:<18}" + "".join(f"{kinds.get(kind, 0):>15}" for kind in KINDS))
    resumes = sorted(tally.resumes) or [0.0]
    median, late = resumes[len(resumes) // 2], resumes[min(len(resumes) - 1, int(len(resumes) * 0.99))]
    lines += [
        "",
        f"runs {tally.runs}, restarts {tally.lives - tally.runs}, in {seconds:.0f} s",
        f"kills of the engine {tally.kills}, of participants {tally.participant_kills}",
        f"time to resume after a restart: median {median * 1000:.1f} ms, 99th percentile {late * 1000:.1f} ms",
        f"wrong: {len(tally.wrong)}",
        *(f"  {fault}" for fault in tally.wrong[:40]),
    ]
    return "\n".join(lines)


async def campaign(directory: Path, *, short: bool, seed: int, minutes: float) -> int:
    """Run it all; return the exit code."""
    began = time.monotonic()
    async with Expedition(directory, abreast=ABREAST) as expedition:
        table = await every_way(expedition, list(WAYS), stride=2 if short else 1)
        await every_participant(expedition)
        if not short:
            await drawn_runs(expedition, random.Random(seed), until=began + minutes * 60)
        await expedition.check_books()
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        print(summary(expedition.tally, table, time.monotonic() - began))
        return 1 if expedition.tally.wrong else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign of the command line."""
    parser = argparse.ArgumentParser(
        prog="tests.crash.campaign", description="kills and restarts, and what must hold"
    )
    parser.add_argument("--short", action="store_true", help="every second point once, no drawn runs")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long the whole campaign takes at least"
    )
    parsed = parser.parse_args(arguments)
    print(f"seed {parsed.seed}{', short' if parsed.short else f', {parsed.minutes:g} minutes'}", flush=True)
    with TemporaryDirectory(prefix="amends-crash-") as directory:
        return asyncio.run(
            campaign(Path(directory), short=parsed.short, seed=parsed.seed, minutes=parsed.minutes)
        )


if __name__ == "__main__":
    sys.exit(main())
