"""Saga ids: what one may look like, and how one is made where the caller gives none.

Rules: a made id is a UUID of version 7 (RFC 9562): its first 60 bits are the clock's instant, in 4096ths of a
millisecond, so ids sort as they were made and grow at the end of an index. Of one maker no two are equal and none is
less than the one before, even when its clock stands still or is set back. The other 62 bits are the system's chance,
which nobody can foresee; it is asked for many ids at a time, and a process that forks shares none of it.
It does not: read a machine's clock by itself, or remember ids.
"""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from amends.application.errors import SagaIdInvalid
from amends.ports import Clock

SAGA_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~+=-]{0,199}")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BLOCK: Final = timedelta(milliseconds=1 << 16)
"""Ids of the same 65.5 seconds begin with the same 8 digits, which are written once; the rest are small numbers."""
_WHOLE: Final = _BLOCK.seconds
_TICKS: Final = 1 << 28
"""So many 4096ths of a millisecond are a block."""
_VERSION: Final = 7 << 12
_VARIANT: Final = bytes(2 << 6 | byte >> 2 for byte in range(256))
"""For each byte another whose first two bits say the variant, and whose others are of the byte's chance."""
_DRAWN_AT_ONCE: Final = 512
_drawn: Final[list[tuple[str, str]]] = []
"""The second halves of the next ids, of all makers: taking one out is safe in threads."""
os.register_at_fork(after_in_child=_drawn.clear)


class SagaIds:
    """Makes ids by one clock."""

    def __init__(self, clock: Clock) -> None:
        """Take the time from `clock`."""
        self._clock = clock
        self._last = -1
        """The last id's tick in its block."""
        self._enter(0)

    def make(self) -> str:
        """Return a new id."""
        since = self._clock.now() - self._began
        if since.days or since.seconds >= _WHOLE:
            since = self._elsewhere(since)
        ticks = since.seconds * 4_096_000 + since.microseconds * 512 // 125
        if ticks <= self._last:
            ticks = self._last + 1
            if ticks == _TICKS:
                self._enter(self._block + 1)
                ticks = 0
        self._last = ticks
        time = (ticks >> 12 << 16 | _VERSION | ticks & 4095).to_bytes(4).hex("-", 2)
        first, rest = _chance()
        return f"{self._head}-{time}-{first}-{rest}"

    def _enter(self, block: int) -> None:
        self._block = block
        self._began = _EPOCH + block * _BLOCK
        self._head = f"{block:08x}"
        self._last = -1

    def _elsewhere(self, since: timedelta) -> timedelta:
        """Enter the block that the clock has come to, if it is a later one, and return how long since it began."""
        blocks, rest = divmod(since, _BLOCK)
        if blocks > 0:
            self._enter(self._block + blocks)
        return rest if blocks >= 0 else timedelta(0)


def _chance() -> tuple[str, str]:
    """Return the second half of an id, in its two groups, which nobody can foresee."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            _drawn.extend(_draw(_DRAWN_AT_ONCE))


def _draw(count: int) -> Iterable[tuple[str, str]]:
    """Return as many second halves, each the variant and 62 bits of chance."""
    first = bytearray(os.urandom(2 * count))
    first[::2] = first[::2].translate(_VARIANT)
    rest = os.urandom(6 * count)
    return zip(first.hex("-", 2).split("-"), rest.hex("-", 6).split("-"), strict=True)


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
