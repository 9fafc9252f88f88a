"""Saga ids: what one may look like, and how one is made where the caller gives none.

Rules: a made id is a UUID of version 7 (RFC 9562): its first 60 bits are the clock's instant, in 4096ths of a
millisecond, so ids sort as they were made and grow at the end of an index. Of one maker no two are equal and none is
less than the one before, even when its clock stands still or is set back. The other 62 bits are the system's chance,
which nobody can foresee; it is asked for many ids at a time, and a process that forks shares none of it.
It does not: read a machine's clock by itself, or remember ids.
"""

import os
import re
from datetime import UTC, datetime
from typing import Final

from amends.application.errors import SagaIdInvalid
from amends.ports import Clock

SAGA_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~+=-]{0,199}")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION: Final = 7 << 76
_VARIANT: Final = 2 << 62
_DRAWN_AT_ONCE: Final = 512
_drawn: Final[list[int]] = []
"""64 bits for each of the next ids, of all makers: taking one out is safe in threads."""
os.register_at_fork(after_in_child=_drawn.clear)


class SagaIds:
    """Makes ids by one clock."""

    def __init__(self, clock: Clock) -> None:
        """Take the time from `clock`."""
        self._clock = clock
        self._last = 0

    def make(self) -> str:
        """Return a new id."""
        since = self._clock.now() - _EPOCH
        ticks = (since.days * 86_400 + since.seconds) * 4_096_000 + since.microseconds * 4096 // 1000
        if ticks <= self._last:
            ticks = self._last + 1
        self._last = ticks
        digits = f"{ticks >> 12 << 80 | _VERSION | (ticks & 4095) << 64 | _VARIANT | _chance() >> 2:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _chance() -> int:
    """Return 64 bits that nobody can foresee."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            _drawn.extend(memoryview(os.urandom(8 * _DRAWN_AT_ONCE)).cast("Q"))


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
