"""What the PostgreSQL event store does, beside what the same server can do with one commit per transition.

    python -m bench.postgres_store [ROUNDS]

Happy sagas of four transitions (about 1.45 kB of JSON; the index row is set by the first and removed by the last) are
appended by the orchestrator's own writer, with 50 and 500 sagas in flight: each hands in its next transition when the
one before is durable. "single" is what 50 clients of pgbench reach on the same server when every transition is a commit
of its own: no engine that commits per transition can pass it. The server is one of its own (`servers/postgres`).
It does not: run the engine, or judge; only ratios inside one round say something.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from amends.adapters.postgres import Address, PostgresEventStore
from amends.adapters.postgres.session import connect
from amends.application.writer import Verdict, Writer
from amends.ports import Append
from bench.sqlite_store import BODIES, TRANSITIONS, appends_of, growing_ids, random_ids, say
from servers import postgresql

SECONDS = 4.0
CLIENTS = 50
IN_FLIGHT = (50, 500)
SINGLE_SCHEMA = """
DROP SCHEMA IF EXISTS single CASCADE;
CREATE SCHEMA single;
CREATE TABLE single.transition (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream bigint NOT NULL, recorded_at timestamptz NOT NULL,
    position integer NOT NULL, events integer NOT NULL, body json NOT NULL, UNIQUE (stream, position));
CREATE TABLE single.open_instance (stream bigint PRIMARY KEY, wake_at timestamptz, outstanding boolean NOT NULL);
"""
INSERT = "INSERT INTO single.transition (stream, recorded_at, position, events, body) VALUES (:s, now(), {}, 2, '{}');"
FIRST = "WITH kept AS (INSERT INTO single.open_instance VALUES (:s, now(), true)) "
LAST = "WITH gone AS (DELETE FROM single.open_instance WHERE stream = :s) "


class Figures(NamedTuple):
    """Of one run."""

    sagas_per_s: float
    median_ms: float
    p99_ms: float
    python_microseconds: float
    server_microseconds: float


class Waiting(NamedTuple):
    """What the writer is handed."""

    append: Append
    told: Callable[[Verdict], None]

    def settled(self, verdict: Verdict) -> None:
        self.told(verdict)


class Run:
    """Sagas that are begun, one for each that ends, until the time is over."""

    def __init__(self, writer: Writer, ids: Iterator[str]) -> None:
        self._writer = writer
        self._ids = ids
        self.ended = 0
        self.spent: list[float] = []
        self.latest = 0.0
        self.left = 0
        self.over = asyncio.Event()

    def begin(self) -> None:
        self.left += 1
        steps = iter(appends_of(next(self._ids)))
        started = time.perf_counter()

        def told(verdict: Verdict) -> None:
            if verdict is not True:
                sys.exit(f"an append was not stored although nobody else writes: {verdict}")
            go_on()

        def go_on() -> None:
            step = next(steps, None)
            if step is not None:
                self._writer.append(Waiting(step, told))
            else:
                self._end(time.perf_counter() - started)

        go_on()

    def _end(self, spent: float) -> None:
        self.left -= 1
        self.ended += 1
        self.spent.append(spent)
        if time.perf_counter() < self.latest:
            self.begin()
        elif not self.left:
            self.over.set()


def cpu_of(process: int) -> float:
    """Return the seconds of CPU that a process of this machine has had; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(url: str, ids: Iterator[str], in_flight: int) -> Figures:
    """Append for `SECONDS`."""
    address = Address.of(url, schema=f"bench_{uuid.uuid4().hex[:12]}")
    store = PostgresEventStore(address)
    await store.open()
    backend = await backend_of(address)
    writer = Writer(store, on_stop=lambda error: sys.exit(str(error)))
    writer.start()
    run = Run(writer, ids)
    began, python, server = time.perf_counter(), time.process_time(), cpu_of(backend)
    run.latest = began + SECONDS
    for _ in range(in_flight):
        run.begin()
    await run.over.wait()
    seconds = time.perf_counter() - began
    python, server = time.process_time() - python, cpu_of(backend) - server
    await writer.stop()
    await store.close()
    ordered = sorted(run.spent)
    transitions = run.ended * TRANSITIONS
    return Figures(
        sagas_per_s=run.ended / seconds,
        median_ms=ordered[len(ordered) // 2] * 1e3,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1e3,
        python_microseconds=python / transitions * 1e6,
        server_microseconds=server / transitions * 1e6,
    )


async def backend_of(address: Address) -> int:
    """Return the process of the server that the store writes by: the one with the hold."""
    link = await connect(address, within=10)
    held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::text::regnamespace::oid"
    backend = int(await link.fetchval(held, address.schema))
    await link.close()
    return backend


def single_commits(server: postgresql.Server, folder: Path) -> float:
    """Return the sagas per second when each transition is a commit of its own."""
    script = folder / "single.sql"
    inserts = [INSERT.format(1 + 2 * step, body.decode()) for step, body in enumerate(BODIES)]
    inserts[0], inserts[-1] = FIRST + inserts[0], LAST + inserts[-1]
    script.write_text("\n".join([r"\set s random(1, 9000000000000000000)", *inserts]), encoding="utf-8")
    folder.chmod(0o755)
    where = ["-h", server.sockets, "-p", str(server.port), "-U", "amends", "amends"]
    how = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(int(SECONDS)), "-f", str(script)]
    told = subprocess.run(
        [str(Path(server.programs, "pgbench")), *how, *where], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"tps = ([\d.]+)", told)
    assert found is not None, told
    return float(found[1])


async def prepare(url: str) -> None:
    link = await connect(Address.of(url), within=10)
    await link.execute(SINGLE_SCHEMA)
    await link.close()


def main(folder: Path, rounds: int) -> None:
    """Print all figures, then the ratios' medians."""
    server = postgresql.start(folder / "server")
    kinds: dict[str, Callable[[], Iterator[str]]] = {"growing": growing_ids, "random": random_ids}
    ratios: dict[tuple[str, int], list[float]] = {}
    say("ids      in flight  sagas/s  ratio   p50 ms  p99 ms  CPU us/transition: Python  PostgreSQL")
    for _ in range(rounds):
        asyncio.run(prepare(server.local_address))
        limit = single_commits(server, folder)
        say(f"single   {CLIENTS:9}  {limit:7,.0f}   1.0")
        for kind, make_ids in kinds.items():
            for in_flight in IN_FLIGHT:
                found = asyncio.run(measure(server.local_address, make_ids(), in_flight))
                ratios.setdefault((kind, in_flight), []).append(found.sagas_per_s / limit)
                say(
                    f"{kind:8} {in_flight:9}  {found.sagas_per_s:7,.0f}  {found.sagas_per_s / limit:4.1f}"
                    f"  {found.median_ms:7.2f} {found.p99_ms:7.2f}  {found.python_microseconds:24.1f}"
                    f"  {found.server_microseconds:10.1f}"
                )
    for (kind, in_flight), found_ratios in ratios.items():
        say(
            f"median   {kind} ids, {in_flight} in flight: {statistics.median(found_ratios):.1f} times single commits"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        try:
            main(Path(scratch), int(sys.argv[1]) if len(sys.argv) > 1 else 3)
        finally:
            postgresql.remove(Path(scratch, "server"))
