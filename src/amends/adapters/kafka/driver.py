"""The driver, aiokafka, as far as it is used: typed here, for it is annotated in part only.

Rules: nothing else imports it, but `question.py`, for a message that it lacks. What may come of asking a broker is one
of `DRIVER_ERRORS`; which of them means what is said by the names below. It does not: add behaviour.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol, cast

import aiokafka  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.abc  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.admin  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.errors  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from amends.driver.driver_log import told_once
from amends.driver.starting import Startable, start
from amends.ports.intake import Record

_driver: Final[Any] = aiokafka
_admin: Final[Any] = aiokafka.admin
_errors: Final[Any] = aiokafka.errors
_listener: Final[Any] = aiokafka.abc.ConsumerRebalanceListener

DRIVER_ERRORS: Final[tuple[type[Exception], ...]] = (OSError, _errors.KafkaError)
"""All that may come of asking a broker."""
TOO_LARGE: Final[tuple[type[Exception], ...]] = (
    _errors.MessageSizeTooLargeError,
    _errors.RecordListTooLargeError,
)
"""The record is longer than the broker, or this client, takes."""
NOT_ALLOWED: Final[tuple[type[Exception], ...]] = (
    _errors.TopicAuthorizationFailedError,
    _errors.GroupAuthorizationFailedError,
    _errors.ClusterAuthorizationFailedError,
)
NO_TOPIC: Final[tuple[type[Exception], ...]] = (
    _errors.UnknownTopicOrPartitionError,
    _errors.InvalidTopicError,
)
NO_ANSWER: Final[tuple[type[Exception], ...]] = (
    OSError,
    _errors.KafkaConnectionError,
    _errors.NodeNotReadyError,
    _errors.StaleMetadata,
    _errors.BrokerNotAvailableError,
    _errors.LeaderNotAvailableError,
    _errors.NotLeaderForPartitionError,
    _errors.RequestTimedOutError,
    _errors.KafkaTimeoutError,
)
"""No broker can be reached, or answers in time, or leads the partition."""
TOO_FEW: Final[tuple[type[Exception], ...]] = (
    _errors.NotEnoughReplicasError,
    _errors.NotEnoughReplicasAfterAppendError,
)
"""Not as many replicas follow as a record must reach."""
NOT_OURS: Final[tuple[type[Exception], ...]] = (
    _errors.CommitFailedError,
    _errors.IllegalStateError,
    _errors.IllegalGenerationError,
    _errors.UnknownMemberIdError,
    _errors.RebalanceInProgressError,
)
"""An offset belongs to somebody else by now: whoever reads there hands the record over again."""


BATCH_BYTES: Final = 1 << 17
"""About as many are written at a time to one partition; a longer record goes by itself."""


class Security(NamedTuple):
    """How brokers are spoken to."""

    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = None

    def options(self) -> dict[str, Any]:
        """Return the arguments of every client."""
        tls = ssl.create_default_context() if self.protocol.endswith("SSL") else None
        return {
            "security_protocol": self.protocol,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_context": tls,
        }


class Address(NamedTuple):
    """Where the brokers are, and as whom they are asked."""

    servers: tuple[str, ...]
    client_id: str = "amends"
    security: Security = Security()

    def options(self) -> dict[str, Any]:
        """Return the arguments of every client."""
        return {
            "bootstrap_servers": list(self.servers),
            "client_id": self.client_id,
            **self.security.options(),
        }


class Partition(NamedTuple):
    topic: str
    partition: int


class Builder(Protocol):
    """A batch that is being filled."""

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> object | None:
        """Take a record; None when there is no room for it beside those that are there."""
        ...

    def close(self) -> None:
        """Take none any more."""
        ...


class Producer(Startable, Protocol):
    """Writes records."""

    async def partitions_for(self, topic: str) -> Collection[int]: ...

    def create_batch(self) -> Builder: ...

    async def send_batch(self, batch: Builder, topic: str, *, partition: int) -> "asyncio.Future[object]": ...

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> Awaitable[object]: ...

    async def flush(self) -> None: ...


class Consumer(Startable, Protocol):
    """Reads records as a member of a group."""


@asynccontextmanager
async def _started(client: Startable) -> AsyncGenerator[Any]:
    await start(client)
    try:
        with told_once():
            yield client
    finally:
        await client.stop()


class _Administrator(_admin.AIOKafkaAdminClient):  # type: ignore[misc]  # the driver's own class
    """Asks for what concerns no record; is stopped as the other clients are."""

    async def stop(self) -> None:
        await self.close()


def producer(address: Address, *, longest: int, within: float) -> Producer:
    """Make a producer whose records are acknowledged by all replicas; `within` is in seconds."""
    made: Any = _driver.AIOKafkaProducer(
        acks="all",
        max_request_size=longest,
        max_batch_size=BATCH_BYTES,
        request_timeout_ms=int(within * 1000),
        retry_backoff_ms=50,
        **address.options(),
    )
    return cast("Producer", made)


def consumer(address: Address, *, group: str, session: float, member: str | None = None) -> Consumer:
    """Make a consumer that begins at the earliest record that is not committed; it never commits by itself.

    One that comes back as the same `member` within `session` seconds goes on where it was, without a rebalance.
    """
    made: Any = _driver.AIOKafkaConsumer(
        group_id=group,
        group_instance_id=member,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=int(session * 1000),
        heartbeat_interval_ms=int(session * 1000 / 4),
        rebalance_timeout_ms=int(session * 1000),
        max_poll_interval_ms=1_800_000,
        fetch_max_wait_ms=100,
        metadata_max_age_ms=10_000,
        **address.options(),
    )
    return cast("Consumer", made)


Changed = Callable[[Sequence[Partition]], Awaitable[None]]


def subscribe(reader: Consumer, topics: Iterable[str], *, assigned: Changed, revoked: Changed) -> None:
    """Ask for a share of `topics`' partitions; the two are told which come and which go."""

    class Listener(_listener):  # type: ignore[misc]  # the driver wants an object of its own class
        async def on_partitions_assigned(self, assigned_now: Iterable[Any]) -> None:
            await assigned([Partition(each.topic, each.partition) for each in assigned_now])

        async def on_partitions_revoked(self, revoked_now: Iterable[Any]) -> None:
            await revoked([Partition(each.topic, each.partition) for each in revoked_now])

    client: Any = reader
    client.subscribe(topics=list(topics), listener=Listener())


def missing(reader: Consumer, topics: Iterable[str]) -> Sequence[str]:
    """Return those of `topics` that were not there when the broker was last asked."""
    client: Any = reader
    return [topic for topic in topics if not client.partitions_for_topic(topic)]


async def fetch(reader: Consumer, *, most: int, within: float) -> Mapping[Partition, Sequence[Record]]:
    """Return the next records of all partitions that are not paused, `most` in all; none when none come in time."""
    client: Any = reader
    found = await client.getmany(timeout_ms=int(within * 1000), max_records=most)
    return {
        Partition(place.topic, place.partition): [_record(each) for each in records]
        for place, records in found.items()
    }


async def to_come(reader: Consumer, partitions: Collection[Partition]) -> Mapping[Partition, int]:
    """Return how many records the broker has of each partition that were not fetched yet."""
    if not partitions:
        return {}
    client: Any = reader
    places = [_driver.TopicPartition(*partition) for partition in partitions]
    with told_once():
        ends = await client.end_offsets(places)
        return {
            Partition(place.topic, place.partition): max(0, end - await client.position(place))
            for place, end in ends.items()
        }


def pause(reader: Consumer, partition: Partition) -> None:
    """Fetch nothing more of a partition."""
    client: Any = reader
    client.pause(_driver.TopicPartition(*partition))


def resume(reader: Consumer, partition: Partition) -> None:
    """Fetch again what was paused."""
    client: Any = reader
    client.resume(_driver.TopicPartition(*partition))


async def commit(reader: Consumer, offsets: Mapping[Partition, int]) -> None:
    """Note up to where partitions are taken: the offset of the next record."""
    client: Any = reader
    with told_once():
        await client.commit({_driver.TopicPartition(*place): offset for place, offset in offsets.items()})


def _record(found: Any) -> Record:
    headers = tuple(found.headers)
    for _name, value in headers:
        if value is None:
            headers = tuple((name, b"" if value is None else value) for name, value in headers)
            break
    return Record(
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        timestamp_ms=found.timestamp,
        key=found.key,
        value=found.value,
        headers=headers,
    )


async def make_topics(address: Address, topics: Iterable[str], *, partitions: int, replicas: int) -> None:
    """Make those of `topics` that are not there; -1 leaves partitions or replicas to the broker.

    Raises:
        Exception: one of `DRIVER_ERRORS`; those that could be made are.
    """
    async with _started(_Administrator(**address.options())) as client:
        missing = sorted(set(topics) - set(await client.list_topics()))
        if not missing:
            return
        made = await client.create_topics([_new_topic(name, partitions, replicas) for name in missing])
        for _name, code, *_text in made.topic_errors:
            error: Any = _errors.for_code(code)
            if code and error is not _errors.TopicAlreadyExistsError:
                raise error(_name)


def _new_topic(name: str, partitions: int, replicas: int) -> Any:
    made = _admin.NewTopic(name, 1, 1)
    # Its constructor refuses -1, which brokers have taken since 2.4.
    made.num_partitions, made.replication_factor = partitions, replicas
    return made


async def behind(address: Address, group: str, topics: Iterable[str]) -> int:
    """Return by how many records of `topics` a group is behind."""
    own = address.options()
    async with (
        _started(_Administrator(**own)) as client,
        _started(_driver.AIOKafkaConsumer(*topics, **own)) as reader,
    ):
        committed = await client.list_consumer_group_offsets(group)
        places = [
            _driver.TopicPartition(topic, partition)
            for topic in topics
            for partition in reader.partitions_for_topic(topic) or ()
        ]
        ends = await reader.end_offsets(places)
        done = {place: max(found.offset, 0) for place, found in committed.items()}
        return sum(max(end - done.get(place, 0), 0) for place, end in ends.items())
