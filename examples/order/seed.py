"""What the four services hold before the first order: stock, coupons, accounts, customers on hold.

Rules: one file for all four, each service takes its own part, once, when its database is new.
"""

from decimal import Decimal

import msgspec

from examples.running.money import money, positive


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product and how many pieces lie on the shelf."""

    sku: str
    on_hand: int


class Coupon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A coupon takes `percent` off the total, at most `uses` times; an expired one never."""

    code: str
    percent: int
    uses: int
    expired: bool = False

    def __post_init__(self) -> None:
        positive(self.percent, field="percent")
        if self.percent > 100:
            message = "percent must be 100 or less"
            raise ValueError(message)


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account that orders are charged to."""

    account: str
    balance: Decimal

    def __post_init__(self) -> None:
        money(self.balance, field="balance")


class Seed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that exists before the first order."""

    products: tuple[Product, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    accounts: tuple[Account, ...] = ()
    customers_on_hold: tuple[str, ...] = ()
