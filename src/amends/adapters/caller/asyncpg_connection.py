"""asyncpg's connections, one's own and those that its pool lends.

Rules: nothing else of this adapter imports asyncpg, which is annotated in part only. It does not: commit.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  neither stubs nor a marker

from amends.adapters.caller.faults import explained, not_in_transaction
from amends.adapters.caller.statements import ORDER, parameters, put_in_inbox_numbered
from amends.ports import Deposit

_driver: Final[Any] = asyncpg
_KINDS: Final[tuple[type, ...]] = (_driver.Connection, _driver.pool.PoolConnectionProxy)


def way(connection: object) -> Callable[[Deposit, str], Awaitable[None] | None] | None:
    """Return how a deposit is made on `connection`; None when it is not asyncpg's."""
    return partial(_put, connection) if isinstance(connection, _KINDS) else None


async def _put(connection: Any, deposit: Deposit, schema: str) -> None:
    if not connection.is_in_transaction():
        raise not_in_transaction("open a block with connection.transaction()")
    bound = parameters(deposit, schema)
    with explained(schema):
        await connection.fetchval(put_in_inbox_numbered(schema), *(bound[name] for name in ORDER))
