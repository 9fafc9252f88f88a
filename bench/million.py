"""One million instances that wait in PostgreSQL: can it be opened, are timers in time, do replies find them, what does
a transition cost.

    python -m bench.million [--instances N] [--json]

A server of its own (`servers/postgresql`) gets one store with 10,000 instances and one with N, by default a million
(`bench.waiting` says what they are). Then, turn by turn, the same sagas run to their end over both stores, and the CPU
of both sides is counted for each transition: the ratio says whether what is stored makes a transition dearer. At last a
process opens the large store (`bench.waiting_process`). Each figure that must hold has its verdict; the exit code is 1
when one does not. That with random ids is printed beside and decides nothing: it is known to be above the bound.
It does not: say how fast the machine is; `bench.postgres_store` does.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from amends.adapters.postgres import Address, PostgresEventStore
from amends.application.writer import Writer
from bench.postgres_store import Run, backend_of, cpu_of
from bench.sqlite_store import TRANSITIONS, growing_ids, random_ids
from bench.waiting import fill, fill_due, progress
from servers import postgresql

FEW = 10_000
MILLION = 1_000_000
ROUNDS = 7
SECONDS = 1.5
IN_FLIGHT = 50
IDS: dict[str, Callable[[], Iterator[str]]] = {"growing": growing_ids, "random": random_ids}
"""Those that the orchestrator makes grow with time; random ones are the dearest that callers can choose."""
TIMERS = 1_000
REPLIES = 1_000
UNTIL_DUE = timedelta(seconds=60)
"""From the moment at which the timers are stored: they are due while the process opens, and a while after."""


class Held(NamedTuple):
    """A figure that must hold."""

    name: str
    found: float
    bound: float
    unit: str
    decides: bool = True
    """Whether the exit code depends on it."""

    @property
    def holds(self) -> bool:
        return self.found <= self.bound


async def cost(address: Address, ids: Iterator[str]) -> float:
    """Return the microseconds of CPU for a transition, client and server together, of sagas that run to their end."""
    store = PostgresEventStore(address)
    await store.open()
    backend = await backend_of(address)
    writer = Writer(store, on_stop=lambda error: sys.exit(str(error)))
    writer.start()
    run = Run(writer, ids)
    before = time.process_time() + cpu_of(backend)
    run.latest = time.perf_counter() + SECONDS
    for _ in range(IN_FLIGHT):
        run.begin()
    await run.over.wait()
    spent = time.process_time() + cpu_of(backend) - before
    await writer.stop()
    await store.close()
    return spent / (run.ended * TRANSITIONS) * 1e6


def compared(few: Address, many: Address, kind: str) -> tuple[float, float]:
    """Return what a transition costs with few and with many stored: medians of rounds that take turns."""
    found: dict[Address, list[float]] = {few: [], many: []}
    for number in range(ROUNDS):
        for address in (few, many) if number % 2 else (many, few):
            found[address].append(asyncio.run(cost(address, IDS[kind]())))
        progress(
            f"cost with {kind} ids, round {number + 1} of {ROUNDS}: {found[few][-1]:.1f} us with few stored, "
            f"{found[many][-1]:.1f} us with many"
        )
    # The first round meets cold caches on both sides.
    return statistics.median(found[few][1:]), statistics.median(found[many][1:])


def opened(
    url: str, address: Address, instances: int, *, timers: int, replies: int, within: timedelta
) -> dict[str, float]:
    """Have a process open the store with its timers about to be due; return what it says."""

    async def store_timers() -> None:
        store = PostgresEventStore(address)
        await store.open()
        now = datetime.now(UTC)
        dues = [now + within * number / timers for number in range(timers)]
        await fill_due(store, instances, dues)
        await store.close()

    asyncio.run(store_timers())
    arguments = (url, address.schema, instances, timers, replies)
    progress(f"a process opens the store; {timers:,} timers are due within {within.seconds} s")
    told = subprocess.run(
        [sys.executable, "-m", "bench.waiting_process", *map(str, arguments)],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(told.stdout)
    return found


def campaign(url: str, instances: int) -> dict[str, object]:
    """Measure on the server at `url`."""
    few, many = (Address.of(url, schema=f"{name}_{uuid.uuid4().hex[:12]}") for name in ("few", "many"))
    for address, count, what in (
        (few, min(FEW, instances), "the small store"),
        (many, instances, "the large store"),
    ):
        asyncio.run(filled(address, count, what))
    costs = {kind: compared(few, many, kind) for kind in IDS}
    figures = opened(url, many, instances, timers=TIMERS, replies=REPLIES, within=UNTIL_DUE)
    figures["instances"] = instances
    for kind, (cheap, dear) in costs.items():
        figures |= {f"cost_few_{kind}_us": cheap, f"cost_many_{kind}_us": dear}
    verdicts = (
        Held("start", figures["start_s"], 30, "s"),
        Held("peak memory", figures["peak_memory"] / 2**30, 1, "GiB"),
        Held("latest timer", figures["latest_timer_s"], 5, "s"),
        Held("replies without their end", figures["replies"] - figures["replies_handled"], 0, ""),
        *(
            Held(f"cost, many to few, {kind} ids", dear / cheap, 1.1, "", decides=kind != "random")
            for kind, (cheap, dear) in costs.items()
        ),
    )
    return {"figures": figures, "verdicts": [{**each._asdict(), "holds": each.holds} for each in verdicts]}


async def filled(address: Address, count: int, what: str) -> None:
    """Store so many instances that wait."""
    store = PostgresEventStore(address)
    await store.open()
    await fill(store, 0, count, what=what)
    await store.close()


def table(found: dict[str, object], say: Callable[[str], None]) -> None:
    """Print figures and verdicts."""
    figures, verdicts = found["figures"], found["verdicts"]
    assert isinstance(figures, dict)
    assert isinstance(verdicts, list)
    for name, value in figures.items():
        say(f"{name:24} {value:>16,.2f}")
    say("")
    for each in verdicts:
        verdict = (
            "holds" if each["holds"] else "DOES NOT HOLD" if each["decides"] else "does not hold (known)"
        )
        say(f"{each['name']:36} {each['found']:9.2f} of {each['bound']:g} {each['unit']:4} {verdict}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.million")
    parser.add_argument("--instances", type=int, default=MILLION)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        server = postgresql.start(Path(scratch, "server"))
        try:
            found = campaign(server.local_address, asked.instances)
        finally:
            postgresql.remove(Path(scratch, "server"))
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        table(found, print)
    verdicts = found["verdicts"]
    assert isinstance(verdicts, list)
    return 0 if all(each["holds"] or not each["decides"] for each in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
