"""The product service: what can be booked, at which price, and what of it is reserved for which booking.

Rules:
- A reservation is kept until it is released; what is reserved cannot be booked by others. It costs pieces x price, as
  the price was when it was made.
- That a command acts once is the barrier's work, not this module's: `reserve` would reserve twice if it were asked
  twice. The demo's checks count on that.
"""

import sqlite3
import sys
from decimal import Decimal

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.booking.messages import ProductReserved, ReleaseStock, RequestStock, StockReleased
from examples.booking.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS product (
    product_id TEXT PRIMARY KEY,
    capacity   INTEGER NOT NULL,
    free       INTEGER NOT NULL CHECK (free >= 0),
    price      TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS reservation (
    reservation_id INTEGER PRIMARY KEY AUTOINCREMENT,
    booking_id     TEXT NOT NULL,
    product_id     TEXT NOT NULL REFERENCES product (product_id),
    quantity       INTEGER NOT NULL,
    price          TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('reserved', 'released'))
) STRICT;
CREATE INDEX IF NOT EXISTS reservation_by_booking ON reservation (booking_id, product_id);
"""
_RESERVE = """
INSERT INTO reservation (booking_id, product_id, quantity, price, state) VALUES (?, ?, ?, ?, 'reserved')
"""
_OPEN = """
SELECT reservation_id, quantity FROM reservation
WHERE booking_id = ? AND product_id = ? AND state = 'reserved' AND (? IS NULL OR 'R-' || reservation_id = ?)
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO product (product_id, capacity, free, price) VALUES (?, ?, ?, ?)",
        [
            (product.product_id, product.capacity, product.capacity, str(product.price))
            for product in seed.products
        ],
    )


def reserve(
    connection: sqlite3.Connection, _: Command, wanted: RequestStock
) -> Succeeded[ProductReserved] | Refused:
    row = connection.execute(
        "SELECT free, price FROM product WHERE product_id = ?", (wanted.product_id,)
    ).fetchone()
    if row is None:
        return Refused("unknown-product", f"there is no product {wanted.product_id}")
    if row[0] < wanted.quantity:
        return Refused("out-of-stock", f"{wanted.quantity} of {wanted.product_id} wanted, {row[0]} free")
    price = Decimal(row[1]) * wanted.quantity
    connection.execute(
        "UPDATE product SET free = free - ? WHERE product_id = ?", (wanted.quantity, wanted.product_id)
    )
    cursor = connection.execute(_RESERVE, (wanted.booking_id, wanted.product_id, wanted.quantity, str(price)))
    return Succeeded(ProductReserved(reservation_id=f"R-{cursor.lastrowid}", price=price))


def release(
    connection: sqlite3.Connection, _: Command, released: ReleaseStock
) -> Succeeded[StockReleased] | Refused:
    key = (released.booking_id, released.product_id, released.reservation_id, released.reservation_id)
    for reservation_id, quantity in connection.execute(_OPEN, key).fetchall():
        connection.execute(
            "UPDATE reservation SET state = 'released' WHERE reservation_id = ?", (reservation_id,)
        )
        connection.execute(
            "UPDATE product SET free = free + ? WHERE product_id = ?", (quantity, released.product_id)
        )
    return Succeeded(StockReleased())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    products = connection.execute("SELECT product_id, capacity, free, price FROM product ORDER BY product_id")
    reservations = connection.execute(
        "SELECT reservation_id, booking_id, product_id, quantity, price, state FROM reservation "
        "ORDER BY reservation_id"
    )
    return {
        "products": [
            {"productId": row[0], "capacity": row[1], "free": row[2], "price": row[3]} for row in products
        ],
        "reservations": [
            {
                "reservationId": f"R-{row[0]}",
                "bookingId": row[1],
                "productId": row[2],
                "quantity": row[3],
                "price": row[4],
                "state": row[5],
            }
            for row in reservations
        ],
    }


SERVICE = Service(
    name="product-service",
    key="bookingId",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("request-stock", RequestStock, reserve), undo("release-stock", ReleaseStock, release)
    ),
    declined={"request-stock": "out-of-stock", "release-stock": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
