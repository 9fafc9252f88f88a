"""The order service: the orders that customers placed, and how each of them ended.

    POST /orders        place an order (the same order again: 200 instead of 201; another one of that id: 409)
    GET  /orders        all of them;  GET /orders/{order_id}  one of them

Rules:
- An order is CREATED before its saga begins; the saga approves and completes it, or cancels it with the status that
  names the cause. Every change of status is kept.
- The orders of a customer on hold are not approved. An order that has ended is neither approved nor cancelled.
"""

import sqlite3
import sys
from http import HTTPStatus

import msgspec
from aiohttp import web

from amends.participant import Command, Database, Refused, Succeeded, do, undo_only
from amends.participant.handlers import handlers
from amends.participant.http import problem
from amends.participant.sqlite_ledger import write_transaction
from examples.order.messages import (
    ApproveOrder,
    CancelOrder,
    CompleteOrder,
    Order,
    OrderApproved,
    OrderCancelled,
    OrderCompleted,
    OrderStatus,
)
from examples.order.seed import Seed
from examples.running.process import Service, json_response, read_json, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS placed_order (
    order_id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    document BLOB NOT NULL,
    status   TEXT NOT NULL,
    reason   TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS transition (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id TEXT NOT NULL REFERENCES placed_order (order_id),
    status   TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS customer_on_hold (customer TEXT PRIMARY KEY) STRICT;
"""
_ON_HOLD = "SELECT 1 FROM customer_on_hold JOIN placed_order USING (customer) WHERE order_id = ?"


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO customer_on_hold (customer) VALUES (?)",
        [(customer,) for customer in seed.customers_on_hold],
    )


def place(connection: sqlite3.Connection, order: Order) -> HTTPStatus:
    """Keep the order, once."""
    document = msgspec.json.encode(order)
    with write_transaction(connection):
        row = connection.execute(
            "SELECT document FROM placed_order WHERE order_id = ?", (order.order_id,)
        ).fetchone()
        if row is not None:
            return HTTPStatus.OK if row[0] == document else HTTPStatus.CONFLICT
        connection.execute(
            "INSERT INTO placed_order (order_id, customer, document, status) VALUES (?, ?, ?, '')",
            (order.order_id, order.customer, document),
        )
        _become(connection, order.order_id, "CREATED")
        return HTTPStatus.CREATED


def approve(
    connection: sqlite3.Connection, _: Command, approved: ApproveOrder
) -> Succeeded[OrderApproved] | Refused:
    status = _status(connection, approved.order_id)
    if status is None:
        return Refused("unknown-order", f"there is no order {approved.order_id}")
    if status != "CREATED":
        return Refused("approval-refused", f"order {approved.order_id} is {status} already")
    if connection.execute(_ON_HOLD, (approved.order_id,)).fetchone() is not None:
        return Refused("approval-refused", "the customer is on hold")
    position = _become(connection, approved.order_id, "APPROVED")
    return Succeeded(OrderApproved(approval_id=f"A-{position}"))


def complete(
    connection: sqlite3.Connection, _: Command, completed: CompleteOrder
) -> Succeeded[OrderCompleted] | Refused:
    status = _status(connection, completed.order_id)
    if status != "APPROVED":
        return Refused("not-approved", f"order {completed.order_id} is {status}, not APPROVED")
    _become(connection, completed.order_id, "COMPLETED")
    return Succeeded(OrderCompleted())


def cancel(
    connection: sqlite3.Connection, _: Command, cancelled: CancelOrder
) -> Succeeded[OrderCancelled] | Refused:
    status = _status(connection, cancelled.order_id)
    if status is None:
        return Refused("unknown-order", f"there is no order {cancelled.order_id}")
    if status not in ("CREATED", "APPROVED"):
        return Refused("already-ended", f"order {cancelled.order_id} is {status} already")
    _become(connection, cancelled.order_id, cancelled.status, reason=cancelled.reason)
    return Succeeded(OrderCancelled(status=cancelled.status))


def _status(connection: sqlite3.Connection, order_id: str) -> str | None:
    row = connection.execute("SELECT status FROM placed_order WHERE order_id = ?", (order_id,)).fetchone()
    return None if row is None else str(row[0])


def _become(
    connection: sqlite3.Connection, order_id: str, status: OrderStatus, *, reason: str | None = None
) -> int:
    connection.execute(
        "UPDATE placed_order SET status = ?, reason = ? WHERE order_id = ?", (status, reason, order_id)
    )
    cursor = connection.execute("INSERT INTO transition (order_id, status) VALUES (?, ?)", (order_id, status))
    return cursor.lastrowid or 0


def state(connection: sqlite3.Connection) -> dict[str, object]:
    transitions = connection.execute("SELECT order_id, status FROM transition ORDER BY position")
    return {
        "orders": _orders(connection),
        "transitions": [{"order_id": row[0], "status": row[1]} for row in transitions],
    }


def _orders(connection: sqlite3.Connection, *, order_id: str | None = None) -> list[dict[str, object]]:
    rows = connection.execute(
        "SELECT order_id, status, reason, document FROM placed_order "
        "WHERE ? IS NULL OR order_id = ? ORDER BY order_id",
        (order_id, order_id),
    )
    return [
        {"order_id": row[0], "status": row[1], "reason": row[2], "order": msgspec.Raw(row[3])} for row in rows
    ]


def routes(application: web.Application, database: Database) -> None:
    """Placing and reading orders: plain REST, for the shop's own customers."""

    async def place_one(request: web.Request) -> web.Response:
        try:
            order = await read_json(request, Order)
        except ValueError as error:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        status = await database.run(lambda connection: place(connection, order))
        if status == HTTPStatus.CONFLICT:
            return problem(status, f"there is another order {order.order_id[:100]}", code="order-differs")
        return json_response({"order_id": order.order_id}, status=status)

    async def all_orders(_: web.Request) -> web.Response:
        return json_response(await database.run(_orders))

    async def one_order(request: web.Request) -> web.Response:
        wanted = request.match_info["order_id"]
        found = await database.run(lambda connection: _orders(connection, order_id=wanted))
        if not found:
            return problem(HTTPStatus.NOT_FOUND, f"there is no order {wanted[:100]}", code="unknown-order")
        return json_response(found[0])

    application.router.add_post("/orders", place_one)
    application.router.add_get("/orders", all_orders)
    application.router.add_get("/orders/{order_id}", one_order)


SERVICE = Service(
    name="order-service",
    key="order_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("approve-order", ApproveOrder, approve),
        do("complete-order", CompleteOrder, complete),
        undo_only("cancel-order", CancelOrder, cancel),
    ),
    declined={
        "approve-order": "approval-refused",
        "complete-order": "declined",
        "cancel-order": "declined",
    },
    state=state,
    routes=routes,
    creates="/orders",
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
