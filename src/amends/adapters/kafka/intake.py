"""The way in: records of a group's topics, handed over one key at a time, committed when what they carried is durable.

Rules
- Each partition has a task of its own that takes a batch, hands all of it over and then takes the next: a partition
  whose records wait (for room, for the store) is not read on, and the others are. In memory is a batch a partition.
- Within a batch, records of one key follow one another; different keys go side by side, so that their commits to the
  store are shared.
- An offset is committed after everything before it was taken. A partition that goes to another member is let go of when
  its batch is done; what was not committed comes again there, and has no second effect.
- Whatever the broker does is waited out: the consumer is made anew, after a pause that grows. `trouble` says why.
- What failed soon after it began, or for want of a permission, is believed to be well again only when it lasts:
  otherwise the trouble would come and go with every try.
- A topic that is not there, or not any more, is a trouble while the others are read; it is read when it is made.
It does not: read records, or decide what becomes of them.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from amends.adapters.kafka import driver
from amends.adapters.kafka.sender import FIRST_PAUSE, LONGEST_PAUSE, Trouble, told
from amends.ports.intake import Record, Take

BATCH = 500
"""Records that a partition hands over at a time."""
LOOK = 1.0
"""Seconds after which an empty fetch ends, to see whether the partition is still ours, and the topics still there."""
LET_GO = 5.0
"""Seconds that a batch may still take when its partition goes to another member."""

SOON: Final = 5.0
"""Seconds: a reading that fails within them was never well."""

Fail: TypeAlias = Callable[[BaseException], None]
"""Is told that a reading cannot go on."""

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
        self.rebalances = 0
        """How often partitions came or went."""

    @property
    def trouble(self) -> str:
        """What keeps records from coming in just now; empty when nothing does."""
        return self._trouble.text

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
                consumer, take, trouble=self._trouble, on_change=self._changed, is_doubted=is_doubted
            )
            try:
                await reading.run(self._topics)
            except Exception as error:  # noqa: BLE001  whatever it is, records must come in again
                about = f"read {', '.join(self._topics)} as {self._group}"
                self._trouble.begins(told(error, about=about))
                is_doubted = reading.failed_soon or isinstance(error, driver.NOT_ALLOWED)
                was_well = reading.was_well and not is_doubted
                pause = FIRST_PAUSE if was_well else min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
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
        *,
        trouble: Trouble,
        on_change: Callable[[], None],
        is_doubted: bool,
    ) -> None:
        self._consumer = consumer
        self._take = take
        self._on_change = on_change
        self._trouble = trouble
        self._partitions: dict[driver.Partition, _PartitionTask] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits = _Commits(self._consumer, self._fail)
        self._is_ending = False
        self._topics: Sequence[str] = ()
        self._is_doubted = is_doubted
        self._assigned_at: float | None = None
        self._failed_at: float | None = None

    async def run(self, topics: Sequence[str]) -> None:
        """Read until something is wrong, and raise it."""
        self._topics = topics
        driver.subscribe(self._consumer, topics, assigned=self._assigned, revoked=self._revoked)
        try:
            await self._consumer.start()
            while not (await asyncio.wait({self._failed}, timeout=LOOK))[0]:
                self._tell()
            self._failed.result()
        finally:
            await asyncio.shield(self._end())

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

    async def _end(self) -> None:
        self._is_ending = True
        await self._let_go(list(self._partitions))
        await self._commits.stop()
        with suppress(*driver.DRIVER_ERRORS):
            await self._consumer.stop()

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
                self._partitions[partition] = _PartitionTask(
                    self._consumer, partition, self._take, self._commits, self._fail
                )

    async def _revoked(self, partitions: Sequence[driver.Partition]) -> None:
        if partitions:
            self._on_change()
            await self._let_go(partitions)
            await self._commits.flush()

    async def _let_go(self, partitions: Sequence[driver.Partition]) -> None:
        tasks = [self._partitions.pop(each) for each in partitions if each in self._partitions]
        await asyncio.gather(*(each.stop() for each in tasks))


class _PartitionTask:
    """Reads one partition for as long as it is ours."""

    def __init__(
        self,
        consumer: driver.Consumer,
        partition: driver.Partition,
        take: Take,
        commits: "_Commits",
        fail: Fail,
    ) -> None:
        self._consumer = consumer
        self._partition = partition
        self._take = take
        self._commits = commits
        self._fail = fail
        self._is_fetching = True
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"amends-intake-{partition.topic}-{partition[1]}")

    async def _run(self) -> None:
        try:
            while not self._stopping:
                self._is_fetching = True
                batch = await driver.fetch(self._consumer, self._partition, most=BATCH, within=LOOK)
                self._is_fetching = False
                if batch:
                    await self._hand_over(batch)
                    self._commits.note(self._partition, batch[-1].offset + 1)
        except Exception as error:  # noqa: BLE001  the whole reading ends with it, and begins anew
            self._fail(error)

    async def _hand_over(self, batch: Sequence[Record]) -> None:
        by_key: dict[bytes | None, list[Record]] = {}
        for record in batch:
            by_key.setdefault(record.key, []).append(record)
        await asyncio.gather(*(self._in_turn(records) for records in by_key.values()))

    async def _in_turn(self, records: Sequence[Record]) -> None:
        for record in records:
            await self._until_taken(record)

    async def _until_taken(self, record: Record) -> None:
        pause = 0.0
        while True:
            try:
                await self._take(record)
            except Exception as error:  # noqa: BLE001  what does not pass by itself is not raised
                if not pause:
                    where = f"{record.topic}[{record.partition}]@{record.offset}"
                    _log.warning("%s waits: %s", where, told(error, about="take it"))
                pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
                await asyncio.sleep(pause)
            else:
                return

    async def stop(self) -> None:
        """End after the batch that is being handed over, if that does not take too long."""
        self._stopping = True
        if self._is_fetching:
            self._task.cancel()
        await asyncio.wait({self._task}, timeout=LET_GO)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class _Commits:
    """Offsets on their way to the broker: while one commit is under way, the next gathers."""

    def __init__(self, consumer: driver.Consumer, fail: Fail) -> None:
        self._consumer = consumer
        self._fail = fail
        self._due: dict[driver.Partition, int] = {}
        self._going: asyncio.Task[None] | None = None

    def note(self, partition: driver.Partition, offset: int) -> None:
        """Have the partition committed up to `offset`."""
        self._due[partition] = offset
        if self._going is None:
            self._going = asyncio.create_task(self._commit(), name="amends-intake-commit")

    async def flush(self) -> None:
        """Wait until what is noted is committed, or cannot be."""
        if self._going is not None:
            await asyncio.wait({self._going})

    async def stop(self) -> None:
        """Commit what is noted, for the last time."""
        await self.flush()

    async def _commit(self) -> None:
        try:
            while self._due:
                due, self._due = self._due, {}
                try:
                    await driver.commit(self._consumer, due)
                except driver.NOT_OURS as error:
                    # They belong to another member by now: it reads them again, to no effect.
                    _log.info("offsets were not committed: %s", error)
        except Exception as error:  # noqa: BLE001  the reading begins anew at what was committed
            self._fail(error)
        finally:
            self._going = None
