"""aiokafka as the benchmark's own processes use it: the bare client, the participants, the limit.

Rules: they are set as the engine's clients are (acks of all replicas, no artificial delay, room for a batch), so that
nobody is faster by a setting. It does not: add behaviour.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import aiokafka  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.admin  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.errors  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

_driver: Final[Any] = aiokafka
_admin: Final[Any] = aiokafka.admin
_errors: Final[Any] = aiokafka.errors

Headers = Sequence[tuple[str, bytes]]
BATCH_BYTES: Final = 1 << 18
PARTITIONS: Final = 4
"""Of each topic that is made."""
UNREACHABLE: Final[tuple[type[Exception], ...]] = (OSError, _errors.KafkaError)


class Builder(Protocol):
    """A batch that is being filled."""

    def append(self, *, timestamp: int | None, key: bytes, value: bytes, headers: Headers = ()) -> object: ...

    def record_count(self) -> int: ...


class Producer(Protocol):
    """Writes records."""

    async def start(self) -> None: ...

    async def send(self, topic: str, value: bytes, key: bytes | None, *, headers: Headers) -> object: ...

    def create_batch(self) -> Builder: ...

    async def send_batch(self, batch: Builder, topic: str, *, partition: int) -> Awaitable[object]: ...

    async def stop(self) -> None: ...


class Record(Protocol):
    """What was read."""

    topic: str
    key: bytes
    headers: Headers


class Consumer(Protocol):
    """Reads whole topics, from their beginning, without a group."""

    async def start(self) -> None: ...

    async def getmany(self, *, timeout_ms: int) -> Mapping[object, Sequence[Record]]: ...

    async def stop(self) -> None: ...


def producer(servers: Sequence[str]) -> Producer:
    """Make a producer whose records are acknowledged by all replicas."""
    made: Any = _driver.AIOKafkaProducer(
        bootstrap_servers=list(servers), acks="all", max_batch_size=BATCH_BYTES
    )
    return cast("Producer", made)


def consumer(servers: Sequence[str], *topics: str) -> Consumer:
    """Make a consumer of all partitions of `topics`."""
    made: Any = _driver.AIOKafkaConsumer(
        *topics,
        bootstrap_servers=list(servers),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
    )
    return cast("Consumer", made)


async def make_topics(servers: Sequence[str], names: Iterable[str]) -> None:
    """Make topics that nobody has yet."""
    client: Any = _admin.AIOKafkaAdminClient(bootstrap_servers=list(servers))
    await client.start()
    try:
        await client.create_topics([_admin.NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await client.close()


async def delete_topics(servers: Sequence[str], names: Iterable[str]) -> None:
    """Delete topics with what they hold."""
    client: Any = _admin.AIOKafkaAdminClient(bootstrap_servers=list(servers))
    await client.start()
    try:
        await client.delete_topics(list(names))
    finally:
        await client.close()
