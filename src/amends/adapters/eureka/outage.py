"""Whether the registry answers, as all who ask it see it together.

Rules: an outage begins when the first of them gets no answer, and is over when each of those got one. Each end is one
line in the log, however often it is asked meanwhile.
It does not: ask.
"""

import logging
from collections.abc import Hashable

_log = logging.getLogger("amends.discovery")


class Outage:
    """One for all who ask the same servers."""

    def __init__(self) -> None:
        """Begin well."""
        self._missed: set[Hashable] = set()

    @property
    def is_on(self) -> bool:
        """Tell whether there is one now."""
        return bool(self._missed)

    def missed(self, who: Hashable, why: str) -> None:
        """Take notice that `who` got no answer, and will ask again."""
        if not self._missed:
            _log.warning("Eureka does not answer, what is known goes on being used: %s", why)
        self._missed.add(who)

    def answered(self, who: Hashable) -> None:
        """Take notice that `who` got an answer."""
        if who not in self._missed:
            return
        self._missed.discard(who)
        if not self._missed:
            _log.warning("Eureka answers again")

    def left(self, who: Hashable) -> None:
        """Take notice that `who` asks no more."""
        self._missed.discard(who)
