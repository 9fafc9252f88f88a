"""The numbers of streams: known of those that were lately written, looked up for others, given out to new ones.

Rules
- Only what is committed is known. A number lasts as long as its stream, so what is known stays true until the stream
  is given up: by this member, or by one that had its shard meanwhile. Instances that rest are forgotten: memory does
  not grow with those that only wait.
- Numbers are taken from the server by the thousand; those that are not used stay unused.
- A stream whose first position is written is taken to be new. If it is not, the unique key says so.
It does not: outlive the session, write, or grow without bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from amends.adapters.postgres import statements
from amends.adapters.postgres.driver import Link
from amends.ports.event_store import Append, StreamKey

BLOCK: Final = 1000
"""How many the server gives at a time: the sequence's increment."""
MOST_KNOWN: Final = 50_000


class Found(NamedTuple):
    """The numbers of the streams of a batch."""

    numbers: Sequence[int]
    """One for each append, in their order; 0 for an orphan."""
    begun: Mapping[StreamKey, int]
    """Those that are new."""
    orphans: Sequence[Append] = ()
    """Appends of streams of which the first position is neither stored nor among them."""


class StreamNumbers:
    """One per session."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._known: dict[StreamKey, int] = {}
        self._next = 0
        self._end = 0
        self.forgotten = 0
        """How often streams may have gone: what was found before may not be true any more."""

    @property
    def known(self) -> Mapping[StreamKey, int]:
        """The numbers of streams that exist."""
        return self._known

    def at_hand(self, appends: Sequence[Append]) -> Found | None:
        """Find what `find` does without asking the server; None where it must be asked."""
        known = self._known
        try:
            return Found([known[append.transition.key] for append in appends], {})
        except KeyError:
            begun: dict[StreamKey, int] = {}
        for append in appends:
            key = append.transition.key
            if key not in known and key not in begun:
                if append.transition.position > 1:
                    return None
                begun[key] = self._next + len(begun)
        if self._next + len(begun) > self._end:
            return None
        self._next += len(begun)
        keys = [append.transition.key for append in appends]
        return Found([begun.get(key) or known[key] for key in keys], begun)

    async def find(self, appends: Sequence[Append]) -> Found:
        """Find the numbers of the streams of `appends`, which are in order; make new ones for those that begin."""
        if (found := self.at_hand(appends)) is not None:
            return found
        known, missing = self._known, dict[StreamKey, int]()
        for append in appends:
            if (key := append.transition.key) not in known:
                missing.setdefault(key, append.transition.position)
        if elsewhere := [key for key, position in missing.items() if position > 1]:
            await self.look_up(elsewhere)
        new = [key for key, position in missing.items() if position <= 1]
        begun = dict(zip(new, await self.take(len(new)), strict=True))
        keys = [append.transition.key for append in appends]
        numbers = [begun.get(key) or known.get(key, 0) for key in keys]
        orphans = [append for append, number in zip(appends, numbers, strict=True) if not number]
        return Found(numbers, begun, orphans)

    async def look_up(self, keys: Iterable[StreamKey]) -> None:
        """Ask the server for the numbers of `keys`, whatever is known of them."""
        asked = list(dict.fromkeys(keys))
        for key in asked:
            self._known.pop(key, None)
        namespaces, saga_ids = [key.namespace for key in asked], [key.saga_id for key in asked]
        rows = await self._link.fetch(statements.FIND_STREAMS, namespaces, saga_ids)
        self._known.update({StreamKey(namespace, saga_id): number for namespace, saga_id, number in rows})

    def committed(self, begun: Mapping[StreamKey, int], resting: Iterable[StreamKey]) -> None:
        """Take notice of streams that have been made, and of instances that need their number no more for now."""
        self._known.update(begun)
        for key in resting:
            self._known.pop(key, None)
        if len(self._known) > MOST_KNOWN:
            # Those that are still needed are looked up again.
            self._known.clear()

    def forget(self, keys: Iterable[StreamKey]) -> None:
        """Take notice that streams may be there no more."""
        self.forgotten += 1
        for key in keys:
            self._known.pop(key, None)

    async def take(self, count: int) -> list[int]:
        """Return so many numbers that no stream has."""
        taken: list[int] = []
        while len(taken) < count:
            if self._next == self._end:
                self._next = int(await self._link.fetchval(statements.TAKE_NUMBERS))
                self._end = self._next + BLOCK
            until = min(self._end, self._next + count - len(taken))
            taken += range(self._next, until)
            self._next = until
        return taken
