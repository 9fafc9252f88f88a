"""The way out: records to a broker, acknowledged by all replicas, or waited for.

Rules
- `publish` returns when the record is durable at the broker. A broker that is away, a topic that is not there and a
  permission that is missing are waited for, with growing pauses, and shown as `trouble`: nothing is lost by waiting,
  and what could not be sent is still outstanding in the store. Each topic has its own trouble, which ends when a
  record is written there and no partition of it fails any more: that another can be written to says nothing about it.
  When nothing is to be written there any more, the broker is asked.
- Only a record that is too large fails: no waiting makes it smaller. What the broker says of a batch it says of all
  records in it, so each of them is tried once more by itself before that is believed.
- One connection serves any number of transports; it is opened by the first record, and closed by whoever made it.
- Those of one partition are written in the order in which they were given to `publish`, whatever becomes of those
  before them. A record may be written twice (a lost acknowledgement), the second time behind others.
It does not: know what a record means, or keep the order itself (`outgoing.py`).
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from amends.adapters.kafka import driver, leaders
from amends.adapters.kafka.contract import Headers
from amends.adapters.kafka.lines import Pending, Told, TooLarge
from amends.adapters.kafka.outgoing import CLOSED, Ask, Outgoing
from amends.driver.starting import start


class KafkaSender:
    """Writes to one cluster."""

    def __init__(
        self,
        address: driver.Address,
        *,
        longest: int = 1 << 20,
        within: float = 5.0,
        make: Callable[..., driver.Producer] = driver.producer,
        ask: Ask = leaders.ask,
    ) -> None:
        """`longest` is a record's size in bytes, `within` how many seconds one try may take."""
        self._address = address
        self._longest = longest
        self._within = within
        self._make = make
        self._producer: driver.Producer | None = None
        self._outgoing = Outgoing(self._connected, ", ".join(address.servers), ask)
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def address(self) -> driver.Address:
        """Where the records go."""
        return self._address

    @property
    def trouble(self) -> str:
        """What keeps records from being written just now; empty when nothing does."""
        return next(iter(self._outgoing.troubles()), "")

    def trouble_of(self, topics: Iterable[str]) -> str:
        """What keeps records from being written to one of `topics` just now; empty when nothing does."""
        return next(iter(self._outgoing.troubles(topics)), "")

    async def publish(self, topic: str, *, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Write one record and wait until it is durable, however long that takes.

        One that is given up, by cancelling, is not written any more, unless it is under way.

        Raises:
            TooLarge: no broker will take it.
            ConnectionError: this sender was closed.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending = self.post(topic, key=key, value=value, headers=[*headers], told=partial(_tell, written))
        try:
            await written
        except asyncio.CancelledError:
            pending.give_up()
            raise

    def post(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        told: Told,
    ) -> Pending:
        """`publish` for who does not wait: `told` hears what became of it, and never before this has returned.

        The list of headers is the sender's from now on.

        Raises:
            TooLarge: no broker will take it.
            ConnectionError: this sender was closed.
        """
        size = len(value or b"")
        if size > self._longest:
            raise TooLarge(f"{size} bytes are more than the {self._longest} that are sent at most")
        pending = Pending(topic, key, value, headers, told)
        self._outgoing.put(pending)
        return pending

    async def _connected(self) -> driver.Producer:
        if self._producer is not None:
            return self._producer
        async with self._opening:
            if self._closed:
                raise ConnectionError(CLOSED)
            if self._producer is None:
                made = self._make(self._address, longest=self._longest, within=self._within)
                await start(made)
                self._producer = made
            return self._producer

    async def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        self._closed = True
        await self._outgoing.close()
        producer, self._producer = self._producer, None
        try:
            if producer is not None:
                await producer.stop()
        finally:
            self._outgoing.end()


def _tell(written: "asyncio.Future[None]", error: BaseException | None) -> None:
    """Have a future say what became of a record."""
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
