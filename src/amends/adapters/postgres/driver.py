"""The driver, asyncpg, as far as it is used: typed here, for it is annotated in part only.

Rules: nothing else imports it. It does not: add behaviour.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  neither stubs nor a marker

from amends.adapters.postgres.address import Address

_driver: Final[Any] = asyncpg

ServerError: Final[type[Exception]] = _driver.PostgresError
"""What the server said no to; `sqlstate` says why."""
DRIVER_ERRORS: Final[tuple[type[Exception], ...]] = (
    OSError,
    EOFError,
    _driver.PostgresError,
    _driver.InterfaceError,
    _driver.InternalClientError,
)
"""All that may come of asking a server."""


class PreparedStatement(Protocol):
    """A statement that is given often: the driver need not look for it each time. Lasts as long as its connection."""

    async def fetch(self, *arguments: object) -> Sequence[Any]: ...

    def get_statusmsg(self) -> str: ...


class Link(Protocol):
    """A connection."""

    async def fetch(self, query: str, *arguments: object) -> Sequence[Any]: ...

    async def fetchrow(self, query: str, *arguments: object) -> Any: ...

    async def fetchval(self, query: str, *arguments: object) -> Any: ...

    async def execute(self, query: str) -> str: ...

    async def prepare(self, query: str) -> PreparedStatement: ...

    def transaction(self) -> Any: ...

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...

    def is_closed(self) -> bool: ...

    def terminate(self) -> None: ...

    async def close(self, *, timeout: float | None = None) -> None: ...


async def connect(
    address: Address, *, settings: Mapping[str, str], within: float, answer_within: float
) -> Link:
    """Open a connection on which JSON is the bytes that it is written in; the times are seconds.

    Raises:
        Exception: one of `DRIVER_ERRORS`, or a `ValueError` for an address that the driver refuses.
    """
    link: Any = await _driver.connect(
        address.tls_address,
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.database,
        timeout=within,
        command_timeout=answer_within,
        max_cached_statement_lifetime=0,
        server_settings=dict(settings),
    )
    await link.set_type_codec("json", schema="pg_catalog", encoder=_same, decoder=_same, format="binary")
    return cast("Link", link)


def _same(body: bytes) -> bytes:
    return body
