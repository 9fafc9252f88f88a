"""Start requests, as fast as `concurrency` callers make them one after the other; prints `StartFigures` as JSON.

Rules: a request counts when its answer, 201, has been read; a warm-up of a tenth is not counted. Latency is from the
call to the last byte of the answer. It does not: know who answers.

    python -m amends.delivery.bench.start_client TASK
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus

import aiohttp
import msgspec

from amends.delivery.bench.workload import order, parked_order


class StartTask(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send how many starts; `first` is the number of the first instance."""

    url: str
    concurrency: int
    starts: int
    first: int = 0


class StartFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: requests a second, milliseconds, and the bytes of one answer."""

    starts_per_s: float
    p50_ms: float
    p99_ms: float
    answer_bytes: int


async def measure(task: StartTask) -> StartFigures:
    """Make the requests of `task`."""
    warm_up = task.starts // 10
    numbers = iter(range(task.first, task.first + warm_up + task.starts))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await _run(session, task, _some(numbers, warm_up))
        began = time.perf_counter()
        found = await _run(session, task, numbers)
        spent = time.perf_counter() - began
    latencies = sorted(latency for latency, _length in found)
    return StartFigures(
        starts_per_s=task.starts / spent,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
        answer_bytes=found[0][1],
    )


def _some(numbers: Iterator[int], count: int) -> Iterator[int]:
    for _ in range(count):
        yield next(numbers)


async def _run(
    session: aiohttp.ClientSession, task: StartTask, numbers: Iterator[int]
) -> list[tuple[float, int]]:
    """Return seconds and answered bytes of each request."""
    found: list[tuple[float, int]] = []
    headers = {"Content-Type": "application/json"}

    async def caller() -> None:
        for number in numbers:
            body = {"saga": parked_order.name, "id": f"parked-{number:09d}", "data": order(number)}
            content = msgspec.json.encode(body)
            began = time.perf_counter()
            async with session.post(f"{task.url}/v1/sagas", data=content, headers=headers) as response:
                answer = await response.read()
            found.append((time.perf_counter() - began, len(answer)))
            if response.status != HTTPStatus.CREATED:
                raise RuntimeError(f"start {number} was answered {response.status}: {answer[:200]!r}")

    await asyncio.gather(*(caller() for _ in range(task.concurrency)))
    return found


def main() -> None:
    """Measure the task given as JSON."""
    task = msgspec.json.decode(sys.argv[1].encode(), type=StartTask)
    print(msgspec.json.encode(asyncio.run(measure(task))).decode())


if __name__ == "__main__":
    main()
