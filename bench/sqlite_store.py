"""What the SQLite event store costs, beside what bare SQLite can do on the same disk in the same run.

    python -m bench.sqlite_store [FOLDER]

Happy sagas of four transitions (about 1.45 kB of JSON; the index row is set by the first and removed by the last) are
appended in batches of 1, 50 and 500 of different sagas, with commits on the event loop and in a thread, and with saga
ids that grow with time and random ones. "bare" does the same commits with one row each into a table without an index.
It does not: run the engine, or judge; only ratios inside one run say something.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from amends.adapters.sqlite import SqliteEventStore, measure_limits
from amends.ports.event_store import (
    Append,
    IndexChange,
    KeepIndex,
    RemoveIndex,
    SetIndex,
    StreamKey,
    Transition,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECONDS = 2.0
TRANSITIONS = 4


class Figures(NamedTuple):
    """Of one run."""

    transitions_per_s: float
    cpu_microseconds: float
    bytes_per_saga: float
    median_ms: float
    p99_ms: float
    longest_ms: float


def growing_ids() -> Iterator[str]:
    """Version 7: milliseconds, then randomness."""
    milliseconds = 1_790_000_000_000
    while True:
        milliseconds += 1
        yield str(
            uuid.UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | (uuid.uuid4().int & (2**62 - 1)))
        )


def random_ids() -> Iterator[str]:
    """Version 4, as most callers make them."""
    while True:
        yield str(uuid.uuid4())


def an_event(kind: str, size: int) -> dict[str, object]:
    """About as long as the orchestrator's own."""
    return {
        "type": kind,
        "step": "reserve-stock",
        "due": "2026-11-20T12:00:30.000000Z",
        "payload": "x" * size,
    }


BODIES = tuple(
    json.dumps([an_event(*event) for event in events], separators=(",", ":")).encode()
    for events in (
        (("SagaStarted", 260), ("CommandIssued", 80)),
        (("ReplyRecorded", 60), ("CommandIssued", 80)),
        (("ReplyRecorded", 60), ("CommandIssued", 80)),
        (("ReplyRecorded", 60), ("SagaCompleted", 4)),
    )
)


def appends_of(saga_id: str) -> list[Append]:
    """The four appends of a happy saga."""
    changes: tuple[IndexChange, ...] = (
        SetIndex(NOON + timedelta(minutes=15), outstanding=True),
        KeepIndex(),
        KeepIndex(),
        RemoveIndex(),
    )
    key = StreamKey("default", saga_id)
    return [
        Append(Transition(key=key, position=1 + 2 * number, events=2, recorded_at=NOON, body=body), change)
        for number, (body, change) in enumerate(zip(BODIES, changes, strict=True))
    ]


def batches(ids: Iterator[str], size: int) -> Iterator[list[Append]]:
    """`size` sagas side by side, one transition of each per batch."""
    while True:
        sagas = [appends_of(next(ids)) for _ in range(size)]
        yield from (list(step) for step in zip(*sagas, strict=True))


async def measure(path: Path, ids: Iterator[str], size: int, inline_limit: float) -> Figures:
    """Append for `SECONDS` of the store's own time."""
    store = SqliteEventStore(path, inline_limit=inline_limit)
    await store.open()
    stream = batches(ids, size)
    spent: list[float] = []
    cpu = 0.0
    while len(spent) % 64 or sum(spent) < SECONDS:
        batch = next(stream)
        cpu_before, before = time.process_time(), time.perf_counter()
        verdicts = await store.append(batch)
        spent.append(time.perf_counter() - before)
        cpu += time.process_time() - cpu_before
        if not all(verdicts):
            sys.exit("an append lost although nobody else writes")
    await store.close()
    transitions = len(spent) * size
    total = sum(spent)
    ordered = sorted(spent)
    return Figures(
        transitions_per_s=transitions / total,
        cpu_microseconds=cpu / transitions * 1e6,
        bytes_per_saga=size_of(path) / transitions * TRANSITIONS,
        median_ms=ordered[len(ordered) // 2] * 1e3,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1e3,
        longest_ms=ordered[-1] * 1e3,
    )


def size_of(file: Path) -> int:
    """In bytes."""
    return file.stat().st_size


def say(line: str) -> None:
    """Print."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """Print all figures."""
    limits = measure_limits(folder)
    say(
        f"bare: {limits.commits_per_s:,.0f} commits/s; {limits.sagas_per_s_100_per_commit:,.0f} sagas/s, 100 per commit"
    )
    say(f"a saga has {sum(map(len, BODIES)):,} bytes of JSON")
    say("ids      commits  batch  transitions/s  sagas/s  CPU us/tr.  bytes/saga  p50 ms  p99 ms  longest")
    kinds: dict[str, Callable[[], Iterator[str]]] = {"growing": growing_ids, "random": random_ids}
    for kind, make_ids in kinds.items():
        for commits, inline_limit in (("adaptive", 0.002), ("thread", 0.0)):
            for size in (1, 50, 500):
                with TemporaryDirectory(dir=folder) as scratch:
                    figures = asyncio.run(measure(Path(scratch) / "bench.db", make_ids(), size, inline_limit))
                say(
                    f"{kind:8} {commits:8} {size:5}  {figures.transitions_per_s:13,.0f}"
                    f"  {figures.transitions_per_s / TRANSITIONS:7,.0f}  {figures.cpu_microseconds:10.2f}"
                    f"  {figures.bytes_per_saga:10,.0f}  {figures.median_ms:6.2f}  {figures.p99_ms:6.2f}"
                    f"  {figures.longest_ms:7.1f}"
                )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
