"""A participant over Apache Kafka: reads `<participant>.commands`, executes through the barrier, writes the replies.

    participant = KafkaParticipant(name="inventory", servers=["localhost:9092"], handlers=COMMANDS, database=database)
    await participant.run()

Rules:
- The order is always: commit in the database, reply acknowledged by all replicas, offset committed. What a crash leaves
  is read again, and the barrier gives the same answer.
- Commands of one saga are executed one after the other, those of different sagas beside one another, `width` at a time.
- A partition is never blocked by what it carries: what fails is answered with `failed`, and the orchestrator sends the
  next attempt. A record that does not say which command it is cannot be answered: it is logged, given to `park`, and
  passed over.
- A do that answers later has no reply now; the orchestrator's next attempt finds its answer.
- While the broker is away, or does not let us read, `run` waits; a reply is tried until the broker has it. One that is
  too large for the broker is answered with `failed`: trying again would not make it smaller.
- What the driver logs of these clients while the broker is away is told once (`driver_log.py`).
- Values are JSON, or what `values` makes of JSON (`kafka_avro.AvroValues`). A command that is not is answered with
  `failed`; a reply that its topic cannot carry as well.

Does not do: create topics, decide (barrier), retry a handler.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeAlias, TypeVar

import aiokafka  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.errors  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from amends.driver.driver_log import told_once
from amends.driver.starting import start
from amends.driver.trouble import LONGEST_PAUSE, SharedTrouble, Trouble, longer
from amends.participant.barrier import LATER, CommandIdReused, answer_of
from amends.participant.execution import CommandDatabase, DatabaseAway
from amends.participant.handlers import Handler, PayloadUnfit
from amends.participant.kafka_message import (
    Envelope,
    NotForUs,
    Reply,
    Unexecutable,
    Unwritable,
    Values,
    answered,
    failed,
    read_envelope,
    too_large,
)
from amends.participant.message import BadMessage, Refused
from amends.participant.tracing import traced

LARGEST_REPLY: Final = 1024 * 1024
ROOM_FOR_HEADERS: Final = 64 * 1024
MOST_AT_ONCE: Final = 200
"""Records that are read before their offsets are committed."""
LOOK_AROUND: Final = 200
"""Milliseconds after which a reader that finds nothing looks whether it shall stop."""
WELL: Final = 2 * LONGEST_PAUSE
"""Seconds after which a reader that found nothing is believed to be well again."""

S = TypeVar("S")
R = TypeVar("R")
Park: TypeAlias = Callable[[Any, str], Awaitable[None]]
"""What a service does with a record that cannot be answered, and why it cannot."""

_driver: Final[Any] = aiokafka
_errors: Final[Any] = aiokafka.errors
_NOT_OURS: Final[tuple[type[Exception], ...]] = (
    _errors.CommitFailedError,
    _errors.IllegalStateError,
    _errors.IllegalGenerationError,
    _errors.UnknownMemberIdError,
    _errors.RebalanceInProgressError,
)
"""A partition belongs to another process by now, which reads again what was not committed."""

_TOO_LARGE: Final[tuple[type[Exception], ...]] = (
    _errors.MessageSizeTooLargeError,
    _errors.RecordListTooLargeError,
)

_log = logging.getLogger(__name__)


class KafkaParticipant(Generic[S, R]):
    """One process of a participant. Several of one `group` share the partitions."""

    def __init__(
        self,
        *,
        name: str,
        servers: Sequence[str],
        handlers: Mapping[str, Handler[S, R]],
        database: CommandDatabase[S, R],
        topic: str | None = None,
        group: str | None = None,
        width: int = 10,
        park: Park | None = None,
        options: Mapping[str, Any] | None = None,
        values: Values | None = None,
        reply_values: Values | None = None,
    ) -> None:
        """`topic` is `{name}.commands` and `group` is `name`, where nothing else is said.

        `options` go to both of aiokafka's clients: security, client id. `values`: what commands carry in place of JSON,
        and `reply_values` what replies carry, where that is something else.
        """
        self._values = values
        self._reply_values = reply_values or values
        self._source = f"/participants/{name}"
        self._topic = topic or f"{name}.commands"
        self._group = group or name
        self._handlers, self._database = handlers, database
        self._width = asyncio.Semaphore(width)
        self._park = park
        self._options = {"bootstrap_servers": list(servers), **(options or {})}
        self._stopping = asyncio.Event()
        self._starting = Trouble(f"starting participant {name}")
        self._reading = Trouble(f"reading {self._topic}")
        self._writing: dict[str, SharedTrouble] = {}

    def stop(self) -> None:
        """Let `run` finish what it has begun, and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Execute commands until `stop`; cancelling loses nothing either."""
        producer = await self._started(self._producer)
        pause = 0.0
        try:
            while producer is not None and not self._stopping.is_set():
                try:
                    await self._serve(producer)
                except (OSError, _errors.KafkaError) as error:
                    pause = longer(pause if self._reading.text else 0.0)
                    self._reading.begins(repr(error))
                    await self._pause(pause)
        finally:
            await _ended(producer)

    async def _serve(self, producer: Any) -> None:
        """Execute commands until `stop`, or until reading fails; what was not committed is read again."""
        consumer = await self._started(self._consumer)
        began = asyncio.get_running_loop().time()
        try:
            while consumer is not None and not self._stopping.is_set():
                is_well = await self._serve_some(consumer, producer)
                if is_well or asyncio.get_running_loop().time() - began > WELL:
                    self._reading.ends()
        finally:
            await _ended(consumer)

    def _producer(self) -> Any:
        longest = LARGEST_REPLY + ROOM_FOR_HEADERS
        return _driver.AIOKafkaProducer(acks="all", max_request_size=longest, **self._options)

    def _consumer(self) -> Any:
        return _driver.AIOKafkaConsumer(
            self._topic,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=1_800_000,
            **self._options,
        )

    async def _started(self, make: Callable[[], Any]) -> Any:
        """A client that has found its broker, however long that takes; none when it shall stop before."""
        pause = 0.0
        while not self._stopping.is_set():
            client = make()
            try:
                await start(client)
            except (OSError, _errors.KafkaError) as error:
                self._starting.begins(repr(error))
                pause = longer(pause)
                await self._pause(pause)
            else:
                self._starting.ends()
                return client
        return None

    async def _pause(self, seconds: float) -> None:
        waiting = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()

    async def _serve_some(self, consumer: Any, producer: Any) -> bool:
        """Execute what is there; tell whether there was something."""
        found = await consumer.getmany(timeout_ms=LOOK_AROUND, max_records=MOST_AT_ONCE)
        if not found:
            return False
        by_saga: defaultdict[tuple[str, int, bytes | None], list[Any]] = defaultdict(list)
        for partition, records in found.items():
            for record in records:
                by_saga[partition.topic, partition.partition, record.key].append(record)
        async with asyncio.TaskGroup() as group:
            for records in by_saga.values():
                group.create_task(self._serve_in_order(records, producer))
        try:
            with told_once():
                await consumer.commit({place: records[-1].offset + 1 for place, records in found.items()})
        except _NOT_OURS:
            _log.info(
                "%s: partitions went to another process before their offsets were committed", self._topic
            )
        return True

    async def _serve_in_order(self, records: Sequence[Any], producer: Any) -> None:
        for record in records:
            async with self._width:
                reply = await self._reply_to(record)
            if reply is not None:
                await self._write(producer, reply)

    async def _reply_to(self, record: Any) -> Reply | None:
        try:
            envelope = read_envelope(headers=record.headers, key=record.key, value=record.value)
        except NotForUs:
            return None
        except BadMessage as bad:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            _log.warning("%s cannot be answered and is passed over: %s", place, bad)
            if self._park is not None:
                await self._park(record, str(bad))
            return None
        reply = await self._executed(envelope)
        if reply is None:
            return None
        if len(reply.value) > LARGEST_REPLY:
            reason = f"the reply is longer than {LARGEST_REPLY} bytes"
            reply = failed(envelope, reason, "unreadable", source=self._source)
        return reply if self._reply_values is None else await self._packed(envelope, reply)

    async def _packed(self, envelope: Envelope, reply: Reply) -> Reply | None:
        """The reply as its topic carries it; else a failure that says why not; else nothing, and the log says why."""
        assert self._reply_values is not None
        try:
            return await reply.packed(self._reply_values)
        except Unwritable as error:
            _log.error("%s: the reply cannot be written: %s", envelope.name, error)
            reason = f"the reply does not fit the schema of {reply.topic}: {error}"
        failure = failed(envelope, reason, "configuration", source=self._source)
        try:
            return await failure.packed(self._reply_values)
        except Unwritable:
            _log.error("%s: %s takes no failures either", envelope.name, reply.topic)
            return None

    async def _executed(self, envelope: Envelope) -> Reply | None:
        handler = self._handlers.get(envelope.name)
        if handler is None:
            reason = f"there is no command {envelope.name[:100]!r} here"
            return failed(envelope, reason, "configuration", source=self._source)
        try:
            if self._values is not None and envelope.value is not None:
                envelope = replace(envelope, value=await self._values.read(envelope.value))
            command = envelope.command()
            with traced(command, "consumer"):
                answer = await self._database.execute(command, handler)
        except PayloadUnfit as unfit:
            refused = answer_of(Refused("invalid-payload", str(unfit)))
            return answered(envelope, refused, source=self._source)
        except (BadMessage, Unexecutable, CommandIdReused) as error:
            _log.warning("%s: %s", envelope.name, error)
            return failed(envelope, str(error), "configuration", source=self._source)
        except DatabaseAway as away:
            _log.warning("%s: the database cannot write: %s", envelope.name, away)
            reason = "the database cannot write now; nothing was done"
            return failed(envelope, reason, "transient", source=self._source)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, the sender gets an answer
            _log.error("%s: the handler raised; nothing was done", envelope.name, exc_info=error)
            reason = "the handler raised; nothing was done, the service's log says more"
            return failed(envelope, reason, "transient", source=self._source)
        return None if answer == LATER else answered(envelope, answer, source=self._source)

    async def _write(self, producer: Any, reply: Reply) -> None:
        """Write the reply: what it says is done already."""
        try:
            await self._written(producer, reply)
        except _TOO_LARGE:
            try:
                await self._written(producer, too_large(reply))
            except _TOO_LARGE as error:
                _log.error("%s takes no reply at all, not even that one is too large: %s", reply.topic, error)

    async def _written(self, producer: Any, reply: Reply) -> None:
        """Write a record, however long that takes, unless it is too large."""
        pause, trouble = 0.0, None
        try:
            while True:
                try:
                    with told_once():
                        await producer.send_and_wait(
                            reply.topic, reply.value, key=reply.key, headers=reply.headers
                        )
                except _TOO_LARGE:
                    raise
                except (OSError, _errors.KafkaError) as error:
                    if trouble is None:
                        trouble = self._trouble_of(reply.topic)
                        trouble.waits(repr(error))
                    pause = longer(pause)
                    await asyncio.sleep(pause)
                else:
                    return
        finally:
            if trouble is not None:
                trouble.goes_on()

    def _trouble_of(self, topic: str) -> SharedTrouble:
        return self._writing.setdefault(topic, SharedTrouble(f"writing to {topic}"))


async def _ended(client: Any) -> None:
    if client is not None:
        await client.stop()
