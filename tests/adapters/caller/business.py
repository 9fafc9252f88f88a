"""A business with a table of its own beside the store's: where it is, what was ordered, what waits in the inbox.

It does not: run anything that takes from the inbox.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import dict_row

from amends import Saga, start_in_transaction
from amends.adapters.postgres import Address, migrate
from tests.adapters.caller.flavours import Application, settled
from tests.adapters.postgres import shared_server
from tests.application.shop import FULFIL, Order

PATIENCE: Final = 30


class Business(NamedTuple):
    """Where it is: the database, and the store's schema in it."""

    url: str
    schema: str

    def ordered(self) -> list[str]:
        """The ids of the orders that are in the table, in order, once no transaction changes it any more."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f"LOCK TABLE {self.schema}.orders IN SHARE MODE".encode())
            query = f"SELECT id FROM {self.schema}.orders ORDER BY id"  # noqa: S608
            return [saga_id for (saga_id,) in connection.execute(query.encode())]

    def inbox(self) -> list[dict[str, Any]]:
        """What waits for an orchestrator, oldest first."""
        return self.ask(f"SELECT * FROM {self.schema}.inbox ORDER BY number")  # noqa: S608

    async def parked(self, count: int) -> list[dict[str, Any]]:
        """What was left to a person, once it is so many."""
        return await self._inbox_when(lambda rows: len(rows) == count and all(row["parked"] for row in rows))

    async def emptied(self) -> None:
        """Wait until nothing is left in the inbox."""
        await self._inbox_when(lambda rows: not rows)

    async def ask_later(self) -> None:
        """Let everything that waits for the server go on for a while: as long as a few questions take."""
        for _ in range(20):
            await asyncio.to_thread(self.inbox)

    async def _inbox_when(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            while not condition(rows := await asyncio.to_thread(self.inbox)):
                pass
        return rows

    def unpark(self, number: int) -> None:
        """Have a row of the inbox tried again, as the documentation says."""
        with psycopg.connect(self.url) as connection:
            connection.execute(
                f"UPDATE {self.schema}.inbox SET parked = NULL WHERE number = {number}".encode()  # noqa: S608
            )

    def start(self, application: Application, saga_id: str, order: Order, *, at_once: bool = True) -> None:
        """Start a saga, in a transaction of a connection that is not awaited."""
        start_in_transaction(
            application.connection, FULFIL, order, saga_id=saga_id, schema=self.schema, at_once=at_once
        )

    def ask(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.url) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode()).fetchall()

    def order(self, saga_id: str) -> str:
        """The statement of the business's own change."""
        return f"INSERT INTO {self.schema}.orders (id) VALUES ('{saga_id}')"  # noqa: S608

    async def place(self, application: Application, saga_id: str, saga: Saga[Order] = FULFIL) -> str:
        """Change the business and start a saga, in the application's transaction."""
        await application.execute(self.order(saga_id))
        made = start_in_transaction(
            application.connection, saga, Order(), saga_id=saga_id, schema=self.schema
        )
        return str(await settled(made))


async def new_business() -> Business:
    """Return one whose store has its tables and nothing in them."""
    business = Business(shared_server.server().local_address, shared_server.new_schema())
    await migrate(Address.of(business.url, schema=business.schema))
    with psycopg.connect(business.url) as connection:
        connection.execute(f"CREATE TABLE {business.schema}.orders (id text PRIMARY KEY)".encode())
    return business
