"""What the three services say that they hold: their `GET /state` documents, read.

Rules: values only; a document that is not what the service sends is an error of msgspec's.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import msgspec

from examples.running.example import States


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation, or one of its changes of status."""

    reservation_id: str
    status: str
    customer: str = ""


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    product: str
    pieces: int
    free: int


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    hold_id: str
    reservation_id: str
    product: str
    quantity: int
    state: Literal["held", "released"]


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    initial: Decimal
    balance: Decimal


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    movement_id: str
    kind: Literal["charge", "refund"]
    reservation_id: str
    account: str
    amount: Decimal

    @property
    def taken(self) -> Decimal:
        """What left the account by it; negative for a refund."""
        return self.amount if self.kind == "charge" else -self.amount


class _Reservations(msgspec.Struct, frozen=True, kw_only=True):
    reservations: tuple[Kept, ...]
    transitions: tuple[Kept, ...]


class _Products(msgspec.Struct, frozen=True, kw_only=True):
    products: tuple[Stock, ...]
    holds: tuple[Hold, ...]


class _Payments(msgspec.Struct, frozen=True, kw_only=True):
    accounts: tuple[Balance, ...]
    movements: tuple[Movement, ...]


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything that the services hold."""

    reservations: tuple[Kept, ...]
    transitions: tuple[Kept, ...]
    products: tuple[Stock, ...]
    holds: tuple[Hold, ...]
    accounts: tuple[Balance, ...]
    movements: tuple[Movement, ...]


def world_of(states: States) -> World:
    """Read the services' documents, by the services' names."""
    reservations = msgspec.convert(states["reservations"], _Reservations)
    products = msgspec.convert(states["products"], _Products)
    payments = msgspec.convert(states["payments"], _Payments)
    return World(
        reservations=reservations.reservations,
        transitions=reservations.transitions,
        products=products.products,
        holds=products.holds,
        accounts=payments.accounts,
        movements=payments.movements,
    )
