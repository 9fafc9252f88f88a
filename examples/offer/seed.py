"""What the four services hold before the first acceptance: barred attendees, offers, sponsors, codes, courses.

Rules: one file for all four, each service takes its own part, once, when its database is new.
"""

from decimal import Decimal

import msgspec

from examples.running.money import money


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place of a training, offered at a price; an offer is accepted once."""

    offer: str
    course: str
    price: Decimal
    expired: bool = False

    def __post_init__(self) -> None:
        money(self.price, field="price")


class DiscountCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code takes `percent` off the price, at most `uses` times; an expired one never."""

    code: str
    percent: int
    uses: int
    expired: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 100 or self.uses < 0:
            message = "percent must lie between 1 and 100, uses must not be negative"
            raise ValueError(message)


class Course(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training with so many places."""

    course: str
    places: int

    def __post_init__(self) -> None:
        if self.places < 0:
            message = "places must not be negative"
            raise ValueError(message)


class Seed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that exists before the first acceptance."""

    barred: tuple[str, ...] = ()
    sponsors: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    codes: tuple[DiscountCode, ...] = ()
    courses: tuple[Course, ...] = ()
