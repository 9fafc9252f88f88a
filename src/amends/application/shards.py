"""The shards that this process runs: all of them, or those that it leases in a store that several processes share.

Rules: an instance is decided here if, and only if, its shard is held. It does not: lease.
"""

from collections.abc import Iterable

from amends.ports import SHARDS, StreamKey, shard_of


class Shards:
    """What is held now."""

    def __init__(self, *, is_shared: bool) -> None:
        """Hold everything, or, on a store that is shared, nothing yet."""
        self._held: set[int] | None = set() if is_shared else None
        self._is_whole = not is_shared
        """Nothing is decided elsewhere: no shard need be computed."""

    @property
    def is_shared(self) -> bool:
        """Tell whether others may hold some."""
        return self._held is not None

    @property
    def held(self) -> frozenset[int]:
        """Return what is held of a store that is shared."""
        return frozenset(self._held or ())

    def holds(self, key: StreamKey) -> bool:
        """Tell whether an instance is decided here."""
        return self._is_whole or (self._held is not None and shard_of(key) in self._held)

    def take(self, shards: Iterable[int]) -> None:
        """Hold these from now on."""
        if self._held is not None:
            self._held.update(shards)
            self._is_whole = len(self._held) == SHARDS

    def drop(self, shards: Iterable[int]) -> None:
        """Hold these no more."""
        if self._held is not None:
            self._held.difference_update(shards)
            self._is_whole = len(self._held) == SHARDS
