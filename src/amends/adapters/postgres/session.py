"""A session with the server: opened, checked, and set so that it neither loses commits nor gives up by itself.

Rules
- A commit that returned is on the disk of the server, whatever its default says.
- The server is to notice within half a minute that this machine is gone, so that a hold does not outlive its holder.
- Statements touch rows by key. Plans that would read whole tables are switched off: they may look cheap to a planner
  that knows the tables from when they were small.
- So there is nothing to choose between for the statements that write, and they are planned once: planning a batch
  costs more than storing twenty transitions. They find single rows: bitmaps of pages would be made in vain. A question
  of an operator is planned each time, by its arguments.
It does not: know streams, or open itself again.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from amends.adapters.postgres import driver, statements
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import DRIVER_ERRORS, Link
from amends.adapters.postgres.faults import corrupt, told, unavailable

log = logging.getLogger("amends.postgres")

Plans: TypeAlias = Literal["auto", "anew", "once"]
"""When statements are planned: as the server likes, for each set of arguments, or once for all."""
_CACHE_MODES: Final = {"auto": "auto", "anew": "force_custom_plan", "once": "force_generic_plan"}

OLDEST: Final = 150_000
ANSWER_SECONDS: Final = 30.0
"""How long a statement may take before its session is given up."""

SETTINGS: Final = {
    "idle_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "default_transaction_isolation": "read committed",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the server says of a session."""

    version: int
    encoding: str
    is_durable: bool
    synchronous_commit: str
    is_read_only: bool
    backend: int
    since: datetime
    schema: int | None
    """The schema's number in the server's catalogue; None: it is not there."""
    is_built: bool
    """Whether migrations have been applied there."""


def settings_of(address: Address, *, is_reader: bool, plans: Plans) -> dict[str, str]:
    """Return what a session is begun with; `docs/postgres.md` lists it for those who have a pooler."""
    settings = {**SETTINGS, "search_path": address.schema, "application_name": address.application}
    if is_reader:
        settings["default_transaction_read_only"] = "on"
    settings["plan_cache_mode"] = _CACHE_MODES[plans]
    if plans == "once":
        settings["enable_bitmapscan"] = "off"
    return settings


async def connect(address: Address, *, within: float, is_reader: bool = False, plans: Plans = "auto") -> Link:
    """Open a session, in at most `within` seconds; its statements are planned as `plans` says.

    Raises:
        StoreError: there is none to be had.
    """
    settings = settings_of(address, is_reader=is_reader, plans=plans)
    try:
        return await driver.connect(address, settings=settings, within=within, answer_within=ANSWER_SECONDS)
    except DRIVER_ERRORS as fault:
        # Whatever it is, a server that was not reached may be reached later.
        raise unavailable(address, told(fault)) from fault


async def facts_of(link: Link, address: Address) -> Facts:
    """Ask what the session is, and refuse a server that this adapter cannot rely on.

    Raises:
        StoreCorrupt: it is too old, or keeps text in another encoding.
    """
    facts = Facts(**dict(await link.fetchrow(statements.SESSION_FACTS, address.schema)))
    if facts.synchronous_commit in {"off", "local"}:
        await link.execute(statements.WAIT_FOR_COMMITS)
    if facts.version < OLDEST:
        raise corrupt(
            address, f"PostgreSQL {facts.version // 10_000} is too old, {OLDEST // 10_000} is the oldest"
        )
    if facts.encoding != "UTF8":
        raise corrupt(address, f"the database keeps text as {facts.encoding}, only UTF8 can keep all of it")
    if not facts.is_durable:
        log.warning("%s runs with fsync off: a power failure may lose what was acknowledged", address)
    return facts
