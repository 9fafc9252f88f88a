"""What is in hand of one partition: taken one key at a time, and the offsets that may be committed for it.

Rules
- A record begins to be taken when the one before it with the same key was taken. It is first offered to `soon`, which
  needs no task; what that does not take is awaited, and handed over again until it is taken. That some have to be is
  said once, and once that none has to be any more: thousands may wait for one store.
- Beyond a limit the partition is paused, and read on when half of that is taken.
- Its offset may be committed up to the first record that is not taken yet.
It does not: read, or decide what becomes of a record.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from amends.adapters.kafka import driver
from amends.adapters.kafka.trouble import told
from amends.driver.trouble import Trouble, longer
from amends.ports.intake import Outcome, Record, Take, TakeSoon

MOST = 1_000
"""Records of a partition that are in hand before it is paused."""
LET_GO = 5.0
"""Seconds that what is in hand may still take when its partition goes to another member."""
BETWEEN_COMMITS = 0.2
"""Seconds; what is not committed when this process ends comes again, to no effect."""

Fail: TypeAlias = Callable[[BaseException], None]
"""Is told that a reading cannot go on."""

_log = logging.getLogger(__name__)


class _Batch:
    """Records that came together."""

    __slots__ = ("end", "left")

    def __init__(self, records: Sequence[Record]) -> None:
        self.end = records[-1].offset + 1
        self.left = len(records)


class _Held:
    """One record in hand."""

    __slots__ = ("batch", "hand", "next", "record")

    def __init__(self, hand: "InHand", record: Record, batch: _Batch) -> None:
        self.hand = hand
        self.record = record
        self.batch = batch
        self.next: _Held | None = None
        """The one with the same key that came after it."""

    def told(self, outcome: Outcome | None) -> None:
        """Hear what became of it; None: it is still to be taken."""
        if outcome is None:
            self.hand.wait_for(self)
        else:
            self.hand.taken(self)


class InHand:
    """Of one partition, for as long as it is ours."""

    def __init__(
        self,
        consumer: driver.Consumer,
        partition: driver.Partition,
        take: Take,
        soon: TakeSoon | None,
        offsets: "Offsets",
    ) -> None:
        self._consumer = consumer
        self._partition = partition
        self._take = take
        self._soon = soon
        self._offsets = offsets
        self._count = 0
        self._is_paused = False
        self._batches: deque[_Batch] = deque()
        self._last: dict[bytes | None, _Held] = {}
        self._ready: deque[_Held] = deque()
        self._is_beginning = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_taken: asyncio.Future[None] | None = None
        self._is_over = False
        self._refused = 0
        """Records that were handed over, and are to be handed over again."""
        self._trouble = Trouble(f"taking records of {partition.topic}[{partition.partition}]")

    @property
    def count(self) -> int:
        """How many records were fetched and are not taken yet."""
        return self._count

    def take(self, records: Sequence[Record]) -> None:
        """Have records taken that came together."""
        batch = _Batch(records)
        self._batches.append(batch)
        self._count += len(records)
        for record in records:
            held = _Held(self, record, batch)
            before = self._last.get(record.key)
            self._last[record.key] = held
            if before is None:
                self._ready.append(held)
            else:
                before.next = held
        self._begin()
        if self._count >= MOST and not self._is_paused:
            self._is_paused = True
            driver.pause(self._consumer, self._partition)

    def _begin(self) -> None:
        # Taking one may make the next ready at once; a loop instead of a recursion, for there may be thousands.
        if self._is_beginning:
            return
        self._is_beginning = True
        try:
            while self._ready:
                held = self._ready.popleft()
                if self._soon is None or not self._soon(held.record, held.told):
                    self.wait_for(held)
        finally:
            self._is_beginning = False

    def wait_for(self, held: _Held) -> None:
        """Have a record taken that takes a while."""
        if not self._is_over:
            task = asyncio.create_task(self._until_taken(held), name=f"amends-take-{self._partition.topic}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _until_taken(self, held: _Held) -> None:
        pause, record = 0.0, held.record
        while True:
            try:
                await self._take(record)
            except Exception as error:  # noqa: BLE001  what does not pass by itself is not raised
                if not pause:
                    self._refused += 1
                self._trouble.begins(f"at {record.offset}, {told(error, about='take it')}")
                pause = longer(pause)
                await asyncio.sleep(pause)
            else:
                if pause:
                    self._refused -= 1
                    if not self._refused:
                        self._trouble.ends()
                self.taken(held)
                return

    def taken(self, held: _Held) -> None:
        """Take notice that a record was taken."""
        if self._is_over:
            return
        self._count -= 1
        held.batch.left -= 1
        key = held.record.key
        if self._last[key] is held:
            del self._last[key]
        elif held.next is not None:
            self._ready.append(held.next)
            self._begin()
        if not held.batch.left:
            self._note()
        if self._is_paused and self._count <= MOST // 2:
            self._is_paused = False
            driver.resume(self._consumer, self._partition)
        if not self._count and self._all_taken is not None and not self._all_taken.done():
            self._all_taken.set_result(None)

    def _note(self) -> None:
        end = None
        while self._batches and not self._batches[0].left:
            end = self._batches.popleft().end
        if end is not None:
            self._offsets.note(self._partition, end)

    async def stop(self) -> None:
        """End when what is in hand was taken, if that does not take too long."""
        if self._count:
            self._all_taken = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._all_taken}, timeout=LET_GO)
        self._is_over = True
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Offsets:
    """Offsets on their way to the broker: while one commit is under way, and a moment after it, the next gathers."""

    def __init__(self, consumer: driver.Consumer, fail: Fail) -> None:
        self._consumer = consumer
        self._fail = fail
        self._due: dict[driver.Partition, int] = {}
        self._going: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def note(self, partition: driver.Partition, offset: int) -> None:
        """Have the partition committed up to `offset`."""
        self._due[partition] = offset
        if self._going is None:
            self._going = asyncio.create_task(self._commit(), name="amends-intake-commit")

    async def flush(self) -> None:
        """Wait until what is noted is committed, or cannot be."""
        self._hurry.set()
        if self._going is not None:
            await asyncio.wait({self._going})
        self._hurry.clear()

    async def _commit(self) -> None:
        try:
            while self._due:
                due, self._due = self._due, {}
                try:
                    await driver.commit(self._consumer, due)
                except driver.NOT_OURS as error:
                    # They belong to another member by now: it reads them again, to no effect.
                    _log.info("offsets were not committed: %s", error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(BETWEEN_COMMITS):
                        await self._hurry.wait()
        except Exception as error:  # noqa: BLE001  the reading begins anew at what was committed
            self._fail(error)
        finally:
            self._going = None
