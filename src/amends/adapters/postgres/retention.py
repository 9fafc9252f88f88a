"""Giving streams up and taking them back: each one statement, in whatever session is handed in.

Rules: what writes is done by the session that appends, so that it appends nothing meanwhile, with the member's token,
and few streams at a time. Another member appends to none of them, because their shards are this one's. They do not:
open, wait, turn errors into those of the port, or decide what is old enough.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from amends.adapters.postgres import statements
from amends.adapters.postgres.driver import Link, ServerError
from amends.adapters.postgres.faults import UNIQUE_VIOLATION, state_of
from amends.adapters.postgres.numbers import StreamNumbers
from amends.adapters.postgres.reading import as_transition
from amends.ports.event_store import Logged, StreamKey
from amends.ports.retention import FinishedPage, StoredStream, StreamEnd


class Who(NamedTuple):
    """Whose streams are given up."""

    token: int
    is_alone: bool
    """Whether it has the store to itself, so that all are its own."""


async def finished(link: Link, *, who: Who, before: datetime, after: int, limit: int) -> FinishedPage:
    """Look at a piece of the log; return the own finished streams that ended there before an instant."""
    rows = await link.fetch(statements.READ_LOG_ENDS, after, limit, *who)
    old = [row for row in rows if row["recorded_at"] < before]
    ends = [
        StreamEnd(StreamKey(row["namespace"], row["saga_id"]), row["position"], row["sequence"])
        for row in old
        if row["has_finished"]
    ]
    return FinishedPage(ends, rows[-1]["sequence"] if old and len(rows) == limit else None)


async def stored_streams(link: Link, *, keys: Sequence[StreamKey]) -> list[StoredStream]:
    """Return whole streams."""
    found: dict[StreamKey, list[Logged]] = {}
    for place, sequence, *stored in await link.fetch(statements.READ_STORED_STREAMS, *_identities(keys)):
        key = keys[int(place) - 1]
        found.setdefault(key, []).append(Logged(sequence, as_transition(key, *stored)))
    return [StoredStream(key, tuple(logged)) for key, logged in found.items()]


async def delete_streams(
    link: Link, numbers: StreamNumbers, who: Who, ends: Sequence[StreamEnd]
) -> list[bool]:
    """Delete those that still end there and may go."""
    identities = _identities([end.key for end in ends])
    rows = await link.fetch(statements.DELETE_STREAMS, *identities, [end.position for end in ends], *who)
    deleted = {int(place) - 1 for place, _ in rows}
    numbers.forget(ends[place].key for place in deleted)
    return [place in deleted for place in range(len(ends))]


async def restore_streams(
    link: Link, numbers: StreamNumbers, token: int, streams: Sequence[StoredStream]
) -> list[bool] | None:
    """Put streams back to their places in the log; None: the member was fenced.

    Raises:
        ValueError: these are not of this log.
    """
    await numbers.look_up(stream.key for stream in streams)
    verdicts = [stream.key not in numbers.known for stream in streams]
    new = [stream for stream, is_new in zip(streams, verdicts, strict=True) if is_new]
    numbers.forget(stream.key for stream in streams)
    if not new:
        return verdicts
    if max(stream.end.sequence for stream in new) > int(await link.fetchval(statements.LOG_END)):
        raise ValueError("the log ends before the places of these streams: they are of another store")
    begun = dict(zip([stream.key for stream in new], await numbers.take(len(new)), strict=True))
    logged = [each for stream in new for each in stream.transitions]
    try:
        may_write = await link.fetchval(
            statements.RESTORE_STREAMS,
            token,
            list(begun.values()),
            *_identities(list(begun)),
            [each.sequence for each in logged],
            [begun[each.transition.key] for each in logged],
            [each.transition.position for each in logged],
            [each.transition.events for each in logged],
            [each.transition.recorded_at for each in logged],
            [each.transition.body for each in logged],
            [
                True if each is stream.transitions[-1] else None
                for stream in new
                for each in stream.transitions
            ],
        )
    except ServerError as fault:
        if state_of(fault) != UNIQUE_VIOLATION:
            raise
        raise ValueError("others stand at the places of these streams: they are of another store") from fault
    return verdicts if may_write else None


def _identities(keys: Sequence[StreamKey]) -> tuple[list[str], list[str]]:
    return [key.namespace for key in keys], [key.saga_id for key in keys]
