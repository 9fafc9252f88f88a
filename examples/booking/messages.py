"""What the booking process and its three services say to each other: the booking, the commands, the replies.

    the process says            its command         the answer: yes             the answer: no
    saga.request_stock          request-stock       product.reserved            product.reservation_failed
    saga.release_stock          release-stock       released                    -
    saga.request_payment        request-payment     payment.completed           payment.failed
    (not in the first contract) refund-payment      refunded                    -
    saga.confirm_booking        confirm-booking     confirmed                   -
    saga.cancel_booking         cancel-booking      cancelled                   -

Rules:
- Every message is a frozen value that refuses unknown fields; on the wire its fields are written `bookingId`.
- Money is a `Decimal` with exactly two decimals, on the wire a string: `"19.90"`, never a JSON number.
- Every command names the booking and, with it, a business key that stays the same when the outcome is unknown:
  booking + product for stock, the booking alone for its one payment.
- An undo carries what its do replied (`reservationId`, `paymentId`), or None when no trustworthy answer came; the
  service then undoes by the business key alone.
- What a reservation costs is the product service's word. A booking names products and quantities, never prices.

Does not do: talk, store, or know what a saga is.
"""

from decimal import Decimal
from typing import Literal

import msgspec

BookingStatus = Literal["CREATED", "CONFIRMED", "CANCELLED"]
"""Where the booking service keeps a booking."""

CENT = Decimal("0.01")
LARGEST_SUM = Decimal("999999999.99")
MOST_PRODUCTS = 100
MOST_PIECES = 10_000


def money(amount: Decimal, *, field: str) -> None:
    """Raise ValueError unless the amount is a sum of money: from 0.00 up, with exactly two decimals."""
    if not amount.is_finite() or amount.as_tuple().exponent != -2:
        message = f'{field} must have exactly two decimals, such as "19.90"'
        raise ValueError(message)
    if amount < 0 or amount > LARGEST_SUM:
        message = f"{field} must lie between 0.00 and {LARGEST_SUM}"
        raise ValueError(message)


def pieces(number: int, *, field: str) -> None:
    """Raise ValueError unless so many pieces can be asked for."""
    if not 1 <= number <= MOST_PIECES:
        message = f"{field} must lie between 1 and {MOST_PIECES}"
        raise ValueError(message)


class BookedProduct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """So many pieces of one product."""

    product_id: str
    quantity: int

    def __post_init__(self) -> None:
        pieces(self.quantity, field="quantity")


class BookingCreated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`booking.created`: a customer booked these products and pays from this account."""

    booking_id: str
    customer: str
    account: str
    products: tuple[BookedProduct, ...]

    def __post_init__(self) -> None:
        for fault in _faults(self):
            raise ValueError(fault)


def _faults(booking: BookingCreated) -> list[str]:
    products = [product.product_id for product in booking.products]
    checks = {
        "bookingId must not be empty": bool(booking.booking_id),
        f"products must be 1 to {MOST_PRODUCTS}": 1 <= len(products) <= MOST_PRODUCTS,
        "each productId may stand once only": len(set(products)) == len(products),
    }
    return [fault for fault, holds in checks.items() if not holds]


# --- booking service -----------------------------------------------------------------------------------------------


class ConfirmBooking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`confirm-booking`: paid in full; retriable, refused with `not-open` only when it is sent out of turn."""

    booking_id: str
    total: Decimal

    def __post_init__(self) -> None:
        money(self.total, field="total")


class BookingConfirmed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The booking is confirmed: `{}`."""


class CancelBooking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`cancel-booking`, undo only: the booking existed before the saga."""

    booking_id: str
    reason: str


class BookingCancelled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The booking is cancelled: `{}`."""


# --- product service -----------------------------------------------------------------------------------------------


class RequestStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`request-stock`: refused with `out-of-stock`, `unknown-product`."""

    booking_id: str
    product_id: str
    quantity: int

    def __post_init__(self) -> None:
        pieces(self.quantity, field="quantity")


class ProductReserved(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`product.reserved`: the pieces are set aside for this booking; together they cost `price`."""

    reservation_id: str
    price: Decimal

    def __post_init__(self) -> None:
        money(self.price, field="price")


class ReleaseStock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`release-stock`, the undo of `request-stock`; without a reservationId by booking and product."""

    booking_id: str
    product_id: str
    reservation_id: str | None = None


class StockReleased(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Nothing is set aside any more: `{}`."""


# --- payment service -----------------------------------------------------------------------------------------------


class RequestPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`request-payment`: refused with `declined` (funds do not suffice), `unknown-account`."""

    booking_id: str
    account: str
    total: Decimal

    def __post_init__(self) -> None:
        money(self.total, field="total")


class PaymentCompleted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`payment.completed`: the total left the account."""

    payment_id: str


class RefundPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """`refund-payment`, the undo of `request-payment`; without a paymentId by booking."""

    booking_id: str
    total: Decimal
    payment_id: str | None = None

    def __post_init__(self) -> None:
        money(self.total, field="total")


class PaymentRefunded(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The total is back on the account: `{}`."""
