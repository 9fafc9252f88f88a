"""The product service: stock on the shelf, and what of it is set aside for which order.

Rules:
- A reservation goes reserved -> confirmed -> taken, or back to released; what is reserved or confirmed is not available
  to others; only `take-stock` changes what lies on the shelf.
- That a command acts once is the barrier's work, not this module's: `reserve` would set aside twice if it were asked
  twice. The demo's checks count on that.
"""

import sqlite3
import sys

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.order.messages import (
    ConfirmStock,
    ReleaseStock,
    ReserveStock,
    StockConfirmed,
    StockReleased,
    StockReserved,
    StockTaken,
    StockUnconfirmed,
    TakeStock,
    UnconfirmStock,
)
from examples.order.seed import Seed
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
    sku            TEXT NOT NULL REFERENCES product (sku),
    quantity       INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('reserved', 'confirmed', 'taken', 'released'))
) STRICT;
CREATE INDEX IF NOT EXISTS reservation_by_order ON reservation (order_id, sku);
CREATE INDEX IF NOT EXISTS reservation_by_sku ON reservation (sku, state);
"""
_AVAILABLE = """
SELECT on_hand - (SELECT coalesce(sum(quantity), 0) FROM reservation
                  WHERE sku = product.sku AND state IN ('reserved', 'confirmed'))
FROM product WHERE sku = ?
"""
_MOVE = "UPDATE reservation SET state = ? WHERE order_id = ? AND sku = ? AND state = ?"


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO product (sku, initial, on_hand) VALUES (?, ?, ?)",
        [(product.sku, product.on_hand, product.on_hand) for product in seed.products],
    )


def reserve(
    connection: sqlite3.Connection, _: Command, wanted: ReserveStock
) -> Succeeded[StockReserved] | Refused:
    row = connection.execute(_AVAILABLE, (wanted.sku,)).fetchone()
    if row is None:
        return Refused("unknown-sku", f"there is no product {wanted.sku}")
    if row[0] < wanted.quantity:
        return Refused("out-of-stock", f"{wanted.quantity} of {wanted.sku} wanted, {row[0]} available")
    cursor = connection.execute(
        "INSERT INTO reservation (order_id, sku, quantity, state) VALUES (?, ?, ?, 'reserved')",
        (wanted.order_id, wanted.sku, wanted.quantity),
    )
    return Succeeded(StockReserved(reservation_id=f"R-{cursor.lastrowid}"))


def release(
    connection: sqlite3.Connection, _: Command, released: ReleaseStock
) -> Succeeded[StockReleased] | Refused:
    connection.execute(
        "UPDATE reservation SET state = 'released' WHERE order_id = ? AND sku = ? AND state <> 'taken' "
        "AND (? IS NULL OR 'R-' || reservation_id = ?)",
        (released.order_id, released.sku, released.reservation_id, released.reservation_id),
    )
    return Succeeded(StockReleased())


def confirm(
    connection: sqlite3.Connection, _: Command, confirmed: ConfirmStock
) -> Succeeded[StockConfirmed] | Refused:
    if not _move(connection, confirmed.order_id, confirmed.sku, before="reserved", after="confirmed"):
        return Refused("not-reserved", f"{confirmed.sku} is not reserved for order {confirmed.order_id}")
    return Succeeded(StockConfirmed())


def unconfirm(
    connection: sqlite3.Connection, _: Command, unconfirmed: UnconfirmStock
) -> Succeeded[StockUnconfirmed] | Refused:
    _move(connection, unconfirmed.order_id, unconfirmed.sku, before="confirmed", after="reserved")
    return Succeeded(StockUnconfirmed())


def take(connection: sqlite3.Connection, _: Command, taken: TakeStock) -> Succeeded[StockTaken] | Refused:
    (quantity,) = connection.execute(
        "SELECT coalesce(sum(quantity), 0) FROM reservation WHERE order_id = ? AND sku = ? AND state = 'confirmed'",
        (taken.order_id, taken.sku),
    ).fetchone()
    if not _move(connection, taken.order_id, taken.sku, before="confirmed", after="taken"):
        return Refused("not-confirmed", f"{taken.sku} is not confirmed for order {taken.order_id}")
    connection.execute("UPDATE product SET on_hand = on_hand - ? WHERE sku = ?", (quantity, taken.sku))
    (on_hand,) = connection.execute("SELECT on_hand FROM product WHERE sku = ?", (taken.sku,)).fetchone()
    return Succeeded(StockTaken(on_hand=on_hand))


def _move(connection: sqlite3.Connection, order_id: str, sku: str, *, before: str, after: str) -> bool:
    return connection.execute(_MOVE, (after, order_id, sku, before)).rowcount > 0


def state(connection: sqlite3.Connection) -> dict[str, object]:
    products = connection.execute("SELECT sku, initial, on_hand FROM product ORDER BY sku")
    reservations = connection.execute(
        "SELECT reservation_id, order_id, sku, quantity, state FROM reservation ORDER BY reservation_id"
    )
    return {
        "products": [{"sku": row[0], "initial": row[1], "on_hand": row[2]} for row in products],
        "reservations": [
            {
                "reservation_id": f"R-{row[0]}",
                "order_id": row[1],
                "sku": row[2],
                "quantity": row[3],
                "state": row[4],
            }
            for row in reservations
        ],
    }


SERVICE = Service(
    name="product-service",
    key="order_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("reserve-stock", ReserveStock, reserve),
        undo("release-stock", ReleaseStock, release),
        do("confirm-stock", ConfirmStock, confirm),
        undo("unconfirm-stock", UnconfirmStock, unconfirm),
        do("take-stock", TakeStock, take),
    ),
    declined={
        "reserve-stock": "out-of-stock",
        "release-stock": "declined",
        "confirm-stock": "not-reserved",
        "unconfirm-stock": "declined",
        "take-stock": "declined",
    },
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
