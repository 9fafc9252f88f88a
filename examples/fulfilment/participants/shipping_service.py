"""The shipping service: which parcel was handed to a carrier, and which was called back.

Rules:
- A carrier delivers to the countries that the seed names; a parcel goes shipped -> called back.
- That a command acts once is the barrier's work: `ship` would ship twice if it were asked twice.
"""

import sqlite3
import sys

import msgspec

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.fulfilment.messages import DECLINED, CancelShipment, ShipOrder, Success
from examples.fulfilment.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS country (country TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shipment (
    shipment_id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id    TEXT NOT NULL,
    country     TEXT NOT NULL REFERENCES country (country),
    items       BLOB NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('shipped', 'called-back'))
) STRICT;
CREATE INDEX IF NOT EXISTS shipment_by_order ON shipment (order_id, state);
"""
_CALL_BACK = """
UPDATE shipment SET state = 'called-back'
WHERE order_id = ? AND state = 'shipped' AND (? IS NULL OR 'S-' || shipment_id = ?)
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO country (country) VALUES (?)", [(country,) for country in seed.countries]
    )


def ship(connection: sqlite3.Connection, _: Command, wanted: ShipOrder) -> Succeeded[Success] | Refused:
    found = connection.execute("SELECT 1 FROM country WHERE country = ?", (wanted.country,)).fetchone()
    if found is None:
        return Refused(DECLINED, f"no carrier delivers to {wanted.country}")
    cursor = connection.execute(
        "INSERT INTO shipment (order_id, country, items, state) VALUES (?, ?, ?, 'shipped')",
        (wanted.order_id, wanted.country, msgspec.json.encode(wanted.items)),
    )
    return Succeeded(Success(reference=f"S-{cursor.lastrowid}"))


def cancel(
    connection: sqlite3.Connection, _: Command, cancelled: CancelShipment
) -> Succeeded[Success] | Refused:
    connection.execute(_CALL_BACK, (cancelled.order_id, cancelled.reference, cancelled.reference))
    return Succeeded(Success())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    shipments = connection.execute(
        "SELECT shipment_id, order_id, items, state FROM shipment ORDER BY shipment_id"
    )
    return {
        "shipments": [
            {"reference": f"S-{row[0]}", "order_id": row[1], "items": msgspec.Raw(row[2]), "state": row[3]}
            for row in shipments
        ]
    }


SERVICE = Service(
    name="shipping-service",
    key="order_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(do("ShipOrder", ShipOrder, ship), undo("CancelShipment", CancelShipment, cancel)),
    declined={"ShipOrder": DECLINED, "CancelShipment": DECLINED},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
