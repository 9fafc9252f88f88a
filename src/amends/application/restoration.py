"""Restoration: brings archived instances back to the store that gave them up, and to its lists.

Rules: streams come back to their places in the log, behind every follower, so nobody is told of them once more; their
rows are made here. One that is in the store already is left alone.
It does not: start or steer what it brings back; it has ended.
"""

from collections.abc import Collection
from typing import NamedTuple

from amends.application.projector import Projector
from amends.ports import Archive, RetainedStore, StoredStream


class Restored(NamedTuple):
    """What came of it."""

    restored: int
    there: int
    """Instances that were in the store already, or under whose id another one began; they were left alone."""


async def restore(
    store: RetainedStore,
    archive: Archive,
    name: str,
    *,
    projector: Projector | None = None,
    ids: Collection[str] = (),
) -> Restored:
    """Bring back what is in a volume; with `ids` only these instances.

    Raises:
        ArchiveError: the volume cannot be read, or is damaged.
        ValueError: it is not of this store.
        StoreError: the store cannot be written to.
    """
    restored = there = 0
    async for page in archive.read(name):
        wanted = [stream for stream in page if not ids or stream.key.saga_id in ids]
        back = await _back(store, wanted)
        restored += len(back)
        there += len(wanted) - len(back)
        if projector is not None:
            await projector.show(back)
    return Restored(restored, there)


async def _back(store: RetainedStore, streams: list[StoredStream]) -> list[StoredStream]:
    verdicts = await store.restore_streams(streams)
    return [stream for stream, verdict in zip(streams, verdicts, strict=True) if verdict]
