"""A service in a process of its own that relays to a topic.

    python -m tests.adapters.kafka.relaying BROKER TOPIC STORE

STORE is a file, or the address of a PostgreSQL server and a schema: `URL SCHEMA`. It runs the shop's saga with
participants in this process. A line of standard input is a verb with arguments; what it prints is in brackets:

    run PREFIX COUNT     so many instances, PREFIX-0 and on; again if they are there   [ended PREFIX], when all have
    relays               [relays True] or [relays False]
    close                [closed]

Besides it prints `ready`.
It does not: judge.
"""

import asyncio
import sys
from datetime import timedelta

from amends import Orchestrator, Service
from amends.adapters.kafka import Address, KafkaOutlet
from amends.adapters.postgres import Address as Database, PostgresEventStore
from amends.adapters.sqlite import SqliteEventStore
from amends.ports import EventStore
from tests.application.shop import FULFIL, Order, Shop

AT_A_TIME = 20


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def run(amends: Orchestrator, prefix: str, count: int) -> None:
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> None:
        async with room:
            await amends.run(FULFIL, Order(), saga_id=f"{prefix}-{number}")

    await asyncio.gather(*(one(number) for number in range(count)))
    say("ended", prefix)


async def main(broker: str, topic: str, place: list[str]) -> None:
    store: EventStore = SqliteEventStore(place[0])
    if len(place) > 1:
        store = PostgresEventStore(Database.of(place[0], schema=place[1]), lease=timedelta(seconds=2))
    amends = Orchestrator(sagas=[FULFIL], store=store, participants=Shop().bindings())
    outlet = KafkaOutlet(Address((broker,)), topic, partitions=3)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    async with Service(amends, outlet=outlet) as service:
        say("ready")
        while (line := await lines.readline()) not in {b"", b"close\n"}:
            match line.decode().split():
                case ["run", prefix, count]:
                    tasks.add(asyncio.create_task(run(amends, prefix, int(count))))
                case ["relays"]:
                    say("relays", service.relay is not None and service.relay.leads)
                case words:
                    say("what?", *words)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    say("closed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
