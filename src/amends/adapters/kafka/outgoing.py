"""Records on their way to a cluster: they gather while those before them are under way.

Rules
- Nothing waits by the clock for company: a batch is what came in one turn of the loop, or while the batches before were
  being acknowledged. Only when those take longer than `LONG` do other partitions go ahead.
- One batch of a partition is under way at a time, so the partition's records keep their order.
- The key says the partition, by the hash that other producers of Kafka use; records without a key take turns.
- A batch fails as a whole, and each of its records is told. One that goes `alone` shares its batch with nobody, so that
  what is said of the batch is said of the record.
It does not: try again, or know what a record means.
"""

import asyncio
import copy
from collections import deque
from functools import partial
from typing import NamedTuple

from amends.adapters.kafka import driver

CLOSED = "the connection to Kafka is closed"
LONG = 0.01
"""Seconds that records wait for what is under way to other partitions."""


class Sent(NamedTuple):
    """A record to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Outgoing:
    """All that is on its way through one producer."""

    def __init__(self, producer: driver.Producer) -> None:
        self._producer = producer
        self._partitions: dict[str, int] = {}
        self._turn = 0
        self._gathered: dict[driver.Partition, deque[_Batch]] = {}
        self._under_way: dict[driver.Partition, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._next: asyncio.Handle | None = None
        self._is_soon = False
        self._loop = asyncio.get_running_loop()

    def knows(self, topic: str) -> bool:
        """Tell whether the topic's partitions are known: `find` finds them."""
        return topic in self._partitions

    async def find(self, topic: str) -> None:
        """Find out how many partitions a topic has. All who ask meanwhile go on together, in the order of their asking.

        Raises:
            Exception: one of `driver.DRIVER_ERRORS`.
        """
        looking = self._looking.get(topic)
        if looking is None:
            looking = self._looking[topic] = asyncio.create_task(self._look(topic), name="amends-kafka-look")
            looking.add_done_callback(lambda _done: self._looking.pop(topic, None))
        await asyncio.shield(looking)

    async def _look(self, topic: str) -> None:
        self._partitions[topic] = len(await self._producer.partitions_for(topic))

    def put(self, sent: Sent, *, alone: bool = False) -> "asyncio.Future[None]":
        """Have a record written to a topic that is known; the future is done when it is durable, or has failed."""
        count = self._partitions[sent.topic]
        if sent.key is not None:
            number = driver.hash_of(sent.key) % count
        else:
            self._turn += 1
            number = self._turn % count
        place = driver.Partition(sent.topic, number)
        batches = self._gathered.get(place)
        if batches is None:
            batches = self._gathered[place] = deque()
        written = None if alone or not batches else batches[-1].add(sent)
        if written is None:
            batch = _Batch(self._producer.create_batch(), is_alone=alone)
            batches.append(batch)
            written = batch.first(sent)
        if not self._is_soon:
            self._go_later()
        return written

    def _go_later(self) -> None:
        """Send what has gathered: in the next turn when nothing is under way, else when that is done, or takes long."""
        if not self._under_way:
            self._is_soon = True
            if self._next is not None:
                self._next.cancel()
            self._next = self._loop.call_soon(self._go)
        elif self._next is None:
            self._next = self._loop.call_later(LONG, self._go)

    def _go(self) -> None:
        self._next, self._is_soon = None, False
        going: dict[driver.Partition, _Batch] = {}
        for place, batches in list(self._gathered.items()):
            if place not in self._under_way:
                going[place] = self._under_way[place] = batches.popleft()
                if not batches:
                    del self._gathered[place]
        task = asyncio.create_task(self._write(going), name="amends-to-kafka")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, going: "dict[driver.Partition, _Batch]") -> None:
        for place, batch in going.items():
            try:
                # Topics get more partitions, and are made anew with others.
                await self._look(place.topic)
                written = await batch.write(self._producer, place)
            except asyncio.CancelledError:
                batch.fail(ConnectionError(CLOSED))
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, it concerns those who wait
                self._ended(place, error)
            else:
                written.add_done_callback(partial(self._done, place))

    def _done(self, place: driver.Partition, written: "asyncio.Future[object]") -> None:
        self._ended(place, ConnectionError(CLOSED) if written.cancelled() else written.exception())

    def _ended(self, place: driver.Partition, error: BaseException | None) -> None:
        batch = self._under_way.pop(place)
        if error is None:
            batch.succeed()
        else:
            self._partitions.pop(place.topic, None)
            batch.fail(error)
        if self._gathered:
            self._go_later()

    async def close(self) -> None:
        """Let go of what is not written; who waits for it is told."""
        if self._next is not None:
            self._next.cancel()
        for batches in self._gathered.values():
            for batch in batches:
                batch.fail(ConnectionError(CLOSED))
        self._gathered.clear()
        tasks = [*self._tasks, *self._looking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Batch:
    """Records that are written together."""

    __slots__ = ("_builder", "_is_alone", "_loop", "_written")

    def __init__(self, builder: driver.Builder, *, is_alone: bool) -> None:
        self._builder = builder
        self._is_alone = is_alone
        self._written: list[asyncio.Future[None]] = []
        self._loop = asyncio.get_running_loop()

    def first(self, sent: Sent) -> "asyncio.Future[None]":
        """Take the first record, whatever its size."""
        written = self._add(sent)
        if written is None:
            raise AssertionError("an empty batch takes any record")
        return written

    def add(self, sent: Sent) -> "asyncio.Future[None] | None":
        """Take one more record; None when there is no room for it."""
        return None if self._is_alone else self._add(sent)

    def _add(self, sent: Sent) -> "asyncio.Future[None] | None":
        _topic, key, value, headers = sent
        if self._builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return None
        written: asyncio.Future[None] = self._loop.create_future()
        self._written.append(written)
        return written

    async def write(self, producer: driver.Producer, place: driver.Partition) -> "asyncio.Future[object]":
        """Hand all to the producer; the future is done when they are durable."""
        self._builder.close()
        return await producer.send_batch(self._builder, place.topic, partition=place.partition)

    def succeed(self) -> None:
        """Tell each that it is durable."""
        for written in self._written:
            if not written.done():
                written.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Tell each that it was not written."""
        for written in self._written:
            if not written.done():
                # Each its own: a traceback grows wherever one is raised.
                written.set_exception(copy.copy(error))
