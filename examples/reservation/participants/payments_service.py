"""The payments service: accounts, and every movement on them.

Rules:
- Movements are only ever added: a refund is a movement of its own and names the charge that it gives back.
- Sums are kept in cents, as integers; on the wire they are strings with two decimals.
- That a command acts once is the barrier's work: `charge` would charge twice if it were asked twice.
"""

import sqlite3
import sys

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.reservation.messages import Charge, Charged, Refund, Refunded
from examples.reservation.seed import Seed
from examples.running.money import from_cents, to_cents
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    account TEXT PRIMARY KEY,
    initial INTEGER NOT NULL,
    balance INTEGER NOT NULL CHECK (balance >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS movement (
    movement_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind           TEXT NOT NULL CHECK (kind IN ('charge', 'refund')),
    reservation_id TEXT NOT NULL,
    account        TEXT NOT NULL REFERENCES account (account),
    cents          INTEGER NOT NULL,
    gives_back     INTEGER REFERENCES movement (movement_id)
) STRICT;
CREATE INDEX IF NOT EXISTS movement_by_reservation ON movement (reservation_id, account);
"""
_MOVE = "INSERT INTO movement (kind, reservation_id, account, cents, gives_back) VALUES (?, ?, ?, ?, ?)"
_OPEN_CHARGES = """
SELECT movement_id, cents FROM movement AS charge
WHERE kind = 'charge' AND reservation_id = ? AND account = ? AND (? IS NULL OR 'P-' || movement_id = ?)
AND NOT EXISTS (SELECT 1 FROM movement WHERE gives_back = charge.movement_id)
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO account (account, initial, balance) VALUES (?, ?, ?)",
        [
            (account.account, to_cents(account.balance), to_cents(account.balance))
            for account in seed.accounts
        ],
    )


def charge(connection: sqlite3.Connection, _: Command, wanted: Charge) -> Succeeded[Charged] | Refused:
    row = connection.execute("SELECT balance FROM account WHERE account = ?", (wanted.account,)).fetchone()
    if row is None:
        return Refused("unknown-account", f"there is no account {wanted.account}")
    cents = to_cents(wanted.amount)
    if row[0] < cents:
        return Refused("declined", f"the funds of {wanted.account} do not suffice for {wanted.amount}")
    connection.execute("UPDATE account SET balance = balance - ? WHERE account = ?", (cents, wanted.account))
    cursor = connection.execute(_MOVE, ("charge", wanted.reservation_id, wanted.account, cents, None))
    return Succeeded(Charged(payment_id=f"P-{cursor.lastrowid}"))


def refund(connection: sqlite3.Connection, _: Command, back: Refund) -> Succeeded[Refunded] | Refused:
    key = (back.reservation_id, back.account, back.payment_id, back.payment_id)
    for movement_id, cents in connection.execute(_OPEN_CHARGES, key).fetchall():
        if cents != to_cents(back.amount):
            return Refused("amount-differs", f"{from_cents(cents)} was charged, {back.amount} is asked back")
        connection.execute(
            "UPDATE account SET balance = balance + ? WHERE account = ?", (cents, back.account)
        )
        connection.execute(_MOVE, ("refund", back.reservation_id, back.account, cents, movement_id))
    return Succeeded(Refunded())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    accounts = connection.execute("SELECT account, initial, balance FROM account ORDER BY account")
    movements = connection.execute(
        "SELECT movement_id, kind, reservation_id, account, cents FROM movement ORDER BY movement_id"
    )
    return {
        "accounts": [
            {"account": row[0], "initial": from_cents(row[1]), "balance": from_cents(row[2])}
            for row in accounts
        ],
        "movements": [
            {
                "movement_id": f"P-{row[0]}",
                "kind": row[1],
                "reservation_id": row[2],
                "account": row[3],
                "amount": from_cents(row[4]),
            }
            for row in movements
        ],
    }


SERVICE = Service(
    name="payments-service",
    key="reservation_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(do("charge", Charge, charge), undo("refund", Refund, refund)),
    declined={"charge": "declined", "refund": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
