"""The words of a story about one reservation: what the customer wants, what each service answers when it says yes."""

from decimal import Decimal

from amends.testing import Scenario, given
from examples.reservation.messages import (
    Charged,
    Item,
    ProductReserved,
    Reservation,
    ReservationConfirmed,
    ReservationOpened,
)
from examples.reservation.saga import RESERVATION

OPENED = ReservationOpened()
CHARGED = Charged(payment_id="P-1")
CONFIRMED = ReservationConfirmed(confirmation_id="C-1")

TENT = Item(product="tent", quantity=1, price=Decimal("49.90"))
ROPE = Item(product="rope", quantity=7, price=Decimal("0.33"))
ONE = Reservation(reservation_id="r-1", customer="ada", account="card-ada", items=(TENT,))
TWO = Reservation(reservation_id="r-1", customer="ada", account="card-ada", items=(TENT, ROPE))

Story = Scenario[Reservation]


def held(number: int) -> ProductReserved:
    return ProductReserved(hold_id=f"H-{number}")


def opened(wanted: Reservation = TWO) -> Story:
    """The reservation is open, its products have been asked for."""
    return given(RESERVATION, wanted, saga_id="r-1").expect("open-reservation").replies(OPENED)


def reserved(story: Story) -> Story:
    """Tent and rope are set aside."""
    return (
        story.expect_all("reserve-product[tent]", "reserve-product[rope]")
        .on("reserve-product[rope]").replies(held(2))
        .on("reserve-product[tent]").replies(held(1))
    )  # fmt: skip


def paid(story: Story) -> Story:
    return reserved(story).expect("pay").replies(CHARGED)
