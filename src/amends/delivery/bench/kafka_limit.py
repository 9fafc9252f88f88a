"""The broker by itself: how many commands a second it takes in, and how many it gives out again.

Rules: the records are those of the bare client, in full batches that are made before the clock starts, one after the
other for each partition, acknowledged by all replicas; then one reader reads them all. Nobody answers. Prints
`BrokerFigures` as JSON.
It does not: measure latency, or more than one writer and one reader can do.

    python -m amends.delivery.bench.kafka_limit TASK
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from amends.delivery.bench.bare import bodies_of
from amends.delivery.bench.kafka_bare import command_of, headers_of
from amends.delivery.bench.kafka_driver import PARTITIONS, Builder, Producer, consumer, producer
from amends.delivery.bench.point import Task
from amends.delivery.bench.workload import CALLS, Topics

BATCHES: Final = 20
"""For each partition."""


class BrokerFigures(msgspec.Struct, frozen=True):
    """Records a second."""

    in_per_s: float
    out_per_s: float


async def measure(task: Task) -> BrokerFigures:
    """Write and read."""
    topics = task.topics
    if topics is None:
        raise ValueError("the task names no topics")
    writer = producer(topics.servers)
    await writer.start()
    try:
        await _write(writer, topics, [[_batch(writer, topics)] for _ in range(PARTITIONS)])
        made = [[_batch(writer, topics) for _ in range(BATCHES)] for _ in range(PARTITIONS)]
        began = time.perf_counter()
        await _write(writer, topics, made)
        came_in = time.perf_counter() - began
    finally:
        await writer.stop()
    counted = sum(each.record_count() for each in _all(made))
    return BrokerFigures(counted / came_in, await _read(topics, counted))


def _all(made: Sequence[Sequence[Builder]]) -> list[Builder]:
    return [each for batches in made for each in batches]


def _batch(writer: Producer, topics: Topics) -> Builder:
    batch, name, number = writer.create_batch(), CALLS["happy"][0], 0
    while True:
        saga_id = f"order-{number:09d}"
        headers = headers_of(saga_id, name, command_of(saga_id, name), topics.bare)
        body = bodies_of(number)[0]
        if batch.append(timestamp=None, key=saga_id.encode(), value=body, headers=headers) is None:
            return batch
        number += 1


async def _write(writer: Producer, topics: Topics, made: Sequence[Sequence[Builder]]) -> None:
    async def write(partition: int, batches: Sequence[Builder]) -> None:
        written = [await writer.send_batch(each, topics.limit, partition=partition) for each in batches]
        await asyncio.gather(*written)

    await asyncio.gather(*(write(partition, batches) for partition, batches in enumerate(made)))


async def _read(topics: Topics, wanted: int) -> float:
    """Return how many a second came out, of the last `wanted`."""
    reader = consumer(topics.servers, topics.limit)
    await reader.start()
    try:
        first = await reader.getmany(timeout_ms=10_000)
        begun, count = time.perf_counter(), 0
        beyond = wanted - sum(map(len, first.values()))
        while count < beyond:
            found = await reader.getmany(timeout_ms=10_000)
            if not found:
                raise RuntimeError(f"the broker gave {count} records of {beyond}")
            count += sum(map(len, found.values()))
        return count / (time.perf_counter() - begun)
    finally:
        await reader.stop()


def main() -> None:
    """Measure the task given as JSON."""
    task = msgspec.json.decode(sys.argv[1].encode(), type=Task)
    print(msgspec.json.encode(asyncio.run(measure(task))).decode())


if __name__ == "__main__":
    main()
