"""What writes to the store: batches, corrections of index rows, notes of definitions; one at a time, in one session.

Rules
- A batch is one statement, so one transaction. When the unique key refuses it, nothing of it was stored; who lost is
  looked up, and the rest is written again without them.
- A session that is lost is opened again when it is needed. Whether the batch that was on its way had been committed is
  then looked up before anything else is written; when the same batch comes again, what is stored counts as stored.
- A batch that fails leaves nothing behind, except by a loss that cannot be settled yet: then the next one settles it.
- What is written is written with the token that the member had when that was asked for; a fenced one writes nothing.
It does not: wait for a server that is away (its caller does), or take turns (`PostgresEventStore` does).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple, TypeVar

from amends.adapters.postgres import retention, statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.batch import (
    Order,
    Place,
    RowChanges,
    ordered,
    place_of,
    prepare,
    rows_of,
    without_losers,
)
from amends.adapters.postgres.channel import channel_of
from amends.adapters.postgres.driver import DRIVER_ERRORS, ServerError
from amends.adapters.postgres.faults import (
    PASSING,
    UNIQUE_VIOLATION,
    AsStoreErrors,
    fenced,
    is_lost,
    state_of,
    unavailable,
)
from amends.adapters.postgres.held_session import HeldSession, Identity
from amends.adapters.postgres.late_rows import LateRows
from amends.adapters.postgres.numbers import StreamNumbers
from amends.adapters.postgres.prepared_batch import PreparedBatch, Ready, prepared
from amends.adapters.postgres.reading import as_transition
from amends.ports.event_store import Append, DefinitionNote, SetIndex, StreamKey, Transition
from amends.ports.retention import StoredStream, StreamEnd
from amends.ports.store_errors import StoreFenced

T = TypeVar("T")

LATE_AT_ONCE: Final = 500
"""How many late index rows are written at once: what is appended meanwhile waits."""
MOST_ATTEMPTS: Final = 5
"""How often the same statement is given, when what stands in its way is gone at once."""


class _FollowsNothing(Exception):
    """Appends of streams that were never begun, or have been given up; nothing was written."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__()
        self.places = places


class _Target(NamedTuple):
    """Where a batch goes: the numbers of streams in this session, and the token that it is written with."""

    numbers: StreamNumbers
    token: int


class StoreWriter:
    """A member, with the lock of its token, from `open` to `close`."""

    def __init__(
        self, address: Address, *, connect_within: float, lease: timedelta, is_alone: bool = False
    ) -> None:
        self._address = address
        self._is_alone = is_alone
        self._lease = lease
        self._token = 0
        self._connect_within = connect_within
        self._as_store_errors = AsStoreErrors(address)
        self._session: HeldSession | None = None
        self._numbers: StreamNumbers | None = None
        self._lost: Identity | None = None
        self._unsettled: Ready | None = None
        """The batch that was on its way when the session was lost."""
        self._stored: dict[Place, Transition] = {}
        """What of an earlier such batch was found to be stored, until its caller comes with it again."""
        self.late = LateRows()
        """Index rows that are not written yet."""

    @property
    def token(self) -> int:
        """The member's fencing token; 0 before there is one."""
        return self._token

    @property
    def schema(self) -> int:
        """The schema's number in the server's catalogue; 0 before it was reached."""
        return 0 if self._session is None else self._session.schema

    async def open(self) -> None:
        """Bring the tables up to date and become a member."""
        try:
            await self.join()
        except BaseException:
            await self.close()
            raise

    async def join(self) -> None:
        """Become a member anew, with a token of its own."""
        await self._again_when_lost(lambda session, _: self._join(session))

    async def close(self) -> None:
        """Stop being a member. One that cannot say so is fenced when its lease is over."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if self._token and not session.link.is_closed():
                async with asyncio.timeout(self._connect_within):
                    await self._write_all_late(session)
                    await session.link.fetch(statements.LEAVE, self._token)
                    await self._call(session)
        except DRIVER_ERRORS:
            pass
        except StoreFenced:
            # Then there is nothing to leave.
            pass
        await session.close()

    def prepared(self, batch: Sequence[Append]) -> Sequence[Append]:
        """Prepare a batch, as far as the session that writes is there; see the port."""
        return batch if self._numbers is None else prepared(batch, self._numbers, self.late)

    async def append(self, batch: Sequence[Append], token: int) -> list[bool]:
        """Store a batch with a member's token; see the port."""
        return await self._again_when_lost(
            lambda session, numbers: self._append(session, _Target(numbers, token), batch)
        )

    async def reindex(self, key: StreamKey, change: SetIndex, token: int) -> None:
        """Correct an index row with a member's token."""
        self.late.correct(key, change)
        arguments = (token, *key, change.wake_at, change.outstanding)
        if not await self._again_when_lost(
            lambda session, _: session.link.fetchval(statements.CORRECT_OPEN_INSTANCE, *arguments)
        ):
            raise fenced(self._address)

    async def write_late_rows(self) -> bool:
        """Write index rows of instances that are still open at the second look; return whether there are more.

        With the last of them the look is over.
        """
        return await self._again_when_lost(lambda session, _: self._write_late(session))

    async def write_all_late_rows(self) -> None:
        """Write all index rows that are not written yet."""
        await self._again_when_lost(lambda session, _: self._write_all_late(session))

    async def claim(self, most: int, token: int) -> frozenset[int]:
        """Lease so many shards that nobody leases, and give their instances the rows that they lack."""
        return await self._again_when_lost(
            lambda session, numbers: _claim(session, numbers, token=token, most=most)
        )

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        """Insert or replace notes; of two for one definition the later counts."""
        by_place = sorted({(note.name, note.version): note for note in notes}.values())
        rows = [(note.name, note.version, note.fingerprint, note.shape or None) for note in by_place]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
        await self._again_when_lost(
            lambda session, _: session.link.fetch(statements.NOTE_DEFINITIONS, *columns)
        )

    async def delete_streams(self, ends: Sequence[StreamEnd], who: retention.Who) -> list[bool]:
        """Give up streams; what a lost session gave up already comes back as False, for it is not there."""
        return await self._again_when_lost(
            lambda session, numbers: retention.delete_streams(session.link, numbers, who, ends)
        )

    async def restore_streams(self, streams: Sequence[StoredStream], token: int) -> list[bool]:
        """Take streams back."""
        verdicts = await self._again_when_lost(
            lambda session, numbers: retention.restore_streams(session.link, numbers, token, streams)
        )
        if verdicts is None:
            raise fenced(self._address)
        return verdicts

    async def _again_when_lost(self, write: Callable[[HeldSession, StreamNumbers], Awaitable[T]]) -> T:
        """Write; if the session turns out to be lost, once more in a new one."""
        with self._as_store_errors:
            try:
                return await self._once(write)
            except Exception as fault:
                if not is_lost(fault):
                    raise
            return await self._once(write)

    async def _once(self, write: Callable[[HeldSession, StreamNumbers], Awaitable[T]]) -> T:
        session, numbers = await self._ready()
        try:
            return await write(session, numbers)
        except Exception as fault:
            if is_lost(fault):
                session.drop()
            raise
        except BaseException:
            # Cancelled in the middle: what the server answers is nobody's, and what it did is looked up.
            session.drop()
            raise

    async def _ready(self) -> tuple[HeldSession, StreamNumbers]:
        if self._session is not None and self._numbers is not None and not self._session.link.is_closed():
            return self._session, self._numbers
        session = await HeldSession.open(
            self._address, within=self._connect_within, lost=self._lost, is_alone=self._is_alone
        )
        numbers = StreamNumbers(session.link)
        try:
            if self._token:
                with self._as_store_errors:
                    await session.take(self._token, self._lost)
            await self._settle(session, numbers)
        except BaseException:
            session.drop()
            raise
        self._session, self._numbers, self._lost = session, numbers, session.identity
        return session, numbers

    async def _settle(self, session: HeldSession, numbers: StreamNumbers) -> None:
        """Find out what became of the batch that was on its way: the lost session is gone, so it will not change."""
        if self._unsettled is None:
            return
        appends, rows = self._unsettled.appends, self._unsettled.prepared.rows
        await numbers.look_up(append.transition.key for append in appends)
        standing = await _standing(session, numbers, appends)
        self._stored = {
            place_of(append): append.transition
            for append in appends
            if standing.get(place_of(append)) == append.transition
        }
        if self._stored:
            self._changed(rows)
        self._unsettled = None

    async def _join(self, session: HeldSession) -> None:
        token = int(await session.link.fetchval(statements.TAKE_TOKEN))
        await session.take(token)
        log_end = await session.link.fetchval(statements.JOIN, token, self._address.application, self._lease)
        if self._token:
            await session.let_go(self._token)
        self._token = token
        self.late.clear(int(log_end))
        await self._call(session)

    async def _call(self, session: HeldSession) -> None:
        """Tell the others at once that somebody came or went."""
        await session.link.fetch(statements.NOTIFY, channel_of(self._address), ["leases"])

    async def _append(self, session: HeldSession, target: _Target, batch: Sequence[Append]) -> list[bool]:
        order = batch.order if isinstance(batch, PreparedBatch) else ordered(batch)
        verdicts = [False] * len(batch)
        taken: set[Place] = set()
        if self._stored:
            for number in self._claimed(batch, order.numbers):
                verdicts[number] = True
                taken.add(place_of(batch[number]))
            order = order._replace(numbers=[number for number in order.numbers if not verdicts[number]])
        for number in await self._store(session, target, batch, order, taken):
            verdicts[number] = True
        return verdicts

    def _claimed(self, batch: Sequence[Append], order: Sequence[int]) -> list[int]:
        """Return what of the batch is stored already, because it was on its way when the session was lost."""
        claimed: list[int] = []
        for number in order:
            place = place_of(batch[number])
            if self._stored.get(place) == batch[number].transition:
                del self._stored[place]
                claimed.append(number)
        return claimed

    async def _store(
        self,
        session: HeldSession,
        target: _Target,
        batch: Sequence[Append],
        order: Order,
        taken: set[Place],
    ) -> Sequence[int]:
        """Store what comes to a free place; return the numbers of that."""
        fruitless = 0
        while fruitless < MOST_ATTEMPTS:
            kept = without_losers(batch, order, taken)
            appends = [batch[number] for number in kept]
            try:
                # Once: what the server refused is prepared anew, with what was learnt since.
                is_first = not (taken or fruitless)
                if (
                    is_first
                    and isinstance(batch, PreparedBatch)
                    and batch.holds_for(target.numbers, self.late)
                ):
                    await self._give(session, target, batch.ready)
                elif appends:
                    await self._write(session, target, appends)
                return kept
            except _FollowsNothing as lost:
                taken.update(lost.places)
                continue
            except ServerError as fault:
                if state_of(fault) not in {UNIQUE_VIOLATION, *PASSING}:
                    raise
            # Not every refusal is a loser's: a stream may be there already, or a deadlock have been broken.
            await target.numbers.look_up(append.transition.key for append in appends)
            found = await _standing(session, target.numbers, appends)
            taken.update(found)
            fruitless += not found
        raise unavailable(self._address, "what others write keeps coming in between")

    async def _write(self, session: HeldSession, target: _Target, appends: Sequence[Append]) -> None:
        found = await target.numbers.find(appends)
        if found.orphans:
            raise _FollowsNothing([*map(place_of, found.orphans)])
        ready = Ready(appends, found, prepare(appends, found, self.late))
        await self._give(session, target, ready)

    async def _give(self, session: HeldSession, target: _Target, ready: Ready) -> None:
        write = ready.prepared
        self._unsettled = ready
        try:
            may_write = await session.insert(write.statement, (target.token, *write.arguments))
        except Exception as fault:
            if not is_lost(fault):
                self._unsettled = None
            raise
        self._unsettled = None
        if not may_write:
            raise fenced(self._address)
        target.numbers.committed(ready.found.begun, write.resting)
        self._changed(write.rows)

    def _changed(self, rows: RowChanges | None) -> None:
        """Take notice of what became of index rows."""
        if rows is not None:
            self.late.put(rows.late)
            self.late.forget(rows.gone)
            self.late.forget(rows.in_table)

    async def _write_all_late(self, session: HeldSession) -> None:
        while self.late:
            await self._write_late(session, all_of_them=True)

    async def _write_late(self, session: HeldSession, *, all_of_them: bool = False) -> bool:
        rows = self.late.ripe(LATE_AT_ONCE + 1, all_of_them=all_of_them)
        is_last = len(rows) <= LATE_AT_ONCE
        # What of the log has all its rows: after these all of it, or what there was at the last look.
        indexed = (None if all_of_them else self.late.log_end) if is_last else 0
        if not is_last:
            rows.popitem()
        self.late.asked_for(rows)
        try:
            log_end = await session.link.fetchval(
                statements.WRITE_LATE_ROWS, self._token, indexed, *rows_of(rows)
            )
        except Exception as fault:
            if not is_lost(fault):
                self.late.refused(rows)
            raise
        if log_end is None:
            raise fenced(self._address)
        self.late.forget(rows)
        if is_last:
            self.late.look(int(log_end))
        return not is_last


async def _standing(
    session: HeldSession, numbers: StreamNumbers, appends: Sequence[Append]
) -> dict[Place, Transition]:
    """Return what stands where the appends want to; the numbers of their streams have been looked up."""
    asked = [append.transition for append in appends if append.transition.key in numbers.known]
    rows = await session.link.fetch(
        statements.STAND_AT,
        [numbers.known[each.key] for each in asked],
        [each.position for each in asked],
    )
    found: dict[Place, Transition] = {}
    for place, *stored in rows:
        each = asked[int(place) - 1]
        found[each.key, each.position] = as_transition(each.key, each.position, *stored)
    return found


async def _claim(session: HeldSession, numbers: StreamNumbers, *, token: int, most: int) -> frozenset[int]:
    async with session.link.transaction():
        rows = await session.link.fetch(statements.CLAIM, token, most)
        if [row for row in rows if row["indexed"] is not None]:
            # A statement of its own sees all that was written before these shards were leased.
            await session.link.fetch(statements.INDEX_CLAIMED, token)
    if rows:
        # While others had these shards, streams of them may have been given up and begun anew.
        numbers.forget([*numbers.known])
    return frozenset(row["number"] for row in rows)
