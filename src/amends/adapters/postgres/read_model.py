"""The read model in a schema of its own, in the store's database or in another one, shared by all processes.

Rules
- One process at a time writes: the right to is an advisory lock of the session that writes, so it ends with its holder,
  and a session that was lost writes nothing any more. Every process answers from the same tables.
- Rows of what left the store are removed by whoever made it leave; that waits for a put that is being written, and puts
  wait for it, because both count.
- Tables that another state of these files built, or that somebody dropped, are built anew, empty; a newer version's are
  refused.
- Commits return before they are on the disk: a crash of the server may cost the last rows together with their
  checkpoint, which are made again.
It does not: know how rows come about, or wait for a server that is away.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple, TypeVar

from amends.adapters.postgres import statements, views
from amends.adapters.postgres.address import Address
from amends.adapters.postgres.driver import DRIVER_ERRORS, Link
from amends.adapters.postgres.faults import AsStoreErrors, is_lost, not_there, unavailable
from amends.adapters.postgres.migrations import apply_missing, check_applied, make_schema, missing
from amends.adapters.postgres.readers import Readers
from amends.adapters.postgres.session import Facts, connect, facts_of
from amends.ports.event_store import StreamKey
from amends.ports.read_model import Checkpoint, Count, Place, SagaQuery, SagaSummary
from amends.ports.store_errors import ClaimLost, StoreCorrupt

T = TypeVar("T")

VIEWS: Final = "views_migrations"
CLAIM_CLASS: Final = 0x414D4E56
"""The first half of the lock that is the right to write; the second is the schema's number."""
READERS: Final = 2
SECRET_BYTES: Final = 32


class _Opened(NamedTuple):
    """What exists between `open` and `close`."""

    readers: Readers
    turn: asyncio.Lock


class PostgresReadModel:
    """`ReadModel` in the schema that `address` names; at most three connections."""

    def __init__(self, address: Address, *, connect_timeout: timedelta = timedelta(seconds=5)) -> None:
        self._address = address
        self._connect_within = connect_timeout.total_seconds()
        self._as_store_errors = AsStoreErrors(address)
        self._opened: _Opened | None = None
        self._writer: Link | None = None
        self._secret = secrets.token_bytes(SECRET_BYTES)
        """A proposal, until it is known which one the tables have."""

    async def open(self) -> None:
        link = await connect(self._address, within=self._connect_within)
        try:
            with self._as_store_errors:
                await built(link, self._address)
                self._secret = await views.secret(link, self._secret)
        finally:
            await _ended(link)
        readers = Readers(self._address, most=READERS, connect_within=self._connect_within, plans="anew")
        self._opened = _Opened(readers, asyncio.Lock())

    async def checkpoint(self) -> Checkpoint:
        return await self._ask(views.checkpoint)

    async def claim(self) -> bool:
        opened = self._must_be_open()
        async with opened.turn:
            if self._writer is not None and not self._writer.is_closed():
                return True
            self._writer = await self._claimed()
            return self._writer is not None

    async def put(self, rows: Sequence[SagaSummary], checkpoint: Checkpoint) -> None:
        await self._write(statements.VIEWS_PUT, *views.columns(rows), *views.stored(checkpoint))

    async def remove(self, keys: Sequence[StreamKey]) -> None:
        arguments = [key.namespace for key in keys], [key.saga_id for key in keys]
        if self._writer is not None and not self._writer.is_closed():
            await self._write(statements.VIEWS_REMOVE, *arguments)
            return
        self._must_be_open()
        link = await connect(self._address, within=self._connect_within)
        try:
            with self._as_store_errors:
                async with link.transaction():
                    await link.execute(statements.VIEWS_LOCK)
                    await link.fetch(statements.VIEWS_REMOVE, *arguments)
        finally:
            await _ended(link)

    async def clear(self) -> None:
        await self._write(statements.VIEWS_CLEAR)

    async def find(
        self, query: SagaQuery, *, limit: int, after: Place | None = None
    ) -> Sequence[SagaSummary]:
        return await self._ask(partial(views.find, query=query, limit=limit, after=after))

    async def counts(self, namespace: str = "") -> Sequence[Count]:
        return await self._ask(partial(views.counts, namespace=namespace))

    async def secret(self) -> bytes | None:
        self._must_be_open()
        return self._secret

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        async with opened.turn:
            writer, self._writer = self._writer, None
            if writer is not None:
                await _ended(writer)
        await opened.readers.close()

    async def _claimed(self) -> Link | None:
        """Return a session with the right to write, over tables that are there; None: somebody else has it."""
        link = await connect(self._address, within=self._connect_within)
        try:
            with self._as_store_errors:
                facts = await built(link, self._address)
                # Tables that were dropped get the secret back that this process has.
                self._secret = await views.secret(link, self._secret)
                if await link.fetchval(statements.CLAIM_VIEWS, CLAIM_CLASS, facts.schema):
                    await link.execute(statements.VIEWS_COMMIT_EARLY)
                    return link
        except BaseException:
            link.terminate()
            raise
        await _ended(link)
        return None

    async def _write(self, statement: str, *arguments: object) -> None:
        opened = self._must_be_open()
        async with opened.turn:
            writer = self._writer
            if writer is None or writer.is_closed():
                raise _claim_lost(self._address)
            try:
                with self._as_store_errors:
                    await self._written(writer, statement, arguments)
            except BaseException:
                if writer.is_closed():
                    self._writer = None
                raise

    async def _written(self, writer: Link, statement: str, arguments: Sequence[object]) -> None:
        try:
            await writer.fetch(statement, *arguments)
        except Exception as fault:
            # Without its tables the claim is one to nothing: who claims next finds that out, and builds them.
            if is_lost(fault) or not_there(fault):
                writer.terminate()
                raise _claim_lost(self._address) from fault
            raise
        except BaseException:
            # Cancelled in the middle: whether it was written is found out from the checkpoint.
            writer.terminate()
            raise

    async def _ask(self, question: Callable[[Link], Awaitable[T]]) -> T:
        return await self._must_be_open().readers.ask(question)

    def _must_be_open(self) -> _Opened:
        if self._opened is None:
            raise unavailable(self._address, "it is not open")
        return self._opened


async def migrate_views(address: Address, *, connect_timeout: timedelta = timedelta(seconds=5)) -> list[str]:
    """Bring the tables of a read model up to date, making them when they are not there; return what was applied."""
    link = await connect(address, within=connect_timeout.total_seconds())
    try:
        with AsStoreErrors(address):
            if (await facts_of(link, address)).schema is None:
                await make_schema(link)
            facts = await facts_of(link, address)
            return await apply_missing(link, address, is_new=not facts.is_built, folder=VIEWS)
    finally:
        await _ended(link)


async def missing_in_views(address: Address) -> list[str]:
    """Return the migrations that a read model lacks; nothing is made or changed."""
    return await missing(address, VIEWS)


async def built(link: Link, address: Address) -> Facts:
    """Make sure that the tables are there and of this version; return what is known of the session then."""
    facts = await facts_of(link, address)
    if facts.schema is None:
        await make_schema(link)
        facts = await facts_of(link, address)
    if facts.is_built:
        try:
            if not await check_applied(link, address, VIEWS):
                return facts
        except StoreCorrupt:
            await link.execute(statements.VIEWS_DROP)
            facts = await facts_of(link, address)
    await apply_missing(link, address, is_new=not facts.is_built, folder=VIEWS)
    return facts


def _claim_lost(address: Address) -> ClaimLost:
    return ClaimLost(
        f"the right to write to {address} is not ours; it is claimed anew, and the rows go on from their checkpoint"
    )


async def _ended(link: Link) -> None:
    try:
        await link.close(timeout=5)
    except DRIVER_ERRORS:
        link.terminate()
