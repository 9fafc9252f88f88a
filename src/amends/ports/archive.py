"""The archive port: where streams go that a store gives up, and where they come back from.

Rules: a volume is complete, durable and was read back when `write` returns; an unfinished one is never seen. A volume
is never changed, but for the note that the store has given up what is in it.
It does not: decide what goes there, or delete anything.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from amends.ports.retention import StoredStream


class ArchiveError(Exception):
    """The archive cannot be used; the text is one sentence for an operator."""


class Volume(NamedTuple):
    """What is known of a volume."""

    name: str
    streams: int
    transitions: int
    size: int
    """Bytes that it takes."""
    is_settled: bool
    """Whether the store has given up what is in it."""


class Archive(Protocol):
    """Volumes of streams. Each method may raise `ArchiveError`."""

    async def write(self, at: datetime, pages: AsyncIterator[Sequence[StoredStream]]) -> Volume | None:
        """Write a volume, named after `at`; None when there is nothing to write."""
        ...

    async def settle(self, name: str) -> None:
        """Note that the store has given up what is in a volume."""
        ...

    async def volumes(self) -> Sequence[Volume]:
        """Return all volumes, the oldest first."""
        ...

    def read(self, name: str) -> AsyncIterator[Sequence[StoredStream]]:
        """Return what is in a volume, some at a time, after it was checked."""
        ...
