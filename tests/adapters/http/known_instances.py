"""A registry of services that says what a test has it say.

Rules: it fills the discovery port for one service, in memory. What a real one says: `tests/adapters/eureka`.
It does not: look anything up, or remember what it is told.
"""

from datetime import timedelta

from amends.ports.discovery import Condition


class Known:
    """What is known of the service."""

    def __init__(self, *urls: str) -> None:
        self.urls = urls
        self.next_look = timedelta(seconds=7)


class Registry:
    """Knows one service."""

    trouble = ""

    def __init__(self, known: Known) -> None:
        self._known = known
        self.asked: list[str] = []

    def instances(self, service: str) -> Known:
        self.asked.append(service)
        return self._known

    async def start(self) -> None:
        """Nothing to do."""

    def announce(self, condition: Condition) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""
