"""A broker that does what a test says, behind the sender's own port to its driver.

Rules
- What is written is kept by partition, in order. `refuse` has the next batches of a partition fail; `hold` keeps what
  comes to it until the test lets it go; `longest` is how many bytes of values a batch may have.
- Who asks after topics waits for `answers`, fails while `is_mute`, and hears what stands in `found`.
- Opening waits for `is_open`, and fails with `closed_by` while there is one.
It does not: speak Kafka.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping

from aiokafka.errors import (  # type: ignore[import-untyped]
    KafkaConnectionError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)

from amends.adapters.kafka import Address, KafkaSender
from amends.adapters.kafka.driver import Builder, Partition, Producer
from amends.adapters.kafka.leaders import Found

ROOM = 1_000
"""Records that a batch takes."""

PATIENCE = 60.0
"""Seconds after which what is to come is not waited for any more, on a machine that is busy."""

AWAY: type[Exception] = KafkaConnectionError
MOVED: type[Exception] = NotLeaderForPartitionError
FORBIDDEN: type[Exception] = TopicAuthorizationFailedError
TOO_FEW: type[Exception] = NotEnoughReplicasError
STRANGE: type[Exception] = PolicyViolationError


class ListBuilder:
    """A batch as a list of values."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> object | None:
        assert timestamp is None
        if any(not isinstance(each, bytes) for _name, each in headers):
            raise TypeError("a header is bytes")
        if len(self.values) == ROOM:
            return None
        self.values.append(value or b"")
        return key or b""

    def close(self) -> None:
        """Nothing is to be done."""


class ScriptedBroker:
    """The broker, and the producer that writes to it."""

    def __init__(self, **partitions: int) -> None:
        self.partitions = partitions
        self.written: dict[Partition, list[bytes]] = defaultdict(list)
        self.tries: list[tuple[Partition, list[bytes]]] = []
        self.longest = 1 << 20
        self.closed_by: Exception | None = None
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.asked: list[Collection[str]] = []
        self.asked_at: list[float] = []
        self.found: dict[str, Found] = {}
        self.is_mute = False
        self.answers = asyncio.Event()
        self.answers.set()
        self._refused: dict[Partition, list[Exception]] = defaultdict(list)
        self._held: dict[Partition, list[tuple[list[bytes], asyncio.Future[object]]]] = {}
        self._news = asyncio.Event()

    def sender(self) -> KafkaSender:
        return KafkaSender(Address(("scripted",)), make=lambda *_, **__: self, ask=self.ask)

    # --- what a test says ---

    def refuse(self, place: Partition, *errors: Exception) -> None:
        """Have the next batches of a partition fail."""
        self._refused[place] += errors

    def goes_well(self, place: Partition) -> None:
        """Have none fail any more."""
        self._refused.pop(place, None)

    def hold(self, place: Partition) -> None:
        """Keep what comes to a partition from now on."""
        self._held.setdefault(place, [])

    def let_go(self, place: Partition) -> None:
        """Take what was kept, or refuse it, and keep nothing any more."""
        for values, done in self._held.pop(place):
            self._take(place, values, done)

    async def until_tried(self, number: int) -> None:
        """Wait until so many batches came."""
        await self._until(lambda: len(self.tries) >= number)

    async def until_asked(self, number: int) -> None:
        """Wait until it was asked so often after topics."""
        await self._until(lambda: len(self.asked) >= number)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._news.clear()
                await self._news.wait()

    # --- the port ---

    async def start(self) -> None:
        await asyncio.sleep(0)
        await self.is_open.wait()
        if self.closed_by is not None:
            raise self.closed_by

    async def partitions_for(self, topic: str) -> Collection[int]:
        if topic not in self.partitions:
            raise AWAY
        return range(self.partitions[topic])

    def create_batch(self) -> Builder:
        return ListBuilder()

    async def send_batch(self, batch: Builder, topic: str, *, partition: int) -> "asyncio.Future[object]":
        assert isinstance(batch, ListBuilder)
        assert partition < self.partitions[topic], "there is no such partition"
        place = Partition(topic, partition)
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.tries.append((place, batch.values))
        self._news.set()
        if place in self._held:
            self._held[place].append((batch.values, done))
        else:
            asyncio.get_running_loop().call_soon(self._take, place, batch.values, done)
        return done

    def _take(self, place: Partition, values: list[bytes], done: "asyncio.Future[object]") -> None:
        if self._refused[place]:
            done.set_exception(self._refused[place].pop(0))
        elif sum(map(len, values)) > self.longest:
            done.set_exception(MessageSizeTooLargeError())
        else:
            self.written[place] += values
            done.set_result(None)

    async def ask(self, _producer: Producer, topics: Collection[str]) -> Mapping[str, Found]:
        self.asked.append(topics)
        self.asked_at.append(asyncio.get_running_loop().time())
        self._news.set()
        await self.answers.wait()
        if self.is_mute:
            raise AWAY
        return {topic: self.found.get(topic, Found()) for topic in topics}

    async def send(self, *_: object, **__: object) -> "asyncio.Future[object]":
        raise AssertionError("records go in batches")

    async def flush(self) -> None:
        """Nothing is to be done."""

    async def stop(self) -> None:
        for place in [*self._held]:
            self.let_go(place)
