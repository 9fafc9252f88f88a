"""The rows of the read model as the server has them: what is put, and the questions that are asked.

Rules: the order of columns is that of `views_put.sql`. PostgreSQL keeps no U+0000 in text: it is shown as U+FFFD.
They do not: open, claim, wait, or turn errors into those of the port.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from amends.adapters.postgres import statements
from amends.adapters.postgres.driver import Link
from amends.core.transitions import Status
from amends.ports.read_model import Checkpoint, Count, Place, SagaQuery, SagaSummary

OPEN: Final[frozenset[Status]] = frozenset({"running", "compensating", "stuck"})
_QUESTIONS: Final = {
    (True, True): statements.VIEWS_FIND_OPEN_NEWEST,
    (True, False): statements.VIEWS_FIND_NEWEST,
    (False, True): statements.VIEWS_FIND_OPEN_OLDEST,
    (False, False): statements.VIEWS_FIND_OLDEST,
}
"""By whether the newest come first, and whether only open instances are wanted."""


def columns(rows: Sequence[SagaSummary]) -> tuple[Sequence[object], ...]:
    """Return the columns of `rows`.

    Raises:
        TypeError: an instant has no time zone.
    """
    return (
        [_text(row.namespace) for row in rows],
        [_text(row.id) for row in rows],
        [_text(row.saga) for row in rows],
        [row.version for row in rows],
        [row.status for row in rows],
        [_text(row.business_status) for row in rows],
        [row.paused for row in rows],
        [row.position for row in rows],
        [row.sequence for row in rows],
        [_instant(row.started_at) for row in rows],
        [_instant(row.updated_at) for row in rows],
        [None if row.ended_at is None else _instant(row.ended_at) for row in rows],
        [json.dumps(row.stuck) for row in rows],
        [_text(row.cause) for row in rows],
    )


def stored(checkpoint: Checkpoint) -> Checkpoint:
    """Return `checkpoint` as it can be kept."""
    return Checkpoint(checkpoint.sequence, _text(checkpoint.mark))


async def checkpoint(link: Link) -> Checkpoint:
    """Return up to where the log is in the rows."""
    row = await link.fetchrow(statements.VIEWS_CHECKPOINT)
    return Checkpoint(0, "") if row is None else Checkpoint(*row)


async def secret(link: Link, proposed: bytes) -> bytes:
    """Return what all who share the rows know, `proposed` if it is the first."""
    await link.fetch(statements.VIEWS_PROPOSE_SECRET, proposed)
    return bytes(await link.fetchval(statements.VIEWS_SECRET))


async def counts(link: Link, *, namespace: str) -> list[Count]:
    """Return how many instances there are."""
    return [Count(*row) for row in await link.fetch(statements.VIEWS_COUNTS, namespace)]


async def find(link: Link, *, query: SagaQuery, limit: int, after: Place | None) -> list[SagaSummary]:
    """Return the first `limit` rows that `query` wants behind `after`."""
    only_open = bool(query.statuses) and OPEN.issuperset(query.statuses)
    found = await link.fetch(
        _QUESTIONS[query.newest_first, only_open],
        _text(query.namespace),
        _text(query.saga),
        query.version,
        list(query.statuses) or None,
        _text(query.business_status),
        query.paused,
        query.started_from,
        query.started_before,
        query.updated_from,
        query.updated_before,
        _text(query.id_prefix),
        None if after is None else after.started_at,
        "" if after is None else _text(after.namespace),
        "" if after is None else _text(after.id),
        limit,
    )
    return [_row(tuple(row)) for row in found]


def _row(values: tuple[Any, ...]) -> SagaSummary:
    namespace, saga_id, saga, version, status, business, paused, position, sequence, *rest = values
    started_at, updated_at, ended_at, stuck, cause = rest
    return SagaSummary(
        namespace=namespace,
        id=saga_id,
        saga=saga,
        version=version,
        status=status,
        business_status=business,
        paused=paused,
        position=position,
        sequence=sequence,
        started_at=started_at,
        updated_at=updated_at,
        ended_at=ended_at,
        stuck=tuple(json.loads(stuck)),
        cause=cause,
    )


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _instant(instant: datetime) -> datetime:
    # The driver would take one without a zone for local time.
    if instant.tzinfo is None:
        raise TypeError("instants have a time zone")
    return instant
