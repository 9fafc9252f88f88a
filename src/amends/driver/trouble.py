"""What is wrong with a way to a broker, for an operator; and how long to wait before it is tried again.

Rules: a trouble is logged once when it begins and once when it ends; pauses grow, up to a limit.
It does not: try anything.
"""

import logging

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


class SharedTrouble:
    """The trouble of a way that several use at a time: it ends when none of them waits any more."""

    def __init__(self, what: str) -> None:
        """Begin well."""
        self._trouble = Trouble(what)
        self._waiting = 0

    @property
    def text(self) -> str:
        """What is wrong now; empty when nothing is."""
        return self._trouble.text

    def waits(self, text: str) -> None:
        """Note that one more waits, and why."""
        self._waiting += 1
        self._trouble.begins(text)

    def goes_on(self) -> None:
        """Note that one of those that waited does not any more."""
        self._waiting -= 1
        if not self._waiting:
            self._trouble.ends()


def longer(pause: float) -> float:
    """Return the pause after one of `pause` seconds; the first after none."""
    return min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
