"""The inventory service: what lies on the shelf, and what of it is reserved for which order.

Rules:
- A reservation takes all items of an order off the shelf, or none; a release puts them back.
- That a command acts once is the barrier's work, not this module's: `reserve` would reserve twice if it were asked
  twice. The demo's checks count on that.
"""

import sqlite3
import sys

import msgspec

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.fulfilment.messages import DECLINED, Item, ReleaseInventory, ReserveInventory, Success
from examples.fulfilment.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS product (
    sku     TEXT PRIMARY KEY,
    initial INTEGER NOT NULL,
    on_hand INTEGER NOT NULL CHECK (on_hand >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS reservation (
    reservation_id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id       TEXT NOT NULL,
    items          BLOB NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('reserved', 'released'))
) STRICT;
CREATE INDEX IF NOT EXISTS reservation_by_order ON reservation (order_id, state);
"""
_TO_RELEASE = """
SELECT reservation_id, items FROM reservation
WHERE order_id = ? AND state = 'reserved' AND (? IS NULL OR 'R-' || reservation_id = ?)
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO product (sku, initial, on_hand) VALUES (?, ?, ?)",
        [(product.sku, product.on_hand, product.on_hand) for product in seed.products],
    )


def reserve(
    connection: sqlite3.Connection, _: Command, wanted: ReserveInventory
) -> Succeeded[Success] | Refused:
    for item in wanted.items:
        row = connection.execute("SELECT on_hand FROM product WHERE sku = ?", (item.sku,)).fetchone()
        if row is None or row[0] < item.quantity:
            available = 0 if row is None else row[0]
            return Refused(
                DECLINED, f"out of stock: {item.quantity} of {item.sku} wanted, {available} available"
            )
        _move(connection, item, pieces=-item.quantity)
    cursor = connection.execute(
        "INSERT INTO reservation (order_id, items, state) VALUES (?, ?, 'reserved')",
        (wanted.order_id, msgspec.json.encode(wanted.items)),
    )
    return Succeeded(Success(reference=f"R-{cursor.lastrowid}"))


def release(
    connection: sqlite3.Connection, _: Command, released: ReleaseInventory
) -> Succeeded[Success] | Refused:
    key = (released.order_id, released.reference, released.reference)
    for reservation_id, items in connection.execute(_TO_RELEASE, key).fetchall():
        connection.execute(
            "UPDATE reservation SET state = 'released' WHERE reservation_id = ?", (reservation_id,)
        )
        for item in msgspec.json.decode(items, type=tuple[Item, ...]):
            _move(connection, item, pieces=item.quantity)
    return Succeeded(Success())


def _move(connection: sqlite3.Connection, item: Item, *, pieces: int) -> None:
    connection.execute("UPDATE product SET on_hand = on_hand + ? WHERE sku = ?", (pieces, item.sku))


def state(connection: sqlite3.Connection) -> dict[str, object]:
    products = connection.execute("SELECT sku, initial, on_hand FROM product ORDER BY sku")
    reservations = connection.execute(
        "SELECT reservation_id, order_id, items, state FROM reservation ORDER BY reservation_id"
    )
    return {
        "products": [{"sku": row[0], "initial": row[1], "on_hand": row[2]} for row in products],
        "reservations": [
            {"reference": f"R-{row[0]}", "order_id": row[1], "items": msgspec.Raw(row[2]), "state": row[3]}
            for row in reservations
        ],
    }


SERVICE = Service(
    name="inventory-service",
    key="order_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("ReserveInventory", ReserveInventory, reserve),
        undo("ReleaseInventory", ReleaseInventory, release),
    ),
    declined={"ReserveInventory": DECLINED, "ReleaseInventory": DECLINED},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
