"""The payment service: accounts, and every movement on them.

Rules:
- Movements are only ever added: a refund is a movement of its own and names the payment that it gives back.
- Sums are kept in cents, as integers; on the wire they are strings with two decimals.
- That a command acts once is the barrier's work: `pay` would take the money twice if it were asked twice.
"""

import sqlite3
import sys
from decimal import Decimal

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.booking.messages import CENT, PaymentCompleted, PaymentRefunded, RefundPayment, RequestPayment
from examples.booking.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    account TEXT PRIMARY KEY,
    initial INTEGER NOT NULL,
    balance INTEGER NOT NULL CHECK (balance >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS movement (
    movement_id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL CHECK (kind IN ('payment', 'refund')),
    booking_id  TEXT NOT NULL,
    account     TEXT NOT NULL REFERENCES account (account),
    cents       INTEGER NOT NULL,
    gives_back  INTEGER REFERENCES movement (movement_id)
) STRICT;
CREATE INDEX IF NOT EXISTS movement_by_booking ON movement (booking_id);
"""
_MOVE = "INSERT INTO movement (kind, booking_id, account, cents, gives_back) VALUES (?, ?, ?, ?, ?)"
_OPEN_PAYMENTS = """
SELECT movement_id, account, cents FROM movement AS payment
WHERE kind = 'payment' AND booking_id = ? AND (? IS NULL OR 'P-' || movement_id = ?)
AND NOT EXISTS (SELECT 1 FROM movement WHERE gives_back = payment.movement_id)
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO account (account, initial, balance) VALUES (?, ?, ?)",
        [(account.account, _cents(account.balance), _cents(account.balance)) for account in seed.accounts],
    )


def pay(
    connection: sqlite3.Connection, _: Command, wanted: RequestPayment
) -> Succeeded[PaymentCompleted] | Refused:
    row = connection.execute("SELECT balance FROM account WHERE account = ?", (wanted.account,)).fetchone()
    if row is None:
        return Refused("unknown-account", f"there is no account {wanted.account}")
    cents = _cents(wanted.total)
    if row[0] < cents:
        return Refused("declined", f"the funds of {wanted.account} do not suffice for {wanted.total}")
    connection.execute("UPDATE account SET balance = balance - ? WHERE account = ?", (cents, wanted.account))
    cursor = connection.execute(_MOVE, ("payment", wanted.booking_id, wanted.account, cents, None))
    return Succeeded(PaymentCompleted(payment_id=f"P-{cursor.lastrowid}"))


def refund(
    connection: sqlite3.Connection, _: Command, back: RefundPayment
) -> Succeeded[PaymentRefunded] | Refused:
    key = (back.booking_id, back.payment_id, back.payment_id)
    for movement_id, account, cents in connection.execute(_OPEN_PAYMENTS, key).fetchall():
        if cents != _cents(back.total):
            return Refused("total-differs", f"{_amount(cents)} was paid, {back.total} is asked back")
        connection.execute("UPDATE account SET balance = balance + ? WHERE account = ?", (cents, account))
        connection.execute(_MOVE, ("refund", back.booking_id, account, cents, movement_id))
    return Succeeded(PaymentRefunded())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    accounts = connection.execute("SELECT account, initial, balance FROM account ORDER BY account")
    movements = connection.execute(
        "SELECT movement_id, kind, booking_id, account, cents FROM movement ORDER BY movement_id"
    )
    return {
        "accounts": [
            {"account": row[0], "initial": _amount(row[1]), "balance": _amount(row[2])} for row in accounts
        ],
        "movements": [
            {
                "movementId": f"P-{row[0]}",
                "kind": row[1],
                "bookingId": row[2],
                "account": row[3],
                "amount": _amount(row[4]),
            }
            for row in movements
        ],
    }


def _cents(amount: Decimal) -> int:
    return int(amount / CENT)


def _amount(cents: int) -> Decimal:
    return cents * CENT


SERVICE = Service(
    name="payment-service",
    key="bookingId",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("request-payment", RequestPayment, pay), undo("refund-payment", RefundPayment, refund)
    ),
    declined={"request-payment": "declined", "refund-payment": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
