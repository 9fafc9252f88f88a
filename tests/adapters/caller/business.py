"""A business with a table of its own beside the store's: where it is, what was ordered, what waits in the inbox.

It does not: run anything that takes from the inbox.
"""

from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from amends import Saga, start_in_transaction
from amends.adapters.postgres import Address, migrate
from tests.adapters.caller.flavours import Application, settled
from tests.adapters.postgres import shared_server
from tests.application.shop import FULFIL, Order


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
