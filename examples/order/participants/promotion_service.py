"""The promotion service: coupons, and which order used which.

Rules:
- A coupon takes its percentage off the total, rounded half up to the cent, as often as its `uses` allow; a cancelled
  redemption gives the use back.
- That a command acts once is the barrier's work: `redeem` would use the coupon twice if it were asked twice.
"""

import sqlite3
import sys
from decimal import ROUND_HALF_UP, Decimal

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.order.messages import CancelCoupon, CouponCancelled, CouponRedeemed, RedeemCoupon
from examples.order.seed import Seed
from examples.running.money import CENT
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS coupon (
    code    TEXT PRIMARY KEY,
    percent INTEGER NOT NULL,
    uses    INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    used    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS redemption (
    redemption_id INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id      TEXT NOT NULL,
    code          TEXT NOT NULL REFERENCES coupon (code),
    discount      TEXT NOT NULL,
    total         TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('redeemed', 'cancelled'))
) STRICT;
CREATE INDEX IF NOT EXISTS redemption_by_order ON redemption (order_id, code);
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO coupon (code, percent, uses, expired) VALUES (?, ?, ?, ?)",
        [(coupon.code, coupon.percent, coupon.uses, coupon.expired) for coupon in seed.coupons],
    )


def redeem(
    connection: sqlite3.Connection, _: Command, wanted: RedeemCoupon
) -> Succeeded[CouponRedeemed] | Refused:
    row = connection.execute(
        "SELECT percent, expired, used >= uses FROM coupon WHERE code = ?", (wanted.code,)
    ).fetchone()
    match row:
        case None:
            return Refused("coupon-unknown", f"there is no coupon {wanted.code}")
        case _, 1, _:
            return Refused("coupon-expired", f"the coupon {wanted.code} has expired")
        case _, _, 1:
            return Refused("coupon-used-up", f"the coupon {wanted.code} is used up")
        case _:
            pass
    discount = (wanted.total * row[0] / 100).quantize(CENT, rounding=ROUND_HALF_UP)
    total = wanted.total - discount
    connection.execute("UPDATE coupon SET used = used + 1 WHERE code = ?", (wanted.code,))
    cursor = connection.execute(
        "INSERT INTO redemption (order_id, code, discount, total, state) VALUES (?, ?, ?, ?, 'redeemed')",
        (wanted.order_id, wanted.code, str(discount), str(total)),
    )
    return Succeeded(CouponRedeemed(redemption_id=f"D-{cursor.lastrowid}", discount=discount, total=total))


def cancel(
    connection: sqlite3.Connection, _: Command, cancelled: CancelCoupon
) -> Succeeded[CouponCancelled] | Refused:
    given_back = connection.execute(
        "UPDATE redemption SET state = 'cancelled' WHERE order_id = ? AND code = ? AND state = 'redeemed' "
        "AND (? IS NULL OR 'D-' || redemption_id = ?)",
        (cancelled.order_id, cancelled.code, cancelled.redemption_id, cancelled.redemption_id),
    ).rowcount
    connection.execute("UPDATE coupon SET used = used - ? WHERE code = ?", (given_back, cancelled.code))
    return Succeeded(CouponCancelled())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    coupons = connection.execute("SELECT code, uses, used FROM coupon ORDER BY code")
    redemptions = connection.execute(
        "SELECT redemption_id, order_id, code, discount, total, state FROM redemption ORDER BY redemption_id"
    )
    return {
        "coupons": [{"code": row[0], "uses": row[1], "used": row[2]} for row in coupons],
        "redemptions": [
            {
                "redemption_id": f"D-{row[0]}",
                "order_id": row[1],
                "code": row[2],
                "discount": Decimal(row[3]),
                "total": Decimal(row[4]),
                "state": row[5],
            }
            for row in redemptions
        ],
    }


SERVICE = Service(
    name="promotion-service",
    key="order_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("redeem-coupon", RedeemCoupon, redeem),
        undo("cancel-coupon", CancelCoupon, cancel),
    ),
    declined={"redeem-coupon": "coupon-used-up", "cancel-coupon": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
