"""What the three services hold before the first reservation: barred and unreliable customers, stock, accounts.

Rules: one file for all three, each service takes its own part, once, when its database is new.
"""

from decimal import Decimal

import msgspec

from examples.running.money import money


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product and how many pieces of it there are."""

    product: str
    pieces: int

    def __post_init__(self) -> None:
        if self.pieces < 0:
            message = "pieces must not be negative"
            raise ValueError(message)


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account that reservations are charged to."""

    account: str
    balance: Decimal

    def __post_init__(self) -> None:
        money(self.balance, field="balance")


class Seed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that exists before the first reservation.

    `barred` customers cannot open a reservation; one of a customer `on_hold` is not confirmed.
    """

    barred: tuple[str, ...] = ()
    on_hold: tuple[str, ...] = ()
    products: tuple[Product, ...] = ()
    accounts: tuple[Account, ...] = ()
