"""One cluster as the orchestrator uses it: a way out for all bindings, one for transitions, a way in for what is read.

Rules: the bindings say who is spoken to over which topics. Topics that are not there are made before anything is read,
if that is wished; a cluster that is away by then is waited for, beside.
It does not: start before it is told to, or know sagas.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from amends.adapters.kafka import driver
from amends.adapters.kafka.events import EventTransport, readers
from amends.adapters.kafka.formats import Formats, trouble_of_formats
from amends.adapters.kafka.intake import KafkaIntake
from amends.adapters.kafka.outlet import KafkaOutlet
from amends.adapters.kafka.replies import read_reply
from amends.adapters.kafka.sender import KafkaSender
from amends.adapters.kafka.transport import KafkaTransport
from amends.adapters.kafka.trouble import told
from amends.driver.trouble import longer
from amends.ports.intake import Content, Foreign, Read, Record, Take, TakeSoon, Unpack
from amends.ports.transport import Transport
from amends.wire.topics import TopicBindings

REPLIES: Final = "amends.replies"

_log = logging.getLogger(__name__)


class KafkaCluster:
    """Fills the intake port, and gives the transports of the participants that are bound here.

    `partitions`: of topics that are made; 0: none is made, -1: as many as the broker thinks right.
    """

    def __init__(
        self,
        address: driver.Address,
        bindings: TopicBindings,
        *,
        group: str,
        replies: str = REPLIES,
        session: float = 10.0,
        member: str | None = None,
        partitions: int = -1,
        longest: int = 1 << 20,
        on_rebalance: Callable[[], None] | None = None,
        formats: Formats | None = None,
    ) -> None:
        """`formats`: what some topics carry in place of JSON.

        Raises:
            ValueError: a topic means two things at once.
        """
        self._formats = formats
        self._address = address
        self._partitions = partitions
        self._replies = replies
        self._read: Mapping[str, Read] = {**readers(bindings), replies: read_reply}
        self._topics = {*self._read, *bindings.outgoing()}
        self._sender = KafkaSender(address, longest=longest)
        self._intake = KafkaIntake(
            address, self._read, group=group, session=session, member=member, on_rebalance=on_rebalance
        )
        self._making: asyncio.Task[None] | None = None
        self._unmade = ""
        self.transports: Mapping[str, Transport] = {
            **{name: self._native(topic) for name, topic in bindings.native.items()},
            **{
                name: EventTransport(self._sender, steps, formats=formats)
                for name, steps in bindings.events.items()
            },
        }
        """By the names of the bindings."""

    def _native(self, topic: str) -> KafkaTransport:
        return KafkaTransport(self._sender, topic, reply_to=self._replies, formats=self._formats)

    @property
    def topics(self) -> frozenset[str]:
        """All topics that are read and written."""
        return frozenset(self._topics)

    @property
    def sender(self) -> KafkaSender:
        """The way out, for what else is to be written."""
        return self._sender

    @property
    def trouble(self) -> str:
        """What keeps records from coming in, or going out, just now."""
        return (
            self._unmade or self._intake.trouble or self._sender.trouble or trouble_of_formats(self._formats)
        )

    @property
    def rebalances(self) -> int:
        """How often partitions came or went."""
        return self._intake.rebalances

    @property
    def unpack(self) -> Unpack | None:
        """What turns values into JSON before they are read; None where all of them are."""
        return None if self._formats is None else self._formats.incoming

    @property
    def behind(self) -> Mapping[tuple[str, int], int]:
        """How many records are still to be taken, by topic and partition, of what this process reads."""
        return self._intake.behind

    def outlet(self, topic: str) -> KafkaOutlet:
        """Return a way out for transitions, with a connection of its own.

        Raises:
            ValueError: the topic is read, or carries commands.
        """
        if topic in self._topics:
            raise ValueError(f"the topic {topic} cannot carry transitions and something else as well")
        return KafkaOutlet(self._address, topic, partitions=self._partitions)

    def read(self, record: Record) -> Content:
        """Return what a record says, by the topic that it came on."""
        reader = self._read.get(record.topic)
        return Foreign() if reader is None else reader(record)

    def offer(self, soon: TakeSoon) -> None:
        """Offer each reply to `soon` first; an event is never that simple, and would be read twice."""
        self._intake.offer(self._replies, soon)

    async def start(self, take: Take) -> None:
        """Begin to hand over records."""
        if self._partitions:
            self._making = asyncio.create_task(self._make_topics(take), name="amends-topics")
        else:
            await self._intake.start(take)

    async def stop(self) -> None:
        """Hand over none any more, and close the way out. Stopping twice is harmless."""
        making, self._making = self._making, None
        if making is not None:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        await self._intake.stop()
        await self._sender.close()
        if self._formats is not None:
            await self._formats.close()

    async def _make_topics(self, take: Take) -> None:
        pause = 0.0
        while True:
            try:
                await driver.make_topics(
                    self._address, self._topics, partitions=self._partitions, replicas=-1
                )
                break
            except driver.NOT_ALLOWED as error:
                _log.warning("topics are not made: %s", told(error, about="make topics"))
                break
            except driver.DRIVER_ERRORS as error:
                if not pause:
                    _log.warning("topics wait to be made: %s", told(error, about="make topics"))
                self._unmade = f"topics wait to be made: {told(error, about='make topics')}"
                pause = longer(pause)
                await asyncio.sleep(pause)
        self._unmade = ""
        await self._intake.start(take)
