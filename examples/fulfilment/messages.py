"""What the order fulfilment process and its three services say to each other, in the words of its blueprint.

    ReserveInventory   ProcessPayment   ShipOrder        the commands
    ReleaseInventory   RefundPayment    CancelShipment   what undoes each of them, in the same order
    Success, Declined                                    the two replies

Rules:
- Every message is a frozen value that refuses unknown fields; `messages` imports nothing but msgspec and what a sum of
  money is. A command's name on the wire is the name of its type.
- Every command names the order; for each service the order is the business key, an order has one reservation, one
  payment and one shipment.
- `Success` says under which reference the service keeps what it did. An undo carries that reference, or None when no
  trustworthy answer came; the service then undoes by the order alone.
- `Declined` is the code of every business no; its reason says which (insufficient funds, out of stock, no carrier).

Does not do: talk, store, or know what a saga is.
"""

from decimal import Decimal
from typing import Final, Literal

import msgspec

from examples.running.money import money, positive

DECLINED: Final = "Declined"


class Success(msgspec.Struct, frozen=True, kw_only=True):
    """It is done. On the wire `{"reply": "Success", "reference": "P-7"}`; an undo has no reference of its own.
    `{}` says the same: it is what the barrier answers to an undo for which there is nothing to undo.
    """

    reference: str | None = None
    reply: Literal["Success"] = "Success"


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of one product."""

    sku: str
    quantity: int

    def __post_init__(self) -> None:
        positive(self.quantity, field="quantity")


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be fulfilled: these items, for this amount of the account, to this country (two capital letters)."""

    order_id: str
    account: str
    items: tuple[Item, ...]
    amount: Decimal
    country: str

    def __post_init__(self) -> None:
        money(self.amount, field="amount")
        skus = {item.sku for item in self.items}
        if not self.order_id:
            message = "order_id must not be empty"
            raise ValueError(message)
        if not skus or len(skus) < len(self.items):
            message = "items must not be empty, and each sku may stand there once only"
            raise ValueError(message)


# --- inventory -----------------------------------------------------------------------------------------------------


class ReserveInventory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set all items aside for this order, or none of them: `Declined` when one is out of stock or unknown."""

    order_id: str
    items: tuple[Item, ...]


class ReleaseInventory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put back what was set aside for this order."""

    order_id: str
    reference: str | None = None


# --- payment -------------------------------------------------------------------------------------------------------


class ProcessPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take the amount from the account: `Declined` when the funds are insufficient or there is no such account."""

    order_id: str
    account: str
    amount: Decimal

    def __post_init__(self) -> None:
        money(self.amount, field="amount")


class RefundPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give back what was taken for this order."""

    order_id: str
    reference: str | None = None


# --- shipping ------------------------------------------------------------------------------------------------------


class ShipOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hand the items to a carrier: `Declined` when none delivers to the country."""

    order_id: str
    items: tuple[Item, ...]
    country: str


class CancelShipment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Call the order's parcel back from the carrier."""

    order_id: str
    reference: str | None = None
