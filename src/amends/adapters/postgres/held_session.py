"""The session that writes: it shares the hold of the store, its tables are up to date, and it is a member's.

Rules
- The hold is an advisory lock of the very session that writes, shared by all processes of this version: it keeps out
  an older version's process, which would have the store to itself, whoever migrates, and whoever opens it alone.
  Tables that are not up to date are migrated while nobody runs on them.
- A member's token is locked as well, by its writing session alone: without the lock there is no session to write with,
  so what became of the writes of a session that was lost is settled by the time it is asked.
- Who cannot have the hold is told who has it. It is given a moment first: a process that has just died is still known
  to its server for some milliseconds.
- An own earlier session that was lost, but that the server does not know to be lost, is ended.
- A newer schema is refused before anything is waited for or changed.
It does not: open itself again, or know streams.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import DRIVER_ERRORS, Link, PreparedStatement, ServerError
from amends.adapters.postgres.faults import (
    LOCK_NOT_AVAILABLE,
    AsStoreErrors,
    read_only,
    state_of,
    unavailable,
)
from amends.adapters.postgres.migrations import (
    LOCK_CLASS,
    apply_missing,
    check_applied,
    is_complete,
    make_schema,
)
from amends.adapters.postgres.session import Facts, connect, facts_of
from amends.ports.store_errors import StoreHeld

MOMENT: Final = "1s"
"""How long a lock is waited for."""
A_LOOK: Final = 0.02
LOOKS: Final = 50
"""How often, and how many seconds apart, it is looked whether nobody runs on a store that must be migrated."""

_NOTHING: Final = "INSERT 0 0"


class Identity(NamedTuple):
    """Which session of the server this is."""

    backend: int
    since: datetime


class HeldSession:
    """Made by `open`; lasts until `close`, `drop`, or the connection's end."""

    def __init__(self, link: Link, address: Address, facts: Facts, applied: list[str]) -> None:
        self.link = link
        self.identity = Identity(facts.backend, facts.since)
        self.applied = applied
        """The migrations that opening applied."""
        self.schema = facts.schema or 0
        self._address = address
        self._prepared: dict[str, PreparedStatement] = {}

    @classmethod
    async def open(
        cls, address: Address, *, within: float, lost: Identity | None = None, is_alone: bool = False
    ) -> "HeldSession":
        """Connect, migrate, share the hold; have it alone if that is wanted. `lost`: the session that this one follows.

        Raises:
            StoreHeld: somebody has the store to himself, or runs on tables that must be migrated.
            StoreReadOnly: the server only reads (`StoreUnavailable` when it was ours before: it may be changing roles).
            StoreNewer, StoreCorrupt, StoreUnavailable: it cannot be used as it is.
        """
        link = await connect(address, within=within, plans="once")
        try:
            with AsStoreErrors(address):
                session = await _opened(link, address, is_again=lost is not None)
                if is_alone:
                    await _hold_alone(link, address, session.schema)
                return session
        except BaseException:
            link.terminate()
            raise

    async def take(self, token: int, lost: Identity | None = None) -> None:
        """Lock a member's token; `lost` is the session that may still have it.

        Raises:
            StoreUnavailable: it is changing hands.
        """
        await self.link.fetchval(statements.PATIENCE, MOMENT)
        # Twice: after an own lost session was ended there is somebody to wait for once more.
        for _ in range(2):
            try:
                await self.link.fetchval(statements.TAKE_HOLD, self.schema, token)
                break
            except ServerError as fault:
                if state_of(fault) != LOCK_NOT_AVAILABLE:
                    raise
                holder = await self.link.fetchrow(statements.HOLDER, self.schema, token & 0xFFFFFFFF)
                is_own = holder is not None and (holder["backend"], holder["since"]) == lost
                if lost is not None and is_own:
                    await self.link.fetchval(statements.END_SESSION, *lost)
        else:
            raise unavailable(self._address, "its lease is changing hands")
        await self.link.fetchval(statements.PATIENCE, "0")

    async def insert(self, query: str, arguments: Sequence[object]) -> bool:
        """Give a statement that ends in an insertion, one of a few that are given often; return whether it inserted."""
        statement = self._prepared.get(query)
        if statement is None:
            statement = self._prepared[query] = await self.link.prepare(query)
        await statement.fetch(*arguments)
        return statement.get_statusmsg() != _NOTHING

    async def let_go(self, token: int) -> None:
        """Give up the lock of a token."""
        await self.link.fetchval(statements.LET_GO, self.schema, token)

    async def close(self) -> None:
        """End the connection, and with it the locks."""
        try:
            if not self.link.is_closed():
                await self.link.close(timeout=5)
        except DRIVER_ERRORS:
            # Then the server ends the session by itself.
            self.link.terminate()

    def drop(self) -> None:
        """End a connection of which nobody knows how it stands."""
        self.link.terminate()


async def migrate(address: Address, *, connect_timeout: timedelta = timedelta(seconds=5)) -> Sequence[str]:
    """Bring the tables at `address` up to date, making them when they are not there; return what was applied.

    Raises:
        StoreError: as when a store is opened: `StoreHeld` while a process runs on tables that must be migrated.
    """
    session = await HeldSession.open(address, within=connect_timeout.total_seconds())
    await session.close()
    return session.applied


async def _opened(link: Link, address: Address, *, is_again: bool) -> HeldSession:
    facts = await facts_of(link, address)
    if facts.is_read_only:
        raise _not_writable(address, is_again=is_again)
    up_to_date = facts.is_built and await is_complete(link, address)
    if facts.schema is None:
        await make_schema(link)
        facts = await facts_of(link, address)
    applied = [] if up_to_date else await _migrated(link, address, facts)
    await _share_hold(link, address, facts)
    # Nobody migrates any more; somebody may have, while the hold was waited for.
    await check_applied(link, address)
    return HeldSession(link, address, facts, applied)


def _not_writable(address: Address, *, is_again: bool) -> Exception:
    why = "it is a standby, or set to be read only"
    return unavailable(address, why) if is_again else read_only(address, why)


async def _migrated(link: Link, address: Address, facts: Facts) -> list[str]:
    """Apply what is missing while nobody runs on the store; nothing when somebody else has done so meanwhile."""
    for _ in range(LOOKS):
        if await link.fetchval(statements.TRY_HOLD, LOCK_CLASS, facts.schema):
            now = await facts_of(link, address)
            applied = await apply_missing(link, address, is_new=not now.is_built)
            # First shared, then no longer alone: nobody comes in between.
            await link.fetchval(statements.SHARE_HOLD, LOCK_CLASS, facts.schema)
            await link.fetchval(statements.LET_GO, LOCK_CLASS, facts.schema)
            return applied
        await asyncio.sleep(A_LOOK)
        if (await facts_of(link, address)).is_built and await is_complete(link, address):
            return []
    holder = await link.fetchrow(statements.HOLDER, LOCK_CLASS, facts.schema)
    if holder is None:
        raise unavailable(address, "its hold is changing hands")
    raise _held(address, holder, "its tables must be migrated first, and nobody may run on them meanwhile")


async def _hold_alone(link: Link, address: Address, schema: int) -> None:
    for _ in range(LOOKS):
        if await link.fetchval(statements.TRY_HOLD, LOCK_CLASS, schema):
            return
        await asyncio.sleep(A_LOOK)
    holder = await link.fetchrow(statements.HOLDER, LOCK_CLASS, schema)
    if holder is None:
        raise unavailable(address, "its hold is changing hands")
    raise _held(address, holder, "nobody may run on it meanwhile")


async def _share_hold(link: Link, address: Address, facts: Facts) -> None:
    await link.fetchval(statements.PATIENCE, MOMENT)
    try:
        await link.fetchval(statements.SHARE_HOLD, LOCK_CLASS, facts.schema)
    except ServerError as fault:
        if state_of(fault) != LOCK_NOT_AVAILABLE:
            raise
        holder = await link.fetchrow(statements.HOLDER, LOCK_CLASS, facts.schema)
        if holder is None:
            raise unavailable(address, "its hold is changing hands") from fault
        raise _held(address, holder, "it has the store to itself") from fault
    await link.fetchval(statements.PATIENCE, "0")


def _held(address: Address, holder: Any, why: str) -> StoreHeld:
    since = holder["since"]
    return StoreHeld(
        f"{address} is held by “{holder['application']}” (session {holder['backend']}, from {holder['host']}"
        f"{f', since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}' if since else ''}): {why}; stop that process, or give "
        "this one a database or schema of its own."
    )
