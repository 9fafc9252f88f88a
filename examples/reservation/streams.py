"""The event streams of all reservations in a store: what the audit reads.

    streams = await read_streams(store)        {"reservation-1": [EventView, …], …}

Rules: from the store's log alone, piece by piece; streams and events in the order in which they were committed. What
other sagas the same store keeps is passed over: the first event of a stream says whose it is.

Does not do: understand the events (`examples.reservation.audit`), or write.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from amends import sqlite
from amends.application.history import EventView, event_views
from amends.ports import Logged
from examples.reservation.saga import RESERVATION

Streams: TypeAlias = Mapping[str, Sequence[EventView]]


class Log(Protocol):
    """The part of an event store that is read here."""

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        """Return the transitions behind `after`."""
        ...


async def read_streams(store: Log) -> dict[str, list[EventView]]:
    """Read every event of every reservation, by saga id."""
    streams: dict[str, list[EventView]] = {}
    last = 0
    while logged := await store.log(after=last):
        for _, transition in logged:
            streams.setdefault(transition.key.saga_id, []).extend(event_views(transition))
        last = logged[-1].sequence
    return {saga_id: events for saga_id, events in streams.items() if _is_reservation(events[0])}


def _is_reservation(first: EventView) -> bool:
    return first.body.get("saga") == RESERVATION.name


async def streams_in(path: Path) -> dict[str, list[EventView]]:
    """Read them from a SQLite store that nobody holds."""
    store = sqlite(path)
    await store.open()
    try:
        return await read_streams(store)
    finally:
        await store.close()
