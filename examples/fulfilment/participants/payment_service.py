"""The payment service: accounts, and every movement on them.

Rules:
- Movements are only ever added: a refund is a movement of its own and names the payment that it gives back.
- Sums are kept in cents, as integers; on the wire they are strings with two decimals.
- That a command acts once is the barrier's work: `pay` would take the money twice if it were asked twice.
"""

import sqlite3
import sys

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.fulfilment.messages import DECLINED, ProcessPayment, RefundPayment, Success
from examples.fulfilment.seed import Seed
from examples.running.money import from_cents, to_cents
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
    order_id    TEXT NOT NULL,
    account     TEXT NOT NULL REFERENCES account (account),
    cents       INTEGER NOT NULL,
    gives_back  INTEGER REFERENCES movement (movement_id)
) STRICT;
CREATE INDEX IF NOT EXISTS movement_by_order ON movement (order_id);
"""
_MOVE = "INSERT INTO movement (kind, order_id, account, cents, gives_back) VALUES (?, ?, ?, ?, ?)"
_TO_REFUND = """
SELECT movement_id, account, cents FROM movement AS payment
WHERE kind = 'payment' AND order_id = ? AND (? IS NULL OR 'P-' || movement_id = ?)
AND NOT EXISTS (SELECT 1 FROM movement WHERE gives_back = payment.movement_id)
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO account (account, initial, balance) VALUES (?, ?, ?)",
        [
            (account.account, to_cents(account.balance), to_cents(account.balance))
            for account in seed.accounts
        ],
    )


def pay(connection: sqlite3.Connection, _: Command, wanted: ProcessPayment) -> Succeeded[Success] | Refused:
    row = connection.execute("SELECT balance FROM account WHERE account = ?", (wanted.account,)).fetchone()
    if row is None:
        return Refused(DECLINED, f"there is no account {wanted.account}")
    cents = to_cents(wanted.amount)
    if row[0] < cents:
        return Refused(DECLINED, f"insufficient funds: {wanted.amount} wanted of {wanted.account}")
    connection.execute("UPDATE account SET balance = balance - ? WHERE account = ?", (cents, wanted.account))
    cursor = connection.execute(_MOVE, ("payment", wanted.order_id, wanted.account, cents, None))
    return Succeeded(Success(reference=f"P-{cursor.lastrowid}"))


def refund(connection: sqlite3.Connection, _: Command, back: RefundPayment) -> Succeeded[Success] | Refused:
    key = (back.order_id, back.reference, back.reference)
    for movement_id, account, cents in connection.execute(_TO_REFUND, key).fetchall():
        connection.execute("UPDATE account SET balance = balance + ? WHERE account = ?", (cents, account))
        connection.execute(_MOVE, ("refund", back.order_id, account, cents, movement_id))
    return Succeeded(Success())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    accounts = connection.execute("SELECT account, initial, balance FROM account ORDER BY account")
    movements = connection.execute(
        "SELECT movement_id, kind, order_id, account, cents FROM movement ORDER BY movement_id"
    )
    return {
        "accounts": [
            {"account": row[0], "initial": from_cents(row[1]), "balance": from_cents(row[2])}
            for row in accounts
        ],
        "movements": [
            {
                "reference": f"P-{row[0]}",
                "kind": row[1],
                "order_id": row[2],
                "account": row[3],
                "amount": from_cents(row[4]),
            }
            for row in movements
        ],
    }


SERVICE = Service(
    name="payment-service",
    key="order_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("ProcessPayment", ProcessPayment, pay), undo("RefundPayment", RefundPayment, refund)
    ),
    declined={"ProcessPayment": DECLINED, "RefundPayment": DECLINED},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
