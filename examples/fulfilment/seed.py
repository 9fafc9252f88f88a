"""What the three services hold before the first order: stock, accounts, the countries that a carrier delivers to.

Rules: one file for all three, each service takes its own part, once, when its database is new.
"""

from decimal import Decimal

import msgspec

from examples.running.money import money


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product and how many pieces lie on the shelf."""

    sku: str
    on_hand: int


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account that orders are paid from."""

    account: str
    balance: Decimal

    def __post_init__(self) -> None:
        money(self.balance, field="balance")


class Seed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that exists before the first order."""

    products: tuple[Product, ...] = ()
    accounts: tuple[Account, ...] = ()
    countries: tuple[str, ...] = ()
