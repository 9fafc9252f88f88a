"""The reservations service: what customers have reserved, and how it ended.

Rules:
- A reservation is OPEN, then CONFIRMED or in the status that names why it was not; every change of status is kept.
- Customers who are barred open none; a reservation of a customer on hold is not confirmed.
- That a command acts once is the barrier's work: a second `open` would write a second transition.
"""

import sqlite3
import sys

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.reservation.messages import (
    CancelReservation,
    ConfirmReservation,
    OpenReservation,
    ReservationCancelled,
    ReservationConfirmed,
    ReservationOpened,
)
from examples.reservation.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS reservation (
    reservation_id TEXT PRIMARY KEY,
    customer       TEXT NOT NULL,
    status         TEXT NOT NULL,
    reason         TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE IF NOT EXISTS transition (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    reservation_id TEXT NOT NULL REFERENCES reservation (reservation_id),
    status         TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS customer (
    customer TEXT PRIMARY KEY,
    standing TEXT NOT NULL CHECK (standing IN ('barred', 'on-hold'))
) STRICT;
"""
_STANDING = "SELECT standing FROM customer WHERE customer = ?"
_OPEN = """
INSERT INTO reservation (reservation_id, customer, status) VALUES (?, ?, 'OPEN')
ON CONFLICT (reservation_id) DO UPDATE SET status = 'OPEN'
"""
_FOUND = """
SELECT status, standing FROM reservation LEFT JOIN customer USING (customer) WHERE reservation_id = ?
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    rows = [(name, "barred") for name in seed.barred] + [(name, "on-hold") for name in seed.on_hold]
    connection.executemany("INSERT INTO customer (customer, standing) VALUES (?, ?)", rows)


def open_reservation(
    connection: sqlite3.Connection, _: Command, opened: OpenReservation
) -> Succeeded[ReservationOpened] | Refused:
    if connection.execute(_STANDING, (opened.customer,)).fetchone() == ("barred",):
        return Refused("customer-barred", f"{opened.customer} cannot reserve")
    connection.execute(_OPEN, (opened.reservation_id, opened.customer))
    _note(connection, opened.reservation_id, "OPEN")
    return Succeeded(ReservationOpened())


def cancel(
    connection: sqlite3.Connection, _: Command, cancelled: CancelReservation
) -> Succeeded[ReservationCancelled] | Refused:
    connection.execute(
        "UPDATE reservation SET status = ?, reason = ? WHERE reservation_id = ?",
        (cancelled.status, cancelled.reason, cancelled.reservation_id),
    )
    _note(connection, cancelled.reservation_id, cancelled.status)
    return Succeeded(ReservationCancelled())


def confirm(
    connection: sqlite3.Connection, _: Command, confirmed: ConfirmReservation
) -> Succeeded[ReservationConfirmed] | Refused:
    found = connection.execute(_FOUND, (confirmed.reservation_id,)).fetchone()
    if found is None or found[0] != "OPEN":
        return Refused("not-open", f"reservation {confirmed.reservation_id} is not open")
    if found[1] == "on-hold":
        return Refused("confirmation-refused", "the customer is on hold")
    connection.execute(
        "UPDATE reservation SET status = 'CONFIRMED' WHERE reservation_id = ?", (confirmed.reservation_id,)
    )
    position = _note(connection, confirmed.reservation_id, "CONFIRMED")
    return Succeeded(ReservationConfirmed(confirmation_id=f"C-{position}"))


def _note(connection: sqlite3.Connection, reservation_id: str, status: str) -> int:
    cursor = connection.execute(
        "INSERT INTO transition (reservation_id, status) VALUES (?, ?)", (reservation_id, status)
    )
    return cursor.lastrowid or 0


def state(connection: sqlite3.Connection) -> dict[str, object]:
    reservations = connection.execute(
        "SELECT reservation_id, customer, status, reason FROM reservation ORDER BY reservation_id"
    )
    transitions = connection.execute("SELECT reservation_id, status FROM transition ORDER BY position")
    return {
        "reservations": [
            {"reservation_id": row[0], "customer": row[1], "status": row[2], "reason": row[3]}
            for row in reservations
        ],
        "transitions": [{"reservation_id": row[0], "status": row[1]} for row in transitions],
    }


SERVICE = Service(
    name="reservations-service",
    key="reservation_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("open-reservation", OpenReservation, open_reservation),
        undo("cancel-reservation", CancelReservation, cancel),
        do("confirm-reservation", ConfirmReservation, confirm),
    ),
    declined={
        "open-reservation": "customer-barred",
        "cancel-reservation": "declined",
        "confirm-reservation": "confirmation-refused",
    },
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
