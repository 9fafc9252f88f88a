"""The way out: records to a broker, acknowledged by all replicas, or waited for.

Rules
- `publish` returns when the record is durable at the broker. A broker that is away, a topic that is not there and a
  permission that is missing are waited for, with growing pauses, and shown as `trouble`: nothing is lost by waiting,
  and what could not be sent is still outstanding in the store. Each topic has its own trouble, which ends when a
  record is written there: that another topic can be written to says nothing about it.
- Only a record that is too large fails: no waiting makes it smaller. What the broker says of a batch it says of all
  records in it, so each of them is tried once more by itself before that is believed.
- One connection serves any number of transports; it is opened by the first record, and closed by whoever made it.
- A record may be written twice (a lost acknowledgement); those of one partition keep their order.
It does not: know what a record means.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from amends.adapters.kafka import driver
from amends.adapters.kafka.contract import Headers
from amends.adapters.kafka.outgoing import CLOSED, Outgoing, Sent
from amends.wire.excerpt import excerpt

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0

_log = logging.getLogger(__name__)


class TooLarge(Exception):
    """The record is longer than the broker takes."""


class Trouble:
    """What is wrong with a way to a broker; said once when it begins and once when it ends."""

    def __init__(self, what: str) -> None:
        """Begin well."""
        self._what = what
        self.text = ""

    def begins(self, text: str) -> None:
        """Note what is wrong now."""
        if not self.text:
            _log.warning("%s waits: %s", self._what, text)
        self.text = text

    def ends(self) -> None:
        """Note that all is well."""
        if self.text:
            self.text = ""
            _log.warning("%s goes on", self._what)


def told(error: Exception, *, about: str) -> str:
    """Return what a driver's error means, for an operator."""
    match error:
        case _ if isinstance(error, driver.NOT_ALLOWED):
            return f"not allowed: {about}"
        case _ if isinstance(error, driver.NO_TOPIC):
            return f"there is no topic for this, or no broker: {about}"
        case _:
            return excerpt(f"{type(error).__name__}: {error}".rstrip(": "))


class KafkaSender:
    """Writes to one cluster."""

    def __init__(
        self,
        address: driver.Address,
        *,
        longest: int = 1 << 20,
        within: float = 5.0,
        make: Callable[..., driver.Producer] = driver.producer,
    ) -> None:
        """`longest` is a record's size in bytes, `within` how many seconds one try may take."""
        self._address = address
        self._longest = longest
        self._within = within
        self._make = make
        self._producer: driver.Producer | None = None
        self._outgoing: Outgoing | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._troubles: dict[str, Trouble] = {}

    @property
    def address(self) -> driver.Address:
        """Where the records go."""
        return self._address

    @property
    def trouble(self) -> str:
        """What keeps records from being written just now; empty when nothing does."""
        return next((each.text for each in self._troubles.values() if each.text), "")

    def trouble_of(self, topics: Iterable[str]) -> str:
        """What keeps records from being written to one of `topics` just now; empty when nothing does."""
        found = (self._troubles.get(topic) for topic in topics)
        return next((each.text for each in found if each is not None and each.text), "")

    async def publish(self, topic: str, *, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Write one record and wait until it is durable, however long that takes.

        Raises:
            TooLarge: no broker will take it.
            ConnectionError: this sender was closed.
        """
        sent, size = Sent(topic, key, value, [*headers]), len(value or b"")
        if size > self._longest:
            raise TooLarge(f"{size} bytes are more than the {self._longest} that are sent at most")
        pause, alone = 0.0, False
        while True:
            try:
                out = self._outgoing or await self._opened()
                if not out.knows(topic):
                    await out.find(topic)
                await out.put(sent, alone=alone)
            except driver.TOO_LARGE as error:
                if alone:
                    raise TooLarge(f"{size} bytes are more than the broker takes") from error
                alone = True
            except driver.DRIVER_ERRORS as error:
                if self._closed:
                    raise ConnectionError(CLOSED) from error
                self._has_trouble(topic).begins(told(error, about=f"write to {topic}"))
                pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
                await asyncio.sleep(pause)
            else:
                if self._troubles and (trouble := self._troubles.get(topic)):
                    trouble.ends()
                return

    def _has_trouble(self, topic: str) -> Trouble:
        if topic not in self._troubles:
            self._troubles[topic] = Trouble(f"writing to {topic} at {', '.join(self._address.servers)}")
        return self._troubles[topic]

    async def _opened(self) -> Outgoing:
        async with self._opening:
            if self._closed:
                raise ConnectionError(CLOSED)
            if self._outgoing is None:
                made = self._make(self._address, longest=self._longest, within=self._within)
                try:
                    await made.start()
                except BaseException:
                    await made.stop()
                    raise
                self._producer, self._outgoing = made, Outgoing(made)
            return self._outgoing

    async def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        self._closed = True
        outgoing, self._outgoing = self._outgoing, None
        producer, self._producer = self._producer, None
        if outgoing is not None:
            await outgoing.close()
        if producer is not None:
            await producer.stop()
