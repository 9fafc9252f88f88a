"""The discounts service: discount codes, and which acceptance used which.

Rules:
- A code takes its percentage off the price, rounded half up to the cent, as often as its `uses` allow; a redemption
  that was given back gives the use back.
- That a command acts once is the barrier's work: `apply` would use the code twice if it were asked twice.
"""

import sqlite3
import sys
from decimal import ROUND_HALF_UP, Decimal

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.offer.messages import ApplyCode, CodeApplied, CodeGivenBack, GiveBackCode
from examples.offer.seed import Seed
from examples.running.money import CENT
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS code (
    code    TEXT PRIMARY KEY,
    percent INTEGER NOT NULL,
    uses    INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    used    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS redemption (
    redemption_id INTEGER PRIMARY KEY AUTOINCREMENT,
    acceptance_id TEXT NOT NULL,
    code          TEXT NOT NULL REFERENCES code (code),
    discount      TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('used', 'given-back'))
) STRICT;
CREATE INDEX IF NOT EXISTS redemption_by_acceptance ON redemption (acceptance_id, code);
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO code (code, percent, uses, expired) VALUES (?, ?, ?, ?)",
        [(code.code, code.percent, code.uses, code.expired) for code in seed.codes],
    )


def apply(connection: sqlite3.Connection, _: Command, wanted: ApplyCode) -> Succeeded[CodeApplied] | Refused:
    row = connection.execute(
        "SELECT percent, expired, used >= uses FROM code WHERE code = ?", (wanted.code,)
    ).fetchone()
    match row:
        case None:
            return Refused("code-unknown", f"there is no code {wanted.code}")
        case _, 1, _:
            return Refused("code-expired", f"the code {wanted.code} has expired")
        case _, _, 1:
            return Refused("code-used", f"the code {wanted.code} was used already")
        case _:
            pass
    discount = (wanted.price * row[0] / 100).quantize(CENT, rounding=ROUND_HALF_UP)
    connection.execute("UPDATE code SET used = used + 1 WHERE code = ?", (wanted.code,))
    cursor = connection.execute(
        "INSERT INTO redemption (acceptance_id, code, discount, state) VALUES (?, ?, ?, 'used')",
        (wanted.acceptance_id, wanted.code, str(discount)),
    )
    price = wanted.price - discount
    return Succeeded(CodeApplied(redemption_id=f"D-{cursor.lastrowid}", discount=discount, price=price))


def give_back(
    connection: sqlite3.Connection, _: Command, back: GiveBackCode
) -> Succeeded[CodeGivenBack] | Refused:
    given_back = connection.execute(
        "UPDATE redemption SET state = 'given-back' WHERE acceptance_id = ? AND code = ? AND state = 'used' "
        "AND (? IS NULL OR 'D-' || redemption_id = ?)",
        (back.acceptance_id, back.code, back.redemption_id, back.redemption_id),
    ).rowcount
    connection.execute("UPDATE code SET used = used - ? WHERE code = ?", (given_back, back.code))
    return Succeeded(CodeGivenBack())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    codes = connection.execute("SELECT code, uses, used FROM code ORDER BY code")
    redemptions = connection.execute(
        "SELECT redemption_id, acceptance_id, code, discount, state FROM redemption ORDER BY redemption_id"
    )
    return {
        "codes": [{"code": row[0], "uses": row[1], "used": row[2]} for row in codes],
        "redemptions": [
            {
                "redemption_id": f"D-{row[0]}",
                "acceptance_id": row[1],
                "code": row[2],
                "discount": Decimal(row[3]),
                "state": row[4],
            }
            for row in redemptions
        ],
    }


SERVICE = Service(
    name="discounts-service",
    key="acceptance_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("apply-code", ApplyCode, apply),
        undo("give-back-code", GiveBackCode, give_back),
    ),
    declined={"apply-code": "code-used", "give-back-code": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
