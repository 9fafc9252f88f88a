"""The receiver: takes what other processes, or applications, put into the inbox for instances that are held here.

Rules
- A row is in hand from its reading until it is gone from the inbox; rows for one instance are decided in their order.
  A row leaves in the transaction that stores what followed from it, or alone when nothing did. After a crash in
  between it is still there, and whoever holds the shard then decides it.
- A no is for the sender. Where nobody waits, one of the rules to a start or a signal, or what this process cannot read
  or does not have the definition for, is parked with the reason: left in the inbox for a person. It harms nobody else.
- No more than a limit is in hand; what waits longer waits in the inbox.
The verb is `run_once`; the loop around it only waits.
It does not: decide.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from amends.application.availability import Availability
from amends.application.errors import AmendsError, DefinitionUnknown, NotRunning
from amends.application.handover import Moved
from amends.application.inbox_row import BadRow, Canonical, accepted, ask_of, refused
from amends.application.instance import Ask
from amends.application.patience import Patience
from amends.application.registry import Registry
from amends.application.shards import Shards
from amends.core.state import State
from amends.ports import Handled, InboxRow, SharedStore, StoreError, StreamKey

log = logging.getLogger("amends.inbox")

POLL: Final = 0.5
MOST_IN_HAND: Final = 500
FOR_PEOPLE: Final = frozenset({"start", "signal"})
"""What was put by an application, and was refused, is worth a person's look."""


class Receiver:
    """One per engine on a shared store."""

    def __init__(
        self,
        store: SharedStore,
        shards: Shards,
        registry: Registry,
        canonical: Canonical,
        patience: Patience,
        *,
        take: Callable[[StreamKey, Ask], Awaitable[State]],
        availability: Availability,
    ) -> None:
        """Read the inbox of `store` for `shards`; `take` decides and answers as it would any caller, `availability` is
        told of outages.
        """
        self._store = store
        self._availability = availability
        self._shards = shards
        self._registry = registry
        self._canonical = canonical
        self._patience = patience
        self._take = take
        self._in_hand: set[int] = set()
        self._last: dict[StreamKey, asyncio.Task[None]] = {}
        self._handled: list[Handled] = []
        self._parked: list[tuple[int, str]] = []
        self._wake = asyncio.Event()
        self._loose_ends = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.parked = 0
        """How many rows were left to a person since the opening."""

    @property
    def in_hand(self) -> int:
        """Return how many rows are being decided."""
        return len(self._in_hand)

    def start(self) -> None:
        """Begin to look."""
        for work in (self._run(), self._tie_up()):
            task = asyncio.create_task(work, name="amends-receiver")
            self._tasks.add(task)

    def rows_came(self, shards: frozenset[int] | None = None) -> None:
        """Look soon, if it is for shards that are held."""
        if shards is None or not shards.isdisjoint(self._shards.held):
            self._wake.set()

    async def stop(self) -> None:
        """Look no more; what is in hand and not stored is still in the inbox."""
        tasks = [*self._tasks, *self._last.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run_once(self) -> int:
        """Take what waits, as far as there is room; return how many rows that was."""
        held, room = self._shards.held, MOST_IN_HAND - len(self._in_hand)
        if not held or room <= 0:
            return 0
        rows = await self._store.inbox().waiting(held, in_hand=self._in_hand, limit=room)
        for row in rows:
            if row.number not in self._in_hand:
                self._in_hand.add(row.number)
                before = self._last.get(row.key)
                task = asyncio.create_task(self._handle(row, before), name="amends-inbox-row")
                self._last[row.key] = task
        return len(rows)

    async def _run(self) -> None:
        is_broken = False
        while True:
            self._wake.clear()
            try:
                found = await self.run_once()
            except StoreError as error:
                self._availability.missed("inbox", error)
                found = 0
            except Exception:
                if not is_broken:
                    log.exception("the inbox cannot be looked after")
                is_broken, found = True, 0
            else:
                is_broken = False
                if self._availability.is_away:
                    self._availability.answered("inbox")
            if not found:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await self._wake.wait()
            elif len(self._in_hand) >= MOST_IN_HAND:
                await asyncio.wait(self._last.values(), return_when=asyncio.FIRST_COMPLETED)

    async def _handle(self, row: InboxRow, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        is_gone = True
        try:
            is_gone = await self._decided(row)
        finally:
            if is_gone:
                self._in_hand.discard(row.number)
            if self._last.get(row.key) is asyncio.current_task():
                del self._last[row.key]

    async def _decided(self, row: InboxRow) -> bool:
        """Decide a row; False when it is still to be taken out of the inbox."""
        try:
            ask = ask_of(row, self._registry, self._canonical)
            state = await self._take(row.key, ask)
        except (Moved, NotRunning, StoreError):
            # Whoever holds it now, or this process later, finds it in the inbox.
            return True
        except AmendsError as error:
            self._refused(row, error)
            return False
        except Exception as error:
            log.exception("inbox row %d for saga %s cannot be decided", row.number, row.key.saga_id)
            self._refused(row, BadRow(repr(error)))
            return False
        if ask.is_stored:
            return True
        self._handled.append(accepted(row.number, state.position, is_new=False))
        self._loose_ends.set()
        return False

    def _refused(self, row: InboxRow, error: AmendsError) -> None:
        if row.is_awaited:
            self._handled.append(refused(row.number, error))
        elif isinstance(error, BadRow | DefinitionUnknown) or row.kind in FOR_PEOPLE:
            log.warning("inbox row %d for saga %s is parked: %s", row.number, row.key.saga_id, error)
            self._parked.append((row.number, str(error)))
            self.parked += 1
        else:
            log.info("saga %s: %s", row.key.saga_id, error)
            self._handled.append(refused(row.number, error))
        self._loose_ends.set()

    async def _tie_up(self) -> None:
        """Take rows out of the inbox of which nothing followed, several at a time."""
        while True:
            await self._loose_ends.wait()
            self._loose_ends.clear()
            handled, self._handled = self._handled, []
            parked, self._parked = self._parked, []
            inbox = self._store.inbox()
            try:
                if handled:
                    await self._patience.ask(partial(inbox.settle, handled))
                if parked:
                    await self._patience.ask(partial(inbox.park, parked))
            except Exception:
                log.exception("%d inbox rows cannot be settled", len(handled) + len(parked))
            self._in_hand.difference_update(number for number, _ in (*handled, *parked))
