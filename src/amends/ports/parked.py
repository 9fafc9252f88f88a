"""The parked port: records that nobody could act on, kept with their bytes until a person, or a saga, comes for them.

Rules
- A record is parked once: its id is made of where and what it was, so one that is read again changes nothing, whatever
  became of it meanwhile.
- `waiting`: for an instance that is not there yet, until `until`. `parked`: for a person. `replayed`, `discarded`: a
  person, or the instance, came; it is kept to be explained.
- What is put or settled is durable when the call returns. Records that are put together share one transaction, and one
  that cannot be kept leaves the others alone.
It does not: read records, or decide what becomes of them (`application/arrivals.py` does).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Literal, Protocol, TypeAlias

import msgspec

from amends.ports.intake import Record

ParkedState: TypeAlias = Literal["waiting", "parked", "replayed", "discarded"]


Kept: TypeAlias = bool | ValueError
"""Whether a record is new; or why it cannot be kept at all as it is."""


class Parked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record, why it was parked, and what became of it."""

    id: str
    number: int = 0
    """Its place in the order in which records were parked; given by the store."""
    record: Record
    namespace: str
    saga_id: str
    """Whom it seems to be about; empty when that cannot be read."""
    code: str
    reason: str
    state: ParkedState
    parked_at: datetime
    until: datetime | None = None
    """Up to when one that is `waiting` waits."""
    settled_at: datetime | None = None
    """When its state, or its code, was last changed."""
    by: str = ""
    note: str = ""


def parked_id(record: Record) -> str:
    """Return the id under which `record` is parked: 32 hexadecimal digits.

    The content counts as well: a topic that was deleted and made anew begins at offset 0 again.
    """
    place = f"{record.topic}\0{record.partition}\0{record.offset}\0{record.timestamp_ms}\0"
    content = blake2b(place.encode(), digest_size=16)
    for part in (record.key, record.value):
        content.update(b"-" if part is None else b"%d:" % len(part) + part)
    return content.hexdigest()


class ParkedStore(Protocol):
    """Parked records. Each method may raise `StoreUnavailable`, those that write also `StoreFull`."""

    async def open(self) -> None:
        """Make it usable, creating it when it is not there.

        Raises:
            StoreError: it cannot be used; the text says why.
        """
        ...

    async def put(self, batch: Sequence[Parked]) -> Sequence[Kept]:
        """Keep records; tell of each whether it is new. One whose id is there already stays as it is.

        After an error it is not known which of them are kept; putting them again does no harm.
        """
        ...

    async def settle(
        self, parked_id: str, state: ParkedState, *, by: str, note: str, at: datetime, code: str = ""
    ) -> bool:
        """Note what became of a record that is `waiting` or `parked`; tell whether it was. `code` replaces its own."""
        ...

    async def get(self, parked_id: str) -> Parked | None:
        """Return a record; None when there is none of that id."""
        ...

    async def find(
        self,
        *,
        states: Sequence[ParkedState] = (),
        namespace: str = "",
        saga_id: str = "",
        topic: str = "",
        code: str = "",
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[Parked]:
        """Return the first `limit` records behind number `after`, in order; what is left empty does not restrict."""
        ...

    async def counts(self) -> Mapping[ParkedState, int]:
        """Return how many records have each state; there is none of 0."""
        ...

    async def close(self) -> None:
        """Let go. Closing twice is harmless."""
        ...
