"""What is wrong with a way to a broker, for an operator; and how long to wait before it is tried again.

Rules: a trouble is logged once when it begins and once when it ends; pauses grow, up to a limit.
It does not: try anything.
"""

import logging

from amends.adapters.kafka import driver
from amends.wire.excerpt import excerpt

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0

_log = logging.getLogger(__name__)


class Trouble:
    """What is wrong with a way to a broker; said once when it begins and once when it ends."""

    def __init__(self, what: str) -> None:
        """Begin well."""
        self._what = what
        self.text = ""

    def begins(self, text: str) -> None:
        """Note what is wrong now."""
        if not self.text:
            _log.warning("%s waits: %s", self._what, text)
        self.text = text

    def ends(self) -> None:
        """Note that all is well."""
        if self.text:
            self.text = ""
            _log.warning("%s goes on", self._what)


def told(error: Exception, *, about: str) -> str:
    """Return what a driver's error means, for an operator."""
    match error:
        case _ if isinstance(error, driver.NOT_ALLOWED):
            return f"not allowed: {about}"
        case _ if isinstance(error, driver.NO_TOPIC):
            return f"there is no topic for this, or no broker: {about}"
        case _:
            return excerpt(f"{type(error).__name__}: {error}".rstrip(": "))


def longer(pause: float) -> float:
    """Return the pause after one of `pause` seconds; the first after none."""
    return min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
