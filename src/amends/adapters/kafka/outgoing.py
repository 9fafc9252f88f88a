"""Records on their way to a cluster: they gather while those before them are under way, and keep their order.

Rules
- `put` takes a record at once, whatever there is to wait for: the connection, the topic, those before it. It is the one
  place where order is made, and lines (`lines.py`) keep it.
- Nothing waits by the clock for company: a batch is what came in one turn of the loop, or while the batches before were
  being acknowledged. Only when those take longer than `LONG` do other partitions go ahead.
- One batch of a partition is under way at a time. One that fails goes again after a pause that grows, before all that
  came later; other partitions do not wait for it. What is wrong is the topic's trouble until none of its partitions
  fails any more, or, when nothing that failed waits any more, until the leaders of its partitions say what proves that
  it is over (`leaders.py`). They are asked with pauses that grow, for all such topics at once, one question at a time.
- A batch that is too large says nothing of its records: they go again one by one, in their order, and the one that is
  too large by itself fails.
It does not: know what a record means, or open connections.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from amends.adapters.kafka import driver, leaders
from amends.adapters.kafka.lines import Line, Pending, TooLarge, Topic, tell
from amends.adapters.kafka.trouble import told
from amends.driver.trouble import Trouble, longer

CLOSED = "the connection to Kafka is closed"
LONG = 0.01
"""Seconds that records wait for what is under way to other partitions."""

Ask: TypeAlias = Callable[[driver.Producer, Collection[str]], Awaitable[Mapping[str, leaders.Found]]]
"""Asks after topics; raises one of `driver.DRIVER_ERRORS` when nobody answers."""

_log = logging.getLogger(__name__)


class Outgoing:
    """All that is on its way to one cluster."""

    def __init__(
        self, connected: Callable[[], Awaitable[driver.Producer]], where: str, ask: Ask = leaders.ask
    ) -> None:
        """`connected` returns the producer when it is connected, or raises; `where` is for the log."""
        self._connected = connected
        self._ask = ask
        self._where = where
        self._topics: dict[str, Topic] = {}
        self._ready: dict[Line, None] = {}
        """The lines that may go, in the order in which they came to that."""
        self._busy: set[Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: asyncio.Handle | None = None
        self._is_soon = False
        self._is_watched = False
        self._is_closed = False

    def troubles(self, topics: Iterable[str] | None = None) -> Iterable[str]:
        """Return what keeps records from being written just now: to `topics`, or to any."""
        found = self._topics.values() if topics is None else map(self._topics.get, topics)
        return (topic.trouble.text for topic in found if topic is not None and topic.trouble.text)

    def put(self, pending: Pending) -> None:
        """Have a record written behind all that were put before; it is told when it is durable, or failed.

        Raises:
            ConnectionError: it is closed.
        """
        if self._is_closed:
            raise ConnectionError(CLOSED)
        name = pending.topic
        topic = self._topics.get(name)
        if topic is None:
            trouble = Trouble(f"writing to {name} at {self._where}")
            topic = self._topics[name] = Topic(name, trouble)
        line = topic.add(pending)
        if line is not None:
            # One that is ready goes with all that it has by then.
            if line not in self._ready:
                self._may_go(line)
        elif not (topic.is_known or topic.is_looked_for):
            topic.is_looked_for = True
            self._spawn(self._find(topic))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="amends-to-kafka")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find(self, topic: Topic) -> None:
        """Find out how many partitions a topic has, for as long as somebody wants to write there."""
        pause = 0.0
        while topic.is_waited_for():
            try:
                topic.has(await _count(await self._connected(), topic))
                break
            except driver.DRIVER_ERRORS as error:
                self._troubled(topic, error)
                pause = longer(pause)
                await asyncio.sleep(pause)
            except Exception as error:  # noqa: BLE001  whatever it is, it concerns those who wait
                tell(topic.clear(), error)
        topic.is_looked_for = False
        for line in topic.place():
            self._may_go(line)

    # --- what may go ---

    def _may_go(self, line: Line) -> None:
        if line.may_go:
            self._ready[line] = None
            if not self._is_soon:
                self._go_later()

    def _go_later(self) -> None:
        """Send what has gathered: in the next turn when nothing is under way, else when that is done, or takes long."""
        if not self._busy:
            self._is_soon = True
            if self._next is not None:
                self._next.cancel()
            self._next = asyncio.get_running_loop().call_soon(self._go)
        elif self._next is None:
            self._next = asyncio.get_running_loop().call_later(LONG, self._go)

    def _go(self) -> None:
        self._next, self._is_soon = None, False
        ready, self._ready = self._ready, {}
        going: dict[Topic, list[Line]] = {}
        for line in ready:
            if line.may_go:
                line.is_busy = True
                self._busy.add(line)
                going.setdefault(line.topic, []).append(line)
        for topic, lines in going.items():
            self._spawn(self._write(topic, lines))

    async def _write(self, topic: Topic, lines: Sequence[Line]) -> None:
        try:
            producer = await self._connected()
            # Topics get more partitions, and are made anew with others.
            is_same = topic.has(await _count(producer, topic))
        except Exception as error:  # noqa: BLE001  whatever it is, it is told
            for line in lines:
                self._failed(line, error)
            return
        for line in lines:
            if is_same:
                await self._hand_over(producer, line)
            else:
                self._free(line)

    async def _hand_over(self, producer: driver.Producer, line: Line) -> None:
        try:
            builder = producer.create_batch()
            line.fill(builder)
            if not line.going:
                self._free(line)
                return
            builder.close()
            written = await producer.send_batch(builder, line.topic.name, partition=line.number)
        except Exception as error:  # noqa: BLE001  whatever it is, it is told
            self._failed(line, error)
        else:
            written.add_done_callback(partial(self._done, line))

    # --- what became of it ---

    def _done(self, line: Line, written: "asyncio.Future[object]") -> None:
        error = ConnectionError(CLOSED) if written.cancelled() else written.exception()
        if error is None:
            line.ends()
            self._is_well(line)
            self._free(line)
        else:
            self._failed(line, error)

    def _is_well(self, line: Line) -> None:
        line.pause = 0.0
        topic = line.topic
        if topic.trouble.text and not any(each.pause for each in topic.lines.values()):
            topic.ends()

    def _failed(self, line: Line, error: BaseException) -> None:
        if self._is_closed:
            line.ends(ConnectionError(CLOSED))
        elif isinstance(error, driver.TOO_LARGE):
            if len(line.going) > 1:
                line.part()
            else:
                size = sum(len(pending.value or b"") for pending in line.going)
                line.ends(TooLarge(f"{size} bytes are more than the broker takes"))
            self._is_well(line)
        elif isinstance(error, driver.DRIVER_ERRORS):
            self._troubled(line.topic, error)
            line.put_back()
            line.pause = longer(line.pause)
            line.resting = asyncio.get_running_loop().call_later(line.pause, self._rested, line)
        else:
            line.ends(error)
        self._free(line)

    def _rested(self, line: Line) -> None:
        line.resting = None
        self._may_go(line)

    def _free(self, line: Line) -> None:
        """Let a line go on, and others that waited for it."""
        line.is_busy = False
        self._busy.discard(line)
        if line.topic.is_being_placed:
            for placed in line.topic.place():
                self._may_go(placed)
        else:
            self._may_go(line)
        if self._ready and not self._is_soon:
            self._go_later()

    # --- when nothing waits that would show whether it is over ---

    def _troubled(self, topic: Topic, error: Exception) -> None:
        topic.fails(told(error, about=f"write to {topic.name}"), leaders.proof_of(error))
        if not (self._is_watched or self._is_closed):
            self._is_watched = True
            self._spawn(self._watch())

    async def _watch(self) -> None:
        """Ask after the topics in trouble to which nothing is to be written, until none is in trouble."""
        pause = 0.0
        try:
            while any(self.troubles()):
                pause = longer(pause)
                await asyncio.sleep(pause)
                silent = {topic: topic.failures for topic in self._topics.values() if topic.is_silent}
                if silent:
                    await self._ask_after(silent)
        except Exception:  # noqa: BLE001  it is told, and the troubles stay until a record is written
            _log.exception("whether a trouble is over cannot be asked")
        finally:
            self._is_watched = False

    async def _ask_after(self, silent: Mapping[Topic, int]) -> None:
        """Ask after topics; what an answer says of one is old when it failed again meanwhile, or something waits."""
        try:
            found = await self._ask(await self._connected(), [topic.name for topic in silent])
        except driver.DRIVER_ERRORS:
            return
        for topic, failures in silent.items():
            if topic.is_silent and topic.failures == failures:
                topic.hears(found[topic.name])

    # --- the end ---

    async def close(self) -> None:
        """Take nothing more, and let go of what is not under way; who waits for it is told."""
        self._is_closed = True
        if self._next is not None:
            self._next.cancel()
        self._ready.clear()
        for topic in self._topics.values():
            tell(topic.clear(), ConnectionError(CLOSED))
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def end(self) -> None:
        """Tell those who still wait, when the connection is closed, that it is."""
        for line in self._busy:
            line.ends(ConnectionError(CLOSED))
        self._busy.clear()


async def _count(producer: driver.Producer, topic: Topic) -> int:
    """Return how many partitions a topic has.

    Raises:
        Exception: one of `driver.DRIVER_ERRORS`.
    """
    found = await producer.partitions_for(topic.name)
    if not found:
        raise driver.NO_TOPIC[0]
    return len(found)
