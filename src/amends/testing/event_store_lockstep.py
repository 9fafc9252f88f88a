"""Two event stores in lock-step: the same random operations, the same answers, the same content after each of them.

Rules
- The oracle and the candidate get one operation at a time; answers are compared, then full snapshots.
- It goes on until every operation has both succeeded and failed (won and lost, found and found nothing), and at least
  as long as asked; a run that never gets there fails.
- All randomness comes from one seed, which every error text names.
It does not: know what is right (the oracle does), or run two operations at once.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeVar, assert_never

from amends.ports.event_store import (
    Append,
    DefinitionNote,
    EventStore,
    IndexChange,
    KeepIndex,
    Logged,
    OpenInstance,
    RemoveIndex,
    SetIndex,
    StreamKey,
    Transition,
)
from amends.ports.store_errors import StoreUnavailable
from amends.testing.event_store_suite import NOON, an_append

T = TypeVar("T")
Snapshot: TypeAlias = tuple[
    list[list[Transition]], list[OpenInstance], list[OpenInstance], datetime | None, list[Transition], object
]
Outcome: TypeAlias = tuple[str, bool]

KEYS: Final = tuple(
    StreamKey(namespace, saga) for namespace in ("default", "ω") for saga in ("a", "b", "c", "é")
)
OPERATIONS: Final = (
    "append",
    "keep index",
    "set index",
    "remove index",
    "impossible append",
    "reindex",
    "read",
    "page",
    "due",
    "next wake",
    "log",
    "note definitions",
    "definitions",
    "reopen",
)
ONE_SIDED: Final[frozenset[Outcome]] = frozenset(
    {("impossible append", True), ("note definitions", False), ("definitions", False)}
)
"""What cannot happen, or not for long: once noted a definition stays."""
MOST_OPERATIONS: Final = 5_000


class LockStep:
    """Drives `oracle` and `candidate`, both open and empty, and compares them."""

    def __init__(self, *, oracle: EventStore, candidate: EventStore, seed: int) -> None:
        self._stores = (oracle, candidate)
        self._random = random.Random(seed)  # noqa: S311 — reproducible, guards nothing
        self._seed = seed
        self._next = dict.fromkeys(KEYS, 1)
        self.seen: set[Outcome] = set()
        self.done = 0

    async def run(self, operations: int) -> None:
        """Do at least `operations` operations, and go on until each has succeeded and failed."""
        wanted = {(name, success) for name in OPERATIONS for success in (True, False)} - ONE_SIDED
        while self.done < operations or self.seen < wanted:
            assert self.done < MOST_OPERATIONS, f"{self._place()}: never seen: {sorted(wanted - self.seen)}"
            await self._step()
            self.done += 1
            await self._compare("snapshot", _snapshot)

    async def _step(self) -> None:
        match self._random.choice(("append", "append", "append", *OPERATIONS[4:])):
            case "append":
                await self._append()
            case "impossible append":
                await self._append_impossible()
            case "reindex":
                await self._reindex()
            case "note definitions":
                await self._note()
            case "reopen":
                await self._reopen()
            case question:
                await self._ask(question)

    async def _append(self) -> None:
        batch = self._batch()
        verdicts = await self._compare("append", lambda store: _listed(store.append(batch)))
        for append, won in zip(batch, verdicts, strict=True):
            self.seen |= {("append", won), (_name(append.index), won)}
            if won:
                following = append.transition.position + append.transition.events
                key = append.transition.key
                self._next[key] = max(self._next[key], following)

    def _batch(self) -> list[Append]:
        return [self._an_append() for _ in range(self._random.choice((0, 1, 1, 2, 5, 20)))]

    def _an_append(self) -> Append:
        key = self._random.choice(KEYS)
        # Mostly where the stream ends; at times behind it, as a writer with an old picture would.
        position = max(1, self._next[key] - self._random.choice((0, 0, 0, 1, 2)))
        return an_append(
            key,
            position,
            events=self._random.randint(1, 3),
            index=self._change(),
            note=str(self._random.random()),
        )

    def _change(self) -> IndexChange:
        return self._random.choice((KeepIndex(), RemoveIndex(), self._row_to_set(), self._row_to_set()))

    def _row_to_set(self) -> SetIndex:
        wake_at = self._random.choice((None, self._instant()))
        return SetIndex(wake_at, outstanding=self._random.choice((True, False)))

    def _instant(self) -> datetime:
        return NOON + timedelta(microseconds=self._random.randint(-5, 5))

    async def _append_impossible(self) -> None:
        batch = [*self._batch(), an_append(self._random.choice(KEYS), 0)]

        async def refused(store: EventStore) -> bool:
            try:
                await store.append(batch)
            except ValueError:
                return True
            return False

        assert await self._compare("impossible append", refused), f"{self._place()}: both took position 0"
        self.seen.add(("impossible append", False))

    async def _reindex(self) -> None:
        key, change = self._random.choice(KEYS), self._row_to_set()

        async def had_a_row(store: EventStore) -> bool:
            await store.reindex(key, change)
            return any(row.key == key for row in await store.open_instances())

        self.seen.add(("reindex", await self._compare("reindex", had_a_row)))

    async def _ask(self, question: str) -> None:
        key, now = self._random.choice((*KEYS, StreamKey("default", "unknown"))), self._instant()
        after, limit = self._random.randint(0, 8), self._random.randint(0, 6)
        questions: dict[str, Callable[[EventStore], Awaitable[object]]] = {
            "read": lambda store: _listed(store.read(key, after=after)),
            "page": lambda store: _listed(store.open_instances(after=key, limit=limit)),
            "due": lambda store: _listed(store.due(now, limit=limit)),
            "next wake": lambda store: store.next_wake(),
            "log": lambda store: _log(store, pages=after, limit=limit),
            "definitions": _noted,
        }
        self.seen.add((question, bool(await self._compare(question, questions[question]))))

    async def _note(self) -> None:
        name, version = self._random.choice(("order", "é")), self._random.randint(1, 3)
        notes = [DefinitionNote(name, version, str(self._random.random()))]

        async def noted(store: EventStore) -> bool:
            await store.note_definitions(notes)
            return True

        self.seen.add(("note definitions", await self._compare("note definitions", noted)))

    async def _reopen(self) -> None:
        async def closed_refuses(store: EventStore) -> bool:
            await store.close()
            try:
                await store.next_wake()
            except StoreUnavailable:
                return True
            finally:
                await store.open()
            return False

        assert await self._compare("reopen", closed_refuses), f"{self._place()}: both answered while closed"
        self.seen |= {("reopen", True), ("reopen", False)}

    async def _compare(self, what: str, ask: Callable[[EventStore], Awaitable[T]]) -> T:
        oracle, candidate = [await ask(store) for store in self._stores]
        assert oracle == candidate, f"{self._place()}: {what}: oracle {oracle!r}, candidate {candidate!r}"
        return oracle

    def _place(self) -> str:
        return f"seed {self._seed}, operation {self.done}"


def _name(change: IndexChange) -> str:
    match change:
        case KeepIndex():
            return "keep index"
        case SetIndex():
            return "set index"
        case RemoveIndex():
            return "remove index"
        case _:
            assert_never(change)


async def _listed(answer: Awaitable[Sequence[T]]) -> list[T]:
    return list(await answer)


async def _snapshot(store: EventStore) -> Snapshot:
    """Everything that the port shows of a store."""
    streams = [list(await store.read(key)) for key in KEYS]
    everything_due = await store.due(NOON + timedelta(days=1))
    open_instances, next_wake = list(await store.open_instances()), await store.next_wake()
    log = [logged.transition for logged in await store.log(limit=100_000)]
    return streams, open_instances, list(everything_due), next_wake, log, await _noted(store)


async def _log(store: EventStore, *, pages: int, limit: int) -> list[Transition]:
    """Return a page of the log, some pages behind its beginning: sequences need not be those of the oracle."""
    page: Sequence[Logged] = ()
    for _ in range(pages + 1):
        page = await store.log(after=page[-1].sequence if page else 0, limit=limit)
    return [logged.transition for logged in page]


async def _noted(store: EventStore) -> list[DefinitionNote]:
    return [DefinitionNote(*note) for note in await store.definitions()]
