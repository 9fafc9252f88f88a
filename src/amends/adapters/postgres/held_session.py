"""The one session that may write: it has the hold of the store, and its tables are up to date.

Rules
- The hold is an advisory lock of the very session that writes: without the lock there is no session to write with, and
  while a session may still be committing nobody else gets the lock.
- A second store is told who has the hold. It is given a moment first: a process that has just died is still known to
  its server for some milliseconds.
- An own earlier session that was lost, but that the server does not know to be lost, is ended.
- A newer schema is refused before anything is waited for or changed.
It does not: open itself again, or know streams.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from amends.adapters.postgres import statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import DRIVER_ERRORS, Link, ServerError
from amends.adapters.postgres.faults import (
    LOCK_NOT_AVAILABLE,
    AsStoreErrors,
    read_only,
    state_of,
    unavailable,
)
from amends.adapters.postgres.migrations import LOCK_CLASS, apply_missing, check_applied, make_schema
from amends.adapters.postgres.session import Facts, connect, facts_of
from amends.ports.store_errors import StoreHeld

MOMENT: Final = "1s"
"""How long the hold is waited for."""


class Identity(NamedTuple):
    """Which session of the server this is."""

    backend: int
    since: datetime


class HeldSession:
    """Made by `open`; lasts until `close`, `drop`, or the connection's end."""

    def __init__(self, link: Link, facts: Facts, applied: list[str]) -> None:
        self.link = link
        self.identity = Identity(facts.backend, facts.since)
        self.applied = applied
        """The migrations that opening applied."""
        self._schema = facts.schema

    @classmethod
    async def open(cls, address: Address, *, within: float, lost: Identity | None = None) -> "HeldSession":
        """Connect, take the hold, migrate. `lost`: the session that this one follows.

        Raises:
            StoreHeld: somebody else has it.
            StoreReadOnly: the server only reads (`StoreUnavailable` when it was ours before: it may be changing roles).
            StoreNewer, StoreCorrupt, StoreUnavailable: it cannot be used as it is.
        """
        link = await connect(address, within=within)
        try:
            with AsStoreErrors(address):
                return await _opened(link, address, lost)
        except BaseException:
            link.terminate()
            raise

    async def close(self) -> None:
        """Give up the hold, then the connection."""
        try:
            if not self.link.is_closed():
                await self.link.fetchval(statements.LET_GO, LOCK_CLASS, self._schema)
                await self.link.close(timeout=5)
        except DRIVER_ERRORS:
            # Then the server ends the session by itself, and the hold with it.
            self.link.terminate()

    def drop(self) -> None:
        """End a connection of which nobody knows how it stands."""
        self.link.terminate()


async def migrate(address: Address, *, connect_timeout: timedelta = timedelta(seconds=5)) -> Sequence[str]:
    """Bring the tables at `address` up to date, making them when they are not there; return what was applied.

    Raises:
        StoreError: as when a store is opened: `StoreHeld` while a process runs on it.
    """
    session = await HeldSession.open(address, within=connect_timeout.total_seconds())
    await session.close()
    return session.applied


async def _opened(link: Link, address: Address, lost: Identity | None) -> HeldSession:
    facts = await facts_of(link, address)
    if facts.is_read_only:
        raise _not_writable(address, is_again=lost is not None)
    if facts.is_built:
        await check_applied(link, address)
    if facts.schema is None:
        await make_schema(link)
        facts = await facts_of(link, address)
    await _take_hold(link, address, facts, lost)
    # Somebody else may have built them while the hold was waited for.
    facts = await facts_of(link, address)
    return HeldSession(link, facts, await apply_missing(link, address, is_new=not facts.is_built))


def _not_writable(address: Address, *, is_again: bool) -> Exception:
    why = "it is a standby, or set to be read only"
    return unavailable(address, why) if is_again else read_only(address, why)


async def _take_hold(link: Link, address: Address, facts: Facts, lost: Identity | None) -> None:
    await link.fetchval(statements.PATIENCE, MOMENT)
    # Twice: after an own lost session was ended there is somebody to wait for once more.
    for _ in range(2):
        try:
            await link.fetchval(statements.TAKE_HOLD, LOCK_CLASS, facts.schema)
            break
        except ServerError as fault:
            if state_of(fault) != LOCK_NOT_AVAILABLE:
                raise
            holder = await link.fetchrow(statements.HOLDER, LOCK_CLASS, facts.schema)
            await _judge(link, address, holder, lost)
    else:
        raise unavailable(address, "its hold is changing hands")
    await link.fetchval(statements.PATIENCE, "0")


async def _judge(link: Link, address: Address, holder: Any, lost: Identity | None) -> None:
    """Return when it is worth to try again, and raise `StoreHeld` when it is not."""
    if holder is None:
        return
    if lost is not None and (holder["backend"], holder["since"]) == lost:
        await link.fetchval(statements.END_SESSION, *lost)
        return
    since = holder["since"]
    raise StoreHeld(
        f"{address} is held by “{holder['application']}” (session {holder['backend']}, from {holder['host']}"
        f"{f', since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}' if since else ''}); stop that process, or give this "
        "one a database or schema of its own."
    )
