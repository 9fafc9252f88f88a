"""The projector: folds what the follower reads into one row per instance of a read model.

Rules
- Rows and checkpoint are put together, so a crash leaves the rows of some moment, and the log is read on from there.
- A read model whose checkpoint is not a place of this log is begun anew: the store was replaced, or put back.
- The fold is the core's own `evolve`. The states of open instances are kept, up to a limit; one that is not kept is
  folded from its stream.
- Of several processes that share a read model one projects, who has claimed that. The others stand by: they look at
  the checkpoint now and then, and take over when the claim is free. A claim that was lost is claimed anew.
- An instance whose stream this version cannot read keeps its last row, and is reported.
It does not: answer questions (`queries`), or know what a row is stored in.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from amends.application.errors import AmendsError
from amends.application.follower import BeginAnew, Followed
from amends.application.history import events_in, evolved
from amends.core.event import AnyEvent
from amends.core.state import State, initial
from amends.ports import (
    Checkpoint,
    ClaimLost,
    ReadModel,
    SagaSummary,
    StoredStream,
    StoreReader,
    StreamKey,
    Transition,
)

log = logging.getLogger("amends.projector")

MOST_KEPT: Final = 10_000
"""States of open instances in memory."""
A_STRETCH: Final = 25
"""Transitions that are folded before the loop may go on with something else."""
STAND_BY: Final = 1.0
"""Seconds between two looks of a projector that stands by: so long lists stand still when the other one dies."""


class Folded(NamedTuple):
    """An instance as far as the log was read."""

    state: State
    started_at: datetime
    ended_at: datetime | None

    def after(self, events: "Sequence[AnyEvent]", transition: Transition) -> "Folded":
        """Return it after one more transition."""
        state = evolved(self.state, events, transition)
        ended_at = (self.ended_at or transition.recorded_at) if state.final else None
        return Folded(state, self.started_at, ended_at)


class Projector:
    """A listener of the follower."""

    name = "projector"

    def __init__(
        self,
        store: StoreReader,
        read_model: ReadModel,
        *,
        most_kept: int = MOST_KEPT,
        stand_by: float = STAND_BY,
    ) -> None:
        """Project the log of `store` into `read_model`; both are open as long as this is used."""
        self._store = store
        self._read_model = read_model
        self._most_kept = most_kept
        self._stand_by = stand_by
        self._kept: dict[StreamKey, Folded] = {}
        self.leads = False
        """Whether this one puts the rows, as far as it knows."""
        self.on_look: Callable[[int, int], None] | None = None
        """Told, while this stands by, up to where the rows are and where the log ends; nobody listens by default."""

    async def begin(self, end: int) -> int:
        """Wait until this one may project; return up to where the rows are.

        They are begun anew when that is no place of this log.
        """
        while not await self._read_model.claim():
            await self._look()
            await asyncio.sleep(self._stand_by)
        self.leads = True
        checkpoint = await self._read_model.checkpoint()
        end = max(end, await self._store.log_end())
        if checkpoint.sequence == 0:
            return 0
        if checkpoint.sequence <= end:
            for logged in await self._store.log(after=checkpoint.sequence - 1, limit=1):
                if checkpoint == _checkpoint(logged.sequence, logged.transition):
                    return checkpoint.sequence
        log.warning("the read model is not of this store (or of an older state of it): it is built anew")
        await self._read_model.clear()
        return 0

    async def take(self, piece: "Sequence[Followed]") -> None:
        """Fold `piece` and put the rows that it changes."""
        folded: dict[StreamKey, Folded] = {}
        rows: dict[StreamKey, SagaSummary] = {}
        for number, followed in enumerate(piece, start=1):
            key = followed.transition.key
            try:
                folded[key] = await self._folded(folded.get(key) or self._kept.get(key), followed)
            except AmendsError as error:
                log.error("saga %s keeps its last row: %s", key.saga_id, error)  # noqa: TRY400  the text says all
                continue
            rows[key] = _summary(folded[key], followed)
            if number % A_STRETCH == 0:
                await asyncio.sleep(0)
        last = piece[-1]
        try:
            await self._read_model.put(list(rows.values()), _checkpoint(last.sequence, last.transition))
        except ClaimLost as lost:
            self.leads = False
            raise BeginAnew(str(lost)) from lost
        # Not before the rows are put: when that fails the same piece comes again.
        self._keep(folded)

    async def show(self, streams: Sequence[StoredStream]) -> None:
        """Put the rows of streams that came back to places behind the checkpoint, which stays.

        Raises:
            ClaimLost: another process projects.
        """
        rows: list[SagaSummary] = []
        for stream in streams:
            try:
                rows.append(_summary(*_folded_whole(stream)))
            except AmendsError as error:
                log.error("saga %s has no row: %s", stream.key.saga_id, error)  # noqa: TRY400  the text says all
        await self._read_model.put(rows, await self._read_model.checkpoint())

    async def _look(self) -> None:
        """Tell how far the one who projects has come."""
        if self.on_look is not None:
            checkpoint = await self._read_model.checkpoint()
            self.on_look(checkpoint.sequence, await self._store.log_end())

    async def _folded(self, known: Folded | None, followed: "Followed") -> Folded:
        transition = followed.transition
        if transition.position == 1:
            known = _unbegun(transition)
        elif known is None or known.state.position + 1 != transition.position:
            known = await self._read_before(transition)
        return known.after(followed.events, transition)

    async def _read_before(self, transition: Transition) -> Folded:
        """Return the instance as it stood before `transition`."""
        earlier = await self._store.read(transition.key)
        known = _unbegun(earlier[0])
        for each in earlier:
            if each.position >= transition.position:
                break
            known = known.after(events_in(each), each)
        return known

    def _keep(self, folded: dict[StreamKey, Folded]) -> None:
        for key, each in folded.items():
            # Put behind all others: the longest untouched leave first.
            self._kept.pop(key, None)
            if not each.state.final:
                self._kept[key] = each
        while len(self._kept) > self._most_kept:
            del self._kept[next(iter(self._kept))]


def _unbegun(first: Transition) -> Folded:
    return Folded(initial(first.key.namespace, first.key.saga_id), first.recorded_at, None)


def _folded_whole(stream: StoredStream) -> tuple[Folded, Followed]:
    folded, steps = (
        _unbegun(stream.transitions[0].transition),
        [Followed(each) for each in stream.transitions],
    )
    for followed in steps:
        folded = folded.after(followed.events, followed.transition)
    return folded, steps[-1]


def _checkpoint(sequence: int, transition: Transition) -> Checkpoint:
    key = transition.key
    mark = f"{key.namespace}/{key.saga_id}/{transition.position}@{transition.recorded_at.isoformat()}"
    return Checkpoint(sequence, mark)


def _summary(folded: Folded, followed: "Followed") -> SagaSummary:
    state = folded.state
    cause = state.turned.get("")
    return SagaSummary(
        namespace=state.namespace,
        id=state.saga_id,
        saga=state.saga,
        version=state.version,
        status=state.status,
        business_status=state.business,
        paused=state.paused,
        position=state.position,
        sequence=followed.sequence,
        started_at=folded.started_at,
        updated_at=followed.transition.recorded_at,
        ended_at=folded.ended_at,
        stuck=tuple(state.stuck),
        cause=cause.code if cause is not None else "",
    )
