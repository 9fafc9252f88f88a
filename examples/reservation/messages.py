"""What the reservation process and its three services say to each other: the reservation, the commands, the replies.

Rules:
- Every message is a frozen value that refuses unknown fields.
- Money is a `Decimal` with exactly two decimals, on the wire a string: `"19.90"`, never a JSON number.
- Every command names the reservation and, with it, a business key that stays the same when the outcome is unknown: the
  reservation alone, reservation + product, reservation + account.
- An undo carries what its do replied (`hold_id`, `payment_id`), or None when no trustworthy answer came; the service
  then undoes by the business key alone.

Does not do: talk, store, or know what a saga is.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from examples.running.money import ZERO, money

CancelledStatus = Literal["PRODUCT_UNAVAILABLE", "PAYMENT_DECLINED", "NOT_CONFIRMED", "CANCELLED"]
"""The statuses in which a reservation that did not come about may end."""

MOST_PIECES = 10_000


def pieces(number: int) -> None:
    """Raise ValueError unless so many pieces can be asked for."""
    if not 1 <= number <= MOST_PIECES:
        message = f"quantity must lie between 1 and {MOST_PIECES}"
        raise ValueError(message)


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of one product, at a price per piece."""

    product: str
    quantity: int
    price: Decimal

    def __post_init__(self) -> None:
        pieces(self.quantity)
        money(self.price, field="price")


class Reservation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer wants to have reserved, and who pays."""

    reservation_id: str
    customer: str
    account: str
    items: tuple[Item, ...]

    def __post_init__(self) -> None:
        products = [item.product for item in self.items]
        if not (self.reservation_id and self.customer and self.account and products and all(products)):
            message = "reservation_id, customer, account, items and product must not be empty"
            raise ValueError(message)
        if len(set(products)) != len(products):
            message = "each product may stand in one item only"
            raise ValueError(message)

    @property
    def total(self) -> Decimal:
        """What all of it costs."""
        return sum((item.price * item.quantity for item in self.items), ZERO)


# --- reservations service ------------------------------------------------------------------------------------------


class OpenReservation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`open-reservation`: refused with `customer-barred`."""

    reservation_id: str
    customer: str


class ReservationOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The reservation exists: `{}`."""


class CancelReservation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cancel-reservation`, the undo of `open-reservation`: it ends in the status that names the cause."""

    reservation_id: str
    status: CancelledStatus
    reason: str


class ReservationCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """The reservation has this end: `{}`."""


class ConfirmReservation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`confirm-reservation`, the point of no return: refused with `confirmation-refused`, `not-open`."""

    reservation_id: str


class ReservationConfirmed(msgspec.Struct, frozen=True, kw_only=True):
    """The customer has it in writing."""

    confirmation_id: str


# --- products service ----------------------------------------------------------------------------------------------


class ReserveProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`reserve-product`: refused with `out-of-stock`, `unknown-product`."""

    reservation_id: str
    product: str
    quantity: int

    def __post_init__(self) -> None:
        pieces(self.quantity)


class ProductReserved(msgspec.Struct, frozen=True, kw_only=True):
    """The pieces are set aside for this reservation."""

    hold_id: str


class ReleaseProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`release-product`, the undo of `reserve-product`; without a hold_id by reservation and product."""

    reservation_id: str
    product: str
    quantity: int
    hold_id: str | None = None

    def __post_init__(self) -> None:
        pieces(self.quantity)


class ProductReleased(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is set aside any more: `{}`."""


# --- payments service ----------------------------------------------------------------------------------------------


class Charge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`charge`: refused with `declined` (funds do not suffice), `unknown-account`."""

    reservation_id: str
    account: str
    amount: Decimal

    def __post_init__(self) -> None:
        money(self.amount, field="amount")


class Charged(msgspec.Struct, frozen=True, kw_only=True):
    """The amount left the account."""

    payment_id: str


class Refund(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`refund`, the undo of `charge`; without a payment_id by reservation and account."""

    reservation_id: str
    account: str
    amount: Decimal
    payment_id: str | None = None

    def __post_init__(self) -> None:
        money(self.amount, field="amount")


class Refunded(msgspec.Struct, frozen=True, kw_only=True):
    """The amount is back on the account: `{}`."""
