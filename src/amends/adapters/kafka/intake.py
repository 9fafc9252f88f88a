"""The way in: records of a group's topics, handed over one key at a time, committed when what they carried is durable.

Rules
- One task reads, and hands over what comes as it comes; what is in hand is counted for each partition. A partition
  whose records wait (for room, for the store) is not read on beyond a limit, and the others are.
- Records of one key follow one another; different keys go side by side, so that their commits to the store are shared.
- An offset is committed after everything before it was taken, and not more often than is of use. A partition that goes
  to another member is let go of when what is in hand is done; what was not committed comes again there, and has no
  second effect.
- Whatever the broker does is waited out: the consumer is made anew, after a pause that grows. `trouble` says why.
- What failed soon after it began, or for want of a permission, is believed to be well again only when it lasts:
  otherwise the trouble would come and go with every try.
- A topic that is not there, or not any more, is a trouble while the others are read; it is read when it is made.
It does not: read records, or decide what becomes of them.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from amends.adapters.kafka import driver
from amends.adapters.kafka.in_hand import InHand, Offsets
from amends.adapters.kafka.trouble import told
from amends.driver.starting import start
from amends.driver.trouble import Trouble, longer
from amends.ports.intake import Take, TakeSoon

BATCH = 500
"""Records that are fetched at a time."""
LOOK = 1.0
"""Seconds that the driver is given to find something, and after which it is looked whether all topics are there."""
MEASURE = 2.0
"""Seconds between two questions to the broker how much there is."""
SOON: Final = 5.0
"""Seconds: a reading that fails within them was never well."""

_log = logging.getLogger(__name__)


class KafkaIntake:
    """Reads `topics` as a member of `group`; `session` is how many seconds a silent member stays one.

    `member`: a name that this process alone has, and has again after a restart; it then goes on without a rebalance.
    """

    def __init__(
        self,
        address: driver.Address,
        topics: Iterable[str],
        *,
        group: str,
        session: float = 10.0,
        member: str | None = None,
        on_rebalance: Callable[[], None] | None = None,
    ) -> None:
        self._address = address
        self._topics = sorted(set(topics))
        self._group = group
        self._session = session
        self._member = member
        self._on_rebalance = on_rebalance
        self._trouble = Trouble(f"reading from {', '.join(address.servers)}")
        self._running: asyncio.Task[None] | None = None
        self._soon: dict[str, TakeSoon] = {}
        self._reading: _Reading | None = None
        self.rebalances = 0
        """How often partitions came or went."""

    @property
    def trouble(self) -> str:
        """What keeps records from coming in just now; empty when nothing does."""
        return self._trouble.text

    @property
    def behind(self) -> Mapping[tuple[str, int], int]:
        """How many records are still to be taken, by topic and partition, of what this member reads; a moment old."""
        return {} if self._reading is None else self._reading.behind

    @property
    def in_hand(self) -> int:
        """How many records were fetched and are not taken yet."""
        return 0 if self._reading is None else self._reading.in_hand

    def offer(self, topic: str, soon: TakeSoon) -> None:
        """Offer each record of `topic` to `soon` first."""
        self._soon[topic] = soon

    async def start(self, take: Take) -> None:
        """Begin to hand over records; a broker that is away is waited for, beside."""
        if self._running is None:
            self._trouble.begins("not connected yet")
            self._running = asyncio.create_task(self._run(take), name=f"amends-intake-{self._group}")

    async def stop(self) -> None:
        """Hand over none any more. Stopping twice is harmless."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run(self, take: Take) -> None:
        pause, is_doubted = 0.0, False
        while True:
            consumer = driver.consumer(
                self._address, group=self._group, session=self._session, member=self._member
            )
            reading = _Reading(
                consumer,
                take,
                self._soon,
                trouble=self._trouble,
                on_change=self._changed,
                is_doubted=is_doubted,
            )
            self._reading = reading
            try:
                await reading.run(self._topics)
            except Exception as error:  # noqa: BLE001  whatever it is, records must come in again
                about = f"read {', '.join(self._topics)} as {self._group}"
                self._trouble.begins(told(error, about=about))
                is_doubted = reading.failed_soon or isinstance(error, driver.NOT_ALLOWED)
                was_well = reading.was_well and not is_doubted
                pause = longer(0.0 if was_well else pause)
            await asyncio.sleep(pause)

    def _changed(self) -> None:
        self.rebalances += 1
        if self._on_rebalance is not None:
            self._on_rebalance()


class _Reading:
    """One consumer, from its start to its first error."""

    def __init__(
        self,
        consumer: driver.Consumer,
        take: Take,
        soon: Mapping[str, TakeSoon],
        *,
        trouble: Trouble,
        on_change: Callable[[], None],
        is_doubted: bool,
    ) -> None:
        self._consumer = consumer
        self._take = take
        self._soon = soon
        self._on_change = on_change
        self._trouble = trouble
        self._partitions: dict[driver.Partition, InHand] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._offsets = Offsets(self._consumer, self._fail)
        self._is_ending = False
        self._topics: Sequence[str] = ()
        self._is_doubted = is_doubted
        self._assigned_at: float | None = None
        self._failed_at: float | None = None
        self.behind: Mapping[tuple[str, int], int] = {}

    @property
    def in_hand(self) -> int:
        """How many records of all partitions are not taken yet."""
        return sum(each.count for each in self._partitions.values())

    async def run(self, topics: Sequence[str]) -> None:
        """Read until something is wrong, and raise it."""
        self._topics = topics
        driver.subscribe(self._consumer, topics, assigned=self._assigned, revoked=self._revoked)
        tasks: list[asyncio.Task[None]] = []
        try:
            await start(self._consumer)
            tasks.append(asyncio.create_task(self._read(), name="amends-intake-read"))
            tasks.append(asyncio.create_task(self._measure(), name="amends-intake-measure"))
            while not (await asyncio.wait({self._failed}, timeout=LOOK))[0]:
                self._tell()
            self._failed.result()
        finally:
            await asyncio.shield(self._end(tasks))

    @property
    def was_well(self) -> bool:
        """Whether it got as far as reading, and long enough to be believed."""
        return self._assigned_at is not None and (not self._is_doubted or self._age > 2 * LOOK)

    @property
    def failed_soon(self) -> bool:
        """Whether it got as far as reading, and not much further; one that was doubted stays so if it did not."""
        return self._is_doubted if self._assigned_at is None else self._age < SOON

    @property
    def _age(self) -> float:
        return (self._failed_at or asyncio.get_running_loop().time()) - (self._assigned_at or 0.0)

    def _tell(self) -> None:
        """Say which topics are not there; that nothing is wrong, if none is missing."""
        if not self.was_well:
            return
        if missing := driver.missing(self._consumer, self._topics):
            self._trouble.begins(f"there is no topic {', '.join(missing)}")
        else:
            self._trouble.ends()

    async def _end(self, tasks: "Sequence[asyncio.Task[None]]") -> None:
        self._is_ending = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._let_go(list(self._partitions))
        await self._offsets.flush()
        with suppress(*driver.DRIVER_ERRORS):
            await self._consumer.stop()

    async def _read(self) -> None:
        try:
            while True:
                found = await driver.fetch(self._consumer, most=BATCH, within=LOOK)
                for partition, records in found.items():
                    # What is read of no partition of ours would be passed over: then the reading begins anew.
                    self._partitions[partition].take(records)
                # What was buffered comes without a pause; others want their turn.
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001  the whole reading ends with it, and begins anew
            self._fail(error)

    async def _measure(self) -> None:
        """Look from time to time how much there is to do; it is only looked at."""
        while True:
            with suppress(*driver.DRIVER_ERRORS):
                to_come = await driver.to_come(self._consumer, list(self._partitions))
                self.behind = {
                    (place.topic, place.partition): number + self._partitions[place].count
                    for place, number in to_come.items()
                    if place in self._partitions
                }
            await asyncio.sleep(MEASURE)

    def _fail(self, error: BaseException) -> None:
        # What breaks while it ends is nobody's business any more.
        if not self._failed.done() and not self._is_ending:
            self._failed_at = asyncio.get_running_loop().time()
            self._failed.set_exception(error)

    async def _assigned(self, partitions: Sequence[driver.Partition]) -> None:
        if self._assigned_at is None:
            self._assigned_at = asyncio.get_running_loop().time()
        self._tell()
        self._on_change()
        for partition in partitions:
            if partition not in self._partitions and not self._is_ending:
                soon = self._soon.get(partition.topic)
                self._partitions[partition] = InHand(
                    self._consumer, partition, self._take, soon, self._offsets
                )

    async def _revoked(self, partitions: Sequence[driver.Partition]) -> None:
        if partitions:
            self._on_change()
            await self._let_go(partitions)
            await self._offsets.flush()

    async def _let_go(self, partitions: Sequence[driver.Partition]) -> None:
        hands = [self._partitions.pop(each) for each in partitions if each in self._partitions]
        await asyncio.gather(*(each.stop() for each in hands))
