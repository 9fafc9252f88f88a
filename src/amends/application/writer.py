"""The group-commit writer: joins what all instances want appended into one transaction.

Rules: one transaction in flight; the next batch is what arrived meanwhile, so there is no timer and no artificial
delay. Where a commit happens in another process, a batch is at most half of what is runnable, and the next is sent
before the callers of the last are told: Python decides one half while the server commits the other (double buffering),
and has the store prepare it, as far as the store can, as soon as it is complete.
That pays where those who are told come with their next append at once. Where they send a message and its answer takes
its time, halves would only be divided again and again, into many small commits and messages: there a batch is whole.
What follows at once from a batch is written in the next turn of the loop, without waking anybody; only where others are
at work does the writer wait one turn more, so that what came for them meanwhile goes along.
Nothing is reported before its commit returned. While the store is full or away the batch waits and is tried
again; nothing is lost and nothing is acknowledged. An append that no store can keep fails alone. When others have taken
over what this process held, nothing of what it decided before is written any more. Any other failure stops the writer
for good.
It does not: decide, or know what an append means.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence, Sized
from contextlib import suppress
from typing import Final, Protocol, TypeAlias

from amends.application.availability import Availability
from amends.application.eager import Eager
from amends.application.patience import longer
from amends.ports import (
    Append,
    EventStore,
    PreparesBatches,
    StoreError,
    StoreFenced,
    StoreFull,
    StoreUnavailable,
)

log = logging.getLogger("amends.writer")

SMALLEST_HALF: Final = 8
"""So few are not worth a transaction of their own."""

Verdict: TypeAlias = bool | ValueError | StoreFenced
"""Stored; not stored, for the optimistic lock was lost; or the reason why it cannot be stored at all, or not here."""

TROUBLE: Final = (ValueError, StoreFenced, StoreFull, StoreUnavailable)
"""What does not end the writing."""


class Pending(Protocol):
    """What is to be stored, and is told what came of it."""

    @property
    def append(self) -> Append:
        """What is to be stored."""
        ...

    def settled(self, verdict: Verdict) -> None:
        """Take notice of the verdict; when it is stored, it is durable."""
        ...


class Writer:
    """One per process and store."""

    def __init__(
        self,
        store: EventStore,
        *,
        largest_batch: int = 2000,
        on_stop: Callable[[Exception], None],
        availability: Availability | None = None,
        live: Sized = (),
    ) -> None:
        """Write to `store`; `on_stop` is told why, should writing become impossible, `availability` of outages.

        `live`: those who append, one at a time each; as many may still come as have not appended yet.
        """
        self._store = store
        self._availability = availability or Availability()
        self._live = live
        self._largest_batch = largest_batch
        self._on_stop = on_stop
        self._overlaps = store.commits_elsewhere
        self.in_halves = store.commits_elsewhere
        """Whether a batch is half of what is runnable."""
        self._prepare = store.prepared if isinstance(store, PreparesBatches) else None
        self._on_its_way = 0
        """How many are being committed, where it pays to prepare as many meanwhile; else 0."""
        self._next: Sequence[Append] = ()
        """The first of those pending, as a batch that is prepared."""
        self._pending: list[Pending] = []
        self._committed: tuple[list[Pending], Sequence[Verdict]] | None = None
        """The batch that is durable and whose callers are not told yet."""
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._fence: StoreFenced | None = None
        self.on_fenced: Callable[[StoreFenced], None] | None = None
        """Told when the store says that others have taken over; it calls `fence`."""
        self.commits = 0
        self.appended = 0
        self.on_commit: Callable[[int], None] | None = None
        """Told the size of each batch that was committed, after its callers; nobody listens by default."""

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="amends-writer")

    def append(self, pending: Pending) -> None:
        """Have `pending` stored with the next batch; it is told the verdict once it is durable."""
        self._pending.append(pending)
        if len(self._pending) == self._on_its_way and self._prepare is not None:
            # As many as are on their way: half of what is runnable, and all of the other half unless there is more now.
            self._next = self._prepare([each.append for each in self._pending])
        if self._wake is not None:
            self._wake.set_result(None)
            self._wake = None

    def fence(self, error: StoreFenced) -> None:
        """Report what waits as not stored; what is on its way is not tried again."""
        self._fence = error
        pending, self._pending, self._next = self._pending, [], ()
        _report(pending, [error] * len(pending))

    async def stop(self) -> None:
        """Write what is pending and stop."""
        self._closing.set()
        if self._wake is not None:
            self._wake.set_result(None)
            self._wake = None
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while await self._something_pending():
                # A call of its own: what was written is not held on to while the writer waits for more.
                await self._write_batch()
        except StoreError as error:
            log.error("writing stopped: %s", error)  # noqa: TRY400  the text says all
            self._on_stop(error)
        except Exception as error:
            log.exception("writing stopped")
            self._on_stop(error)

    async def _write_batch(self) -> None:
        batch, appends = self._take()
        self._fence = None
        self._on_its_way = len(batch) if self.in_halves and len(batch) >= SMALLEST_HALF else 0
        try:
            verdicts = await (self._tried_beside(appends) if self._committed else self._tried(appends))
        except TROUBLE as error:
            verdicts = await self._despite(error, appends)
        self._on_its_way = 0
        self.commits += 1
        self.appended += len(batch)
        if self._overlaps and self._pending:
            self._committed = batch, verdicts
        else:
            self._tell(batch, verdicts)

    def _take(self) -> "tuple[list[Pending], Sequence[Append]]":
        """Take the next batch: all that is pending, or half of what is runnable where that pays.

        What was prepared is taken unless more than an eighth would be left behind.
        """
        pending, most = self._pending, self._largest_batch
        if self.in_halves:
            runnable = len(pending) + (len(self._committed[0]) if self._committed else 0)
            most = min(most, max((runnable + 1) // 2, SMALLEST_HALF))
        appends, self._next = self._next, ()
        if 7 * most <= 8 * len(appends):
            most = len(appends)
        else:
            appends = [each.append for each in pending[:most]]
        self._pending = pending[most:]
        return pending[:most], appends

    def _tell(self, batch: Sequence[Pending], verdicts: Sequence[Verdict]) -> None:
        """Tell those whose batch is durable."""
        _report(batch, verdicts)
        if self.on_commit is not None:
            self.on_commit(len(batch))

    async def _something_pending(self) -> bool:
        if not self._pending:
            # What follows at once from what was told stands in the loop before this: nobody need wake the writer.
            await asyncio.sleep(0)
            if self._pending and len(self._pending) < len(self._live):
                # Others are at work as well: what came for them during the commit is looked at in this turn.
                await asyncio.sleep(0)
        # Again and again: what it was woken for may have been called off by then.
        while not self._pending and not self._closing.is_set():
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return bool(self._pending)

    async def _tried(self, batch: Sequence[Append]) -> Sequence[Verdict]:
        """Have a batch stored: once, and as if nothing could be amiss."""
        availability = self._availability
        availability.asked("writer")
        try:
            verdicts = await self._store.append(batch)
        finally:
            availability.heard("writer")
        if availability.is_away:
            availability.answered("writer")
        return verdicts

    async def _tried_beside(self, batch: Sequence[Append]) -> Sequence[Verdict]:
        """Have a batch on its way first; what follows from the one before is decided while it is being committed."""
        storing = Eager(self._tried(batch))
        committed, self._committed = self._committed, None
        if committed is not None:
            self._tell(*committed)
        return await storing

    async def _despite(self, error: Exception, batch: Sequence[Append]) -> Sequence[Verdict]:
        """Have a batch stored that met with `error`, as far as and as soon as that can be."""
        pause = 0.0
        while True:
            match error:
                case ValueError():
                    return [error] if len(batch) == 1 else await self._each_alone(batch)
                case StoreFenced():
                    self._availability.answered("writer")
                    if self.on_fenced is None:
                        raise error
                    self.on_fenced(error)
                    self._fence = error
                case StoreFull() | StoreUnavailable():
                    pause = await self._hold(pause, error)
                case _:
                    raise error
            if self._fence is not None:
                return [self._fence] * len(batch)
            try:
                return await self._tried(batch)
            except TROUBLE as again:
                error = again

    async def _each_alone(self, batch: Sequence[Append]) -> Sequence[Verdict]:
        """One of them cannot be kept; which one, only trying each alone can tell."""
        verdicts: list[Verdict] = []
        for append in batch:
            try:
                verdicts += [self._fence] if self._fence is not None else await self._tried([append])
            except TROUBLE as error:
                verdicts += await self._despite(error, [append])
        return verdicts

    async def _hold(self, pause: float, error: StoreError) -> float:
        """Wait a little longer than last time; give up only when the orchestrator closes."""
        if self._closing.is_set():
            raise error
        self._availability.missed("writer", error)
        pause = longer(pause)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._closing.wait()
        return pause


def _report(batch: Sequence[Pending], verdicts: Sequence[Verdict]) -> None:
    for pending, verdict in zip(batch, verdicts, strict=True):
        try:
            pending.settled(verdict)
        except Exception:  # what one instance does with its verdict must not keep the others from theirs
            log.exception("a stored decision could not be acted on")
