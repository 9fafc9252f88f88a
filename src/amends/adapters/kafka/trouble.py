"""What an error of the driver means, for an operator.

It does not: keep it (`amends.driver.trouble` does), or try anything.
"""

from amends.adapters.kafka import driver
from amends.wire.excerpt import excerpt


def told(error: Exception, *, about: str) -> str:
    """Return what a driver's error means."""
    match error:
        case _ if isinstance(error, driver.NOT_ALLOWED):
            return f"not allowed: {about}"
        case _ if isinstance(error, driver.NO_TOPIC):
            return f"there is no topic for this, or no broker: {about}"
        case _:
            return excerpt(f"{type(error).__name__}: {error}".rstrip(": "))
