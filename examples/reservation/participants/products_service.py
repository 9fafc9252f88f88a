"""The products service: how many pieces there are, and for which reservation some are set aside.

Rules:
- A hold is `held` or `released`; what is held is not available to others.
- `free` and the holds are changed together.
- That a command acts once is the barrier's work: `reserve` would set aside twice if it were asked twice.
"""

import sqlite3
import sys

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.reservation.messages import (
    ProductReleased,
    ProductReserved,
    ReleaseProduct,
    ReserveProduct,
)
from examples.reservation.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS product (
    product TEXT PRIMARY KEY,
    pieces  INTEGER NOT NULL,
    free    INTEGER NOT NULL CHECK (free >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS hold (
    hold_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    reservation_id TEXT NOT NULL,
    product        TEXT NOT NULL REFERENCES product (product),
    quantity       INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('held', 'released'))
) STRICT;
CREATE INDEX IF NOT EXISTS hold_by_reservation ON hold (reservation_id, product);
"""
_RELEASE = """
UPDATE hold SET state = 'released'
WHERE reservation_id = ? AND product = ? AND state = 'held' AND (? IS NULL OR 'H-' || hold_id = ?)
RETURNING quantity
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO product (product, pieces, free) VALUES (?, ?, ?)",
        [(product.product, product.pieces, product.pieces) for product in seed.products],
    )


def reserve(
    connection: sqlite3.Connection, _: Command, wanted: ReserveProduct
) -> Succeeded[ProductReserved] | Refused:
    row = connection.execute("SELECT free FROM product WHERE product = ?", (wanted.product,)).fetchone()
    if row is None:
        return Refused("unknown-product", f"there is no product {wanted.product}")
    if row[0] < wanted.quantity:
        return Refused("out-of-stock", f"{wanted.quantity} of {wanted.product} wanted, {row[0]} free")
    connection.execute(
        "UPDATE product SET free = free - ? WHERE product = ?", (wanted.quantity, wanted.product)
    )
    cursor = connection.execute(
        "INSERT INTO hold (reservation_id, product, quantity, state) VALUES (?, ?, ?, 'held')",
        (wanted.reservation_id, wanted.product, wanted.quantity),
    )
    return Succeeded(ProductReserved(hold_id=f"H-{cursor.lastrowid}"))


def release(
    connection: sqlite3.Connection, _: Command, released: ReleaseProduct
) -> Succeeded[ProductReleased] | Refused:
    key = (released.reservation_id, released.product, released.hold_id, released.hold_id)
    back = sum(quantity for (quantity,) in connection.execute(_RELEASE, key).fetchall())
    connection.execute("UPDATE product SET free = free + ? WHERE product = ?", (back, released.product))
    return Succeeded(ProductReleased())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    products = connection.execute("SELECT product, pieces, free FROM product ORDER BY product")
    holds = connection.execute(
        "SELECT hold_id, reservation_id, product, quantity, state FROM hold ORDER BY hold_id"
    )
    return {
        "products": [{"product": row[0], "pieces": row[1], "free": row[2]} for row in products],
        "holds": [
            {
                "hold_id": f"H-{row[0]}",
                "reservation_id": row[1],
                "product": row[2],
                "quantity": row[3],
                "state": row[4],
            }
            for row in holds
        ],
    }


SERVICE = Service(
    name="products-service",
    key="reservation_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("reserve-product", ReserveProduct, reserve),
        undo("release-product", ReleaseProduct, release),
    ),
    declined={"reserve-product": "out-of-stock", "release-product": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
