"""Bookings that the tests are about, and what the services reply to them."""

from decimal import Decimal

from examples.booking.messages import BookedProduct, BookingCreated, PaymentCompleted, ProductReserved
from examples.booking.saga import BookingData

PAID = PaymentCompleted(payment_id="P-1")
PRICES = {"room": "80.00", "desk": "12.30", "lamp": "0.05", "tent": "199.99", "boat": "450.00"}


def booking(*products: str, booking_id: str = "b-1") -> BookingCreated:
    """One piece of each product."""
    return BookingCreated(
        booking_id=booking_id,
        customer="ada",
        account="account-ada",
        products=tuple(BookedProduct(product_id=product, quantity=1) for product in products),
    )


def data(*products: str, booking_id: str = "b-1") -> BookingData:
    return BookingData(booking=booking(*products, booking_id=booking_id))


def reserved(product: str) -> ProductReserved:
    return ProductReserved(reservation_id=f"R-{product}", price=Decimal(PRICES[product]))
