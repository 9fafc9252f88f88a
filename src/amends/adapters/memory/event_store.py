"""An event store in memory: the oracle that every other store is held against.

Rules
- One dictionary of streams, one of index rows, one list of all transitions; each question is answered by looking at
  all of them.
- A place in the log that was given up stays empty.
- Closing keeps the content, so that a store that was closed can be opened again; it ends with the object.
It does not: persist, take threads into account, or know an index for anything.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from amends.ports.event_store import (
    Append,
    DefinitionNote,
    IndexChange,
    KeepIndex,
    Logged,
    OpenInstance,
    RemoveIndex,
    SetIndex,
    StreamKey,
    Transition,
)
from amends.ports.retention import FinishedPage, StoredStream, StreamEnd
from amends.ports.store_errors import StoreUnavailable


class MemoryEventStore:
    """`EventStore` in this process's memory."""

    commits_elsewhere = False

    def __init__(self) -> None:
        self._streams: dict[StreamKey, dict[int, Transition]] = {}
        self._index: dict[StreamKey, OpenInstance] = {}
        self._log: list[Transition | None] = []
        self._definitions: dict[tuple[str, int], DefinitionNote] = {}
        self._relayed: dict[str, int] = {}
        self._is_open = False

    async def open(self) -> None:
        self._is_open = True

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        self._check_open()
        _check_possible(batch)
        places = [(append.transition.key, append.transition.position) for append in batch]
        verdicts = [False] * len(batch)
        losers: set[StreamKey] = set()
        # Among equal positions the first of the batch wins: sorting is stable.
        for number in sorted(range(len(batch)), key=places.__getitem__):
            key, position = places[number]
            stream = self._streams.get(key)
            if key in losers or (position > 1 if stream is None else position in stream):
                losers.add(key)
                continue
            if stream is None:
                stream = self._streams[key] = {}
            append = batch[number]
            stream[position] = append.transition
            self._log.append(append.transition)
            if type(append.index) is not KeepIndex:
                self._change_index(key, append.index)
            verdicts[number] = True
        return verdicts

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        self._check_open()
        if key in self._index:
            self._change_index(key, change)

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        self._check_open()
        stream = self._streams.get(key, {})
        return [stream[position] for position in sorted(stream) if position > after][:limit]

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        self._check_open()
        return self._logged(after, limit)

    async def log_end(self) -> int:
        self._check_open()
        return len(self._log)

    async def settled_end(self) -> int:
        return await self.log_end()

    async def definitions(self) -> Sequence[DefinitionNote]:
        self._check_open()
        return [self._definitions[place] for place in sorted(self._definitions)]

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        self._check_open()
        self._definitions.update({(note.name, note.version): note for note in notes})

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        self._check_open()
        return [self._index[key] for key in sorted(self._index) if after is None or key > after][:limit]

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        self._check_open()
        waiting = [(row.wake_at, key) for key, row in self._index.items() if row.wake_at is not None]
        return [self._index[key] for wake_at, key in sorted(waiting) if wake_at <= now][:limit]

    async def next_wake(self) -> datetime | None:
        self._check_open()
        return min((row.wake_at for row in self._index.values() if row.wake_at is not None), default=None)

    async def close(self) -> None:
        self._is_open = False

    async def finished(self, *, before: datetime, after: int = 0, limit: int = 1000) -> FinishedPage:
        self._check_open()
        page = self._logged(after, limit)
        old = [each for each in page if each.transition.recorded_at < before]
        ends = [self._stored(each.transition.key).end for each in old if self._is_finished(each)]
        return FinishedPage(ends, page[-1].sequence if old and len(page) == limit else None)

    async def streams(self, keys: Sequence[StreamKey]) -> Sequence[StoredStream]:
        self._check_open()
        return [self._stored(key) for key in keys if key in self._streams]

    async def delete_streams(self, ends: Sequence[StreamEnd]) -> Sequence[bool]:
        self._check_open()
        return [self._delete(end) for end in ends]

    async def restore_streams(self, streams: Sequence[StoredStream]) -> Sequence[bool]:
        self._check_open()
        verdicts = [stream.key not in self._streams for stream in streams]
        new = [stream for stream, wanted in zip(streams, verdicts, strict=True) if wanted]
        places = [logged.sequence for stream in new for logged in stream.transitions]
        if any(place > len(self._log) or self._log[place - 1] is not None for place in places):
            raise ValueError("The places of these streams are not of this log.")
        for stream in new:
            self._streams[stream.key] = {
                each.transition.position: each.transition for each in stream.transitions
            }
            for sequence, transition in stream.transitions:
                self._log[sequence - 1] = transition
        return verdicts

    def relay_checkpoint(self, topic: str) -> "MemoryRelayCheckpoint":
        return MemoryRelayCheckpoint(self._relayed, topic, self._check_open)

    def _logged(self, after: int, limit: int) -> list[Logged]:
        found: list[Logged] = []
        for place in range(after, len(self._log)):
            if len(found) == limit:
                break
            if (transition := self._log[place]) is not None:
                found.append(Logged(place + 1, transition))
        return found

    def _stored(self, key: StreamKey) -> StoredStream:
        return StoredStream(
            key, tuple(each for each in self._logged(0, len(self._log)) if each.transition.key == key)
        )

    def _is_finished(self, logged: Logged) -> bool:
        key = logged.transition.key
        return key not in self._index and logged.sequence == self._stored(key).end.sequence

    def _delete(self, end: StreamEnd) -> bool:
        key = end.key
        if key in self._index or key not in self._streams:
            return False
        stream = self._stored(key)
        if stream.end.position != end.position or stream.end.sequence == len(self._log):
            return False
        del self._streams[key]
        for logged in stream.transitions:
            self._log[logged.sequence - 1] = None
        return True

    def _change_index(self, key: StreamKey, change: IndexChange) -> None:
        if type(change) is SetIndex:
            self._index[key] = OpenInstance(key=key, wake_at=change.wake_at, outstanding=change.outstanding)
        elif type(change) is RemoveIndex:
            self._index.pop(key, None)

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("The store in memory is not open; call open() first.")


class MemoryRelayCheckpoint:
    """`RelayCheckpoint` of one topic in the store's memory."""

    def __init__(self, relayed: dict[str, int], topic: str, check_open: Callable[[], None]) -> None:
        self._relayed = relayed
        self._topic = topic
        self._check_open = check_open

    async def claim(self) -> bool:
        return True

    async def reached(self) -> int:
        self._check_open()
        return self._relayed.get(self._topic, 0)

    async def move(self, sequence: int) -> None:
        self._relayed[self._topic] = max(await self.reached(), sequence)

    async def close(self) -> None:
        """There is nothing to let go of."""


def _check_possible(batch: Sequence[Append]) -> None:
    for append in batch:
        if append.transition.position < 1 or append.transition.events < 1:
            raise ValueError("A transition has a position and events of at least 1.")
