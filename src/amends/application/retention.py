"""Retention: finished instances that are old enough go to the archive, then the store gives them up.

Rules
- Nothing is deleted before its volume is durable and was read back. What is deleted is what stands in the volume: a
  stream that went on meanwhile stays.
- A volume that was not settled, because the process ended or the store was away, is settled first by the next run.
- Lists show what the store has: the rows of what was given up are removed. An instance is given up only when the
  rows have come past its end, so no row of it comes later.
- Where transitions are relayed, nothing is deleted that has not left, whatever an earlier run began to delete.
- A volume holds a bounded number of streams; they are deleted a few at a time, and writers go in between.
- The verb is `run_once`; the loop around it only waits. What goes wrong is said, and tried again at the next time.
It does not: know where an archive is, or reopen what was archived (`restoration` brings it back).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from amends.ports import (
    Archive,
    ArchiveError,
    Clock,
    ReadModel,
    RelayCheckpoint,
    RetainedStore,
    StoredStream,
    StoreError,
    StreamEnd,
    StreamKey,
)

log = logging.getLogger("amends.retention")

LARGEST_VOLUME: Final = 5_000
"""Streams of one volume."""
A_FEW: Final = 100
"""Streams that are read, or deleted, at a time."""
PIECE: Final = 1_000
"""Transitions that are looked at at a time."""
STAND_BY: Final = 1.0
"""Seconds until it is asked again whether this process may run."""
REST: Final = 0.01
"""Seconds between two deletions, for the writer's sake."""


class Archived(NamedTuple):
    """What came of a run."""

    volumes: tuple[str, ...] = ()
    streams: int = 0
    transitions: int = 0
    size: int = 0
    """Bytes in the archive."""


class Retention:
    """One per store."""

    def __init__(
        self,
        store: RetainedStore,
        archive: Archive,
        clock: Clock,
        *,
        age: timedelta,
        read_model: ReadModel | None = None,
        relayed: RelayCheckpoint | None = None,
        may_run: Callable[[], bool] = lambda: True,
        largest_volume: int = LARGEST_VOLUME,
        rest: float = REST,
    ) -> None:
        """Archive what ended longer than `age` ago. `may_run`: whether this process is the one to do it now.

        `relayed`: up to where the log has left, if it leaves.
        """
        self._store = store
        self._archive = archive
        self._clock = clock
        self._age = age
        self._read_model = read_model
        self._relayed = relayed
        self._may_run = may_run
        self._largest_volume = largest_volume
        self._rest = rest
        self._task: asyncio.Task[None] | None = None
        self.archived = 0
        """Instances that the store gave up, since this was made."""
        self.size = 0
        """Bytes that were archived."""
        self.failures = 0
        """Runs that did not come to their end."""

    def start(self, interval: timedelta) -> None:
        """Begin to run, now and after each `interval`."""
        self._task = asyncio.create_task(self._run(interval.total_seconds()), name="amends-retention")

    async def stop(self) -> None:
        """Run no more; what was begun is finished by the next run, whenever that is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self) -> Archived:
        """Archive and give up everything that is old enough now.

        Raises:
            ArchiveError: the archive cannot be used; nothing was deleted that is not in a volume.
            StoreError: the store, or the lists, cannot; the next run goes on.
        """
        done = Archived()
        for volume in await self._archive.volumes():
            if not volume.is_settled:
                await self._settle(volume.name)
        after: int | None = 0
        while after is not None and self._may_run():
            ends, after = await self._finished(after)
            written = await self._archive.write(self._clock.now(), self._pages(ends))
            if written is None:
                continue
            await self._settle(written.name)
            self.size += written.size
            done = Archived(
                (*done.volumes, written.name),
                done.streams + written.streams,
                done.transitions + written.transitions,
                done.size + written.size,
            )
        return done

    async def _finished(self, after: int) -> tuple[list[StreamEnd], int | None]:
        """Return the next streams that may go, as many as a volume holds, and where to go on."""
        before, bound = self._clock.now() - self._age, await self._bound()
        ends: list[StreamEnd] = []
        place: int | None = after
        while place is not None and len(ends) < self._largest_volume:
            page = await self._store.finished(before=before, after=place, limit=PIECE)
            ends += [end for end in page.ends if end.sequence < bound]
            place = page.next
            await asyncio.sleep(0)
        if len(ends) > self._largest_volume:
            del ends[self._largest_volume :]
            place = ends[-1].sequence
        return ends, place

    async def _bound(self) -> int:
        """Return the place in the log that stays, with all behind it: its end, or where the rows or the topic are."""
        end = await self._store.log_end()
        if self._relayed is not None:
            end = min(end, await self._relayed.reached())
        if self._read_model is None:
            return end
        return min(end, (await self._read_model.checkpoint()).sequence)

    async def _pages(self, ends: Sequence[StreamEnd]) -> AsyncIterator[Sequence[StoredStream]]:
        """Read the streams that still end there."""
        for start in range(0, len(ends), A_FEW):
            few = ends[start : start + A_FEW]
            wanted = set(few)
            streams = await self._store.streams([end.key for end in few])
            if page := [stream for stream in streams if stream.end in wanted]:
                yield page

    async def _settle(self, name: str) -> None:
        """Give up what is in a volume, unless it has gone on, and note that this was done.

        What has not left the store's log stays, and a later run gives it up.
        """
        left = None if self._relayed is None else await self._relayed.reached()
        kept = 0
        async for page in self._archive.read(name):
            ends = [stream.end for stream in page if left is None or stream.end.sequence <= left]
            kept += len(page) - len(ends)
            self.archived += sum(await self._store.delete_streams(ends))
            await self._forget([end.key for end in ends])
            await asyncio.sleep(self._rest)
        if not kept:
            await self._archive.settle(name)

    async def _forget(self, keys: Sequence[StreamKey]) -> None:
        """Remove the rows of what is in the store no more, whoever deleted it."""
        if self._read_model is not None:
            left = {stream.key for stream in await self._store.streams(keys)}
            await self._read_model.remove([key for key in keys if key not in left])

    async def _run(self, interval: float) -> None:
        while True:
            if self._may_run():
                await self._report(self._clock.now())
                await asyncio.sleep(interval)
            else:
                await asyncio.sleep(min(interval, STAND_BY))

    async def _report(self, began: datetime) -> None:
        try:
            done = await self.run_once()
        except (ArchiveError, StoreError) as error:
            self.failures += 1
            log.warning("retention goes on later: %s", error)
        except Exception:  # whatever it is, sagas go on
            self.failures += 1
            log.exception("retention goes on later")
        else:
            if done.streams:
                spent = (self._clock.now() - began).total_seconds()
                log.info(
                    "archived %d instances in %d volumes, %.1f s", done.streams, len(done.volumes), spent
                )
