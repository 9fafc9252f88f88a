"""Sums of money in the examples' messages, and as the services keep them.

Rules: on the wire a sum is a string with exactly two decimals, `"19.90"`; in a database it is a whole number of cents.
"""

from decimal import Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
LARGEST_SUM = Decimal("999999999.99")


def money(amount: Decimal, *, field: str) -> None:
    """Raise ValueError unless the amount is a sum of money: from 0.00 up, with exactly two decimals."""
    if not amount.is_finite() or amount.as_tuple().exponent != -2:
        message = f'{field} must have exactly two decimals, such as "19.90"'
        raise ValueError(message)
    if amount < 0 or amount > LARGEST_SUM:
        message = f"{field} must lie between 0.00 and {LARGEST_SUM}"
        raise ValueError(message)


def positive(number: int, *, field: str) -> None:
    """Raise ValueError unless the number is 1 or more."""
    if number < 1:
        message = f"{field} must be 1 or more"
        raise ValueError(message)


def to_cents(amount: Decimal) -> int:
    """A sum as it is stored."""
    return int(amount / CENT)


def from_cents(cents: int) -> Decimal:
    """A stored sum as it is said."""
    return cents * CENT
