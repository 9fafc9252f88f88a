"""What the three services hold before the first booking: products with their prices, accounts.

Rules: one file for all three, each service takes its own part, once, when its database is new.
"""

from decimal import Decimal

import msgspec

from examples.booking.messages import money


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """So many pieces of a product can be booked, each at this price."""

    product_id: str
    capacity: int
    price: Decimal

    def __post_init__(self) -> None:
        money(self.price, field="price")


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account that bookings are paid from."""

    account: str
    balance: Decimal

    def __post_init__(self) -> None:
        money(self.balance, field="balance")


class Seed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that exists before the first booking."""

    products: tuple[Product, ...] = ()
    accounts: tuple[Account, ...] = ()
