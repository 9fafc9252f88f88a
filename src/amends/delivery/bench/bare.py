"""The bare client: what anybody could do at best who makes a saga's three calls and keeps nothing.

Rules: the calls, bodies and headers are those that the engine sends, one after the other for each saga, `concurrency`
sagas at a time, over one pool of connections. A warm-up of a tenth is not counted. Prints `Figures` as JSON.
It does not: persist, retry, or look into replies.

    python -m amends.delivery.bench.bare TASK
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping

import aiohttp
import msgspec

from amends.delivery.bench.point import Task
from amends.delivery.bench.workload import CALLS, order as order_of, pay, reserve, ship


class BareFigures(msgspec.Struct, frozen=True):
    """What was measured."""

    sagas_per_s: float


async def measure(task: Task) -> BareFigures:
    """Make the calls of `task.sagas` sagas."""
    warm_up = task.sagas // 10
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(limit=0, limit_per_host=100)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await _run(session, task, iter(range(warm_up)))
        began = time.perf_counter()
        await _run(session, task, iter(range(warm_up, warm_up + task.sagas)))
        return BareFigures(task.sagas / (time.perf_counter() - began))


async def _run(session: aiohttp.ClientSession, task: Task, numbers: Iterator[int]) -> None:
    names = CALLS[task.workload]

    async def caller() -> None:
        for number in numbers:
            for name, body in zip(names, bodies_of(number), strict=True):
                headers = _headers(number, name)
                async with session.post(f"{task.url}/{name}", data=body, headers=headers) as response:
                    await response.read()

    await asyncio.gather(*(caller() for _ in range(task.concurrency)))


def bodies_of(number: int) -> tuple[bytes, bytes, bytes]:
    """Return the payloads of the three commands of a saga."""
    order = order_of(number)
    made = (reserve(order), pay(order), ship(order))
    first, second, third = (msgspec.json.encode(command.payload) for command in made)
    return first, second, third


def _headers(number: int, name: str) -> Mapping[str, str]:
    saga_id = f"order-{number:09d}"
    direction = "undo" if name == "release-inventory" else "do"
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{saga_id}/{name}/{direction}/1",
        "Amends-Saga-Id": saga_id,
        "Amends-Namespace": "default",
        "Amends-Step": name,
        "Amends-Direction": direction,
        "Amends-Round": "1",
        "Amends-Attempt": "1",
    }


def main() -> None:
    """Measure the task given as JSON."""
    task = msgspec.json.decode(sys.argv[1].encode(), type=Task)
    print(msgspec.json.encode(asyncio.run(measure(task))).decode())


if __name__ == "__main__":
    main()
