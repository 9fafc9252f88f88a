"""One measured process (`python -m amends.delivery.bench.point TASK`): memory and CPU are its own.

Rules: reads a `Task` as JSON from the command line and warms up with a tenth, which is not counted. It stands for a
service, so it looks for garbage as seldom as `amends serve` does. Then it says ``ready`` and waits for a line, so that
several begin together; at the end it prints one `Measured` as JSON. Latency is from the call to the durable end of the
saga.
It does not: measure limits or print tables.
"""

import asyncio
import resource
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec

from amends.application.orchestrator import Orchestrator
from amends.bootstrap import (
    EventStore,
    Transport,
    incoming,
    kafka,
    memory,
    memory_parked,
    postgres,
    service,
    sqlite,
    traces,
)
from amends.delivery.bench.places import StoreKind
from amends.delivery.bench.workload import (
    PARTICIPANTS,
    WORKLOADS,
    Topics,
    Workload,
    bindings,
    order,
    order_fulfilment,
)
from amends.delivery.garbage import collect_seldom
from amends.wire.topics import TopicBindings

READY: Final = "ready"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. `path` is the store's file or URL; `url` where participants answer over HTTP, `topics` where
    they do over Kafka, without both they are local. `first` is the number of the first order. With `own_ids` the
    orchestrator makes the ids of the sagas: so they are among those that its process drives, as far as several share a
    store. `traces` is where spans go, of the share `ratio` of the sagas; empty: none are made. With `metrics` a
    meter counts what becomes durable.
    """

    store: StoreKind
    path: str
    workload: Workload
    concurrency: int
    sagas: int
    url: str = ""
    topics: Topics | None = None
    first: int = 0
    own_ids: bool = False
    traces: str = ""
    ratio: float = 1.0
    metrics: bool = False

    @property
    def warm_up(self) -> int:
        """How many sagas go before those that count."""
        return self.sagas // 10


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. Times in seconds, memory in MiB."""

    spent: float
    cpu: float
    peak_mb: float
    latencies: list[float]


async def measure(task: Task) -> Measured:
    """Run `task` and return its figures."""
    async with _opened(task) as amends:
        collect_seldom()
        numbers = iter(range(task.first, task.first + task.warm_up + task.sagas))
        await _run(amends, task, numbers, task.warm_up)
        print(READY, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, began = time.process_time(), time.perf_counter()
        latencies = await _run(amends, task, numbers, task.sagas)
        spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(spent=spent, cpu=cpu, peak_mb=peak, latencies=latencies)


@asynccontextmanager
async def _opened(task: Task) -> AsyncGenerator[Orchestrator]:
    """Open what is measured."""
    async with AsyncExitStack() as stack:
        if task.topics is not None:
            yield await _over_topics(task, task.topics, stack)
            return
        orchestrator = _orchestrator(task, bindings(task.workload, task.url))
        await stack.enter_async_context(service(orchestrator) if task.metrics else orchestrator)
        yield orchestrator


async def _over_topics(task: Task, topics: Topics, stack: AsyncExitStack) -> Orchestrator:
    native = TopicBindings(native={each.name: topics.commands for each in PARTICIPANTS})
    cluster = kafka(topics.servers, native, group=topics.replies, replies=topics.replies, partitions=0)
    orchestrator = _orchestrator(task, cluster.transports)
    coming = incoming(orchestrator, cluster, memory_parked())
    await stack.enter_async_context(orchestrator)
    stack.push_async_callback(coming.arrivals.close)
    await coming.arrivals.open()
    stack.push_async_callback(coming.intake.stop)
    await coming.begin()
    return orchestrator


def _orchestrator(task: Task, participants: Mapping[str, Transport]) -> Orchestrator:
    return Orchestrator(
        sagas=[order_fulfilment],
        store=_store(task),
        participants=participants,
        most_live=max(10_000, task.concurrency),
        traces=traces(task.traces, ratio=task.ratio) if task.traces else None,
    )


def _store(task: Task) -> EventStore:
    match task.store:
        case "memory":
            return memory()
        case "sqlite":
            return sqlite(task.path)
        case "postgres":
            return postgres(task.path)


async def _run(amends: Orchestrator, task: Task, numbers: Iterator[int], count: int) -> list[float]:
    """Let `concurrency` callers run one saga after the other, `count` in all."""
    latencies: list[float] = []
    expected = "completed" if task.workload == WORKLOADS[0] else "compensated"
    turns = iter(range(count))

    async def caller() -> None:
        for _turn in turns:
            number = next(numbers)
            saga_id = None if task.own_ids else f"order-{number:09d}"
            began = time.perf_counter()
            end = await amends.run(order_fulfilment, order(number), saga_id=saga_id)
            latencies.append(time.perf_counter() - began)
            if end.status != expected:
                raise RuntimeError(f"saga {end.id} ended {end.status}, not {expected}")

    await asyncio.gather(*(caller() for _ in range(task.concurrency)))
    return latencies


def main() -> None:
    """Measure the task given as JSON."""
    task = msgspec.json.decode(sys.argv[1].encode(), type=Task)
    print(msgspec.json.encode(asyncio.run(measure(task))).decode())


if __name__ == "__main__":
    main()
