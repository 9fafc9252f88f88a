"""Saga ids: what one may look like, and how one is made where the caller gives none.

Rules: a made id is a UUID of version 7 (RFC 9562): its first 60 bits are the clock's instant, in 4096ths of a
millisecond, so ids sort as they were made and grow at the end of an index. Of one maker no two are equal and none is
less than the one before, even when its clock stands still or is set back.
It does not: read a machine's clock by itself, or remember ids.
"""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from amends.application.errors import SagaIdInvalid
from amends.ports import Clock

SAGA_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~+=-]{0,199}")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_VERSION: Final = 7 << 76
_VARIANT: Final = 2 << 62


class SagaIds:
    """Makes ids by one clock."""

    def __init__(self, clock: Clock) -> None:
        """Take the time from `clock`."""
        self._clock = clock
        self._last = 0

    def make(self) -> str:
        """Return a new id."""
        ticks = (self._clock.now() - _EPOCH) // _MICROSECOND * 4096 // 1000
        self._last = ticks = max(ticks, self._last + 1)
        milliseconds, fraction = divmod(ticks, 4096)
        number = milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | secrets.randbits(62)
        return str(UUID(int=number))


def checked(saga_id: str) -> str:
    """Return `saga_id`.

    Raises:
        SagaIdInvalid: it cannot be one.
    """
    if not SAGA_ID.fullmatch(saga_id):
        raise SagaIdInvalid(
            f"saga id {saga_id[:40]!r}: use 1 to 200 ASCII letters, digits and . _ : @ ~ + = -"
        )
    return saga_id
