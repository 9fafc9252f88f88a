"""One measured point, in a process of its own (`python -m amends.delivery.bench.point`): memory and CPU are its own.

Rules: reads a `Task` as JSON from the command line, prints one `Figures` as JSON. Latency is from the call to the
durable end of the saga. A warm-up of a tenth is not counted.
It does not: measure limits or print tables.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from amends.application.orchestrator import Orchestrator
from amends.bootstrap import memory, sqlite
from amends.delivery.bench.workload import WORKLOADS, Workload, bindings, order, order_fulfilment

StoreKind = Literal["sqlite", "memory"]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. `path` is the store's file; `url` where participants answer over HTTP, empty for local ones."""

    store: StoreKind
    path: str
    workload: Workload
    concurrency: int
    sagas: int
    url: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. Sizes in bytes and MiB, times in milliseconds and microseconds."""

    sagas_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_saga: float
    bytes_per_saga: float
    peak_mb: float


async def measure(task: Task) -> Figures:
    """Run `task` and return its figures."""
    store = memory() if task.store == "memory" else sqlite(task.path)
    warm_up = task.sagas // 10
    most_live = max(10_000, task.concurrency)
    participants = bindings(task.workload, task.url)
    async with Orchestrator(
        sagas=[order_fulfilment], store=store, participants=participants, most_live=most_live
    ) as amends:
        await _run(amends, task, iter(range(warm_up)))
        cpu, began = time.process_time(), time.perf_counter()
        latencies = await _run(amends, task, iter(range(warm_up, warm_up + task.sagas)))
        spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    latencies.sort()
    return Figures(
        sagas_per_s=task.sagas / spent,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
        cpu_us_per_saga=cpu / task.sagas * 1e6,
        bytes_per_saga=_stored(task) / (warm_up + task.sagas),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


async def _run(amends: Orchestrator, task: Task, numbers: Iterator[int]) -> list[float]:
    """Let `concurrency` callers run one saga after the other."""
    latencies: list[float] = []
    expected = "completed" if task.workload == WORKLOADS[0] else "compensated"

    async def caller() -> None:
        for number in numbers:
            began = time.perf_counter()
            end = await amends.run(order_fulfilment, order(number), saga_id=f"order-{number:09d}")
            latencies.append(time.perf_counter() - began)
            if end.status != expected:
                raise RuntimeError(f"saga {end.id} ended {end.status}, not {expected}")

    await asyncio.gather(*(caller() for _ in range(task.concurrency)))
    return latencies


def _stored(task: Task) -> int:
    """Return the size of the store's file after it was closed, when its log is part of it."""
    return Path(task.path).stat().st_size if task.store == "sqlite" else 0


def main() -> None:
    """Measure the task given as JSON."""
    task = msgspec.json.decode(sys.argv[1].encode(), type=Task)
    print(msgspec.json.encode(asyncio.run(measure(task))).decode())


if __name__ == "__main__":
    main()
