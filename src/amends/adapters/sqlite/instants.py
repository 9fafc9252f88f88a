"""Instants as SQLite keeps them: whole microseconds since 1970-01-01 UTC, eight bytes, sortable.

Rules: exact both ways; no floating point. It does not: accept an instant without a time zone (`TypeError`).
"""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(instant: datetime) -> int:
    """Count from the epoch."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_microseconds(microseconds: int) -> datetime:
    """Count back from the epoch, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)
