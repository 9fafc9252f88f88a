"""The bare client over Kafka: what anybody could do at best who makes a saga's three round trips and keeps nothing.

Rules: the records, their keys and headers are those that the engine writes, one after the other for each saga,
`concurrency` sagas at a time; a round trip ends when the reply's headers have been read. A warm-up of a tenth is not
counted. Prints `BareFigures` as JSON: round trips divided by three.
It does not: persist, retry, wait for acknowledgements, commit offsets, or look into replies.

    python -m amends.delivery.bench.kafka_bare TASK
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from amends.delivery.bench.bare import BareFigures, bodies_of
from amends.delivery.bench.kafka_driver import Consumer, Headers, Producer, consumer, producer
from amends.delivery.bench.point import Task
from amends.delivery.bench.workload import CALLS, Topics


async def measure(task: Task) -> BareFigures:
    """Make the round trips of `task.sagas` sagas."""
    topics = task.topics
    if topics is None:
        raise ValueError("the task names no topics")
    reader, writer = consumer(topics.servers, topics.bare), producer(topics.servers)
    await reader.start()
    await writer.start()
    waiting: dict[bytes, asyncio.Future[None]] = {}
    reading = asyncio.create_task(_read(reader, waiting))
    try:
        warm_up = task.sagas // 10
        await _run(writer, task, topics, waiting, iter(range(warm_up)))
        began = time.perf_counter()
        await _run(writer, task, topics, waiting, iter(range(warm_up, warm_up + task.sagas)))
        return BareFigures(task.sagas / (time.perf_counter() - began))
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await reader.stop()
        await writer.stop()


async def _read(reader: Consumer, waiting: dict[bytes, "asyncio.Future[None]"]) -> None:
    while True:
        found = await reader.getmany(timeout_ms=1000)
        for records in found.values():
            for record in records:
                for name, value in record.headers:
                    if name == "ce_amendscommandid":
                        waiting.pop(value).set_result(None)
                        break


async def _run(
    writer: Producer,
    task: Task,
    topics: Topics,
    waiting: dict[bytes, "asyncio.Future[None]"],
    numbers: Iterator[int],
) -> None:
    names, loop = CALLS[task.workload], asyncio.get_running_loop()

    async def caller() -> None:
        for number in numbers:
            saga_id = f"order-{number:09d}"
            for name, body in zip(names, bodies_of(number), strict=True):
                called = command_of(saga_id, name)
                answered = waiting[called] = loop.create_future()
                headers = headers_of(saga_id, name, called, topics.bare)
                await writer.send(topics.commands, body, saga_id.encode(), headers=headers)
                await answered

    await asyncio.gather(*(caller() for _ in range(task.concurrency)))


def command_of(saga_id: str, name: str) -> bytes:
    """Return the id of a command."""
    return f"{saga_id}/{name}/{_direction(name)}/1".encode()


def headers_of(saga_id: str, name: str, called: bytes, reply_to: str) -> Headers:
    """Return the headers of a command."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"amends.command"),
        ("content-type", b"application/json"),
        ("ce_id", called),
        ("ce_source", b"/amends/default"),
        ("ce_subject", saga_id.encode()),
        ("ce_time", now.replace("+00:00", "Z").encode()),
        ("ce_amendscommand", name.encode()),
        ("ce_amendsnamespace", b"default"),
        ("ce_amendssaga", b"order-fulfilment"),
        ("ce_amendsstep", name.encode()),
        ("ce_amendsdirection", _direction(name).encode()),
        ("ce_amendsround", b"1"),
        ("ce_amendsattempt", b"1"),
        ("ce_amendsreplyto", reply_to.encode()),
    ]


def _direction(name: str) -> str:
    return "undo" if name == "release-inventory" else "do"


def main() -> None:
    """Measure the task given as JSON."""
    task = msgspec.json.decode(sys.argv[1].encode(), type=Task)
    print(msgspec.json.encode(asyncio.run(measure(task))).decode())


if __name__ == "__main__":
    main()
