"""Eureka as the orchestrator uses it: look-up and registration over the same servers.

Rules: without an instance nothing is registered. What is asked beside never fails: it says that Eureka is away.
It does not: start before it is told to.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, Self

from amends.adapters.eureka.documents import Instance, Status
from amends.adapters.eureka.lookup import Known, Lookup
from amends.adapters.eureka.outage import Outage
from amends.adapters.eureka.registration import Registration
from amends.adapters.eureka.servers import Servers
from amends.ports.discovery import Condition

STATUSES: Final[Mapping[Condition, Status]] = {"up": "UP", "down": "DOWN"}


class EurekaDiscovery:
    """Fills the discovery port; use it with `start` and `stop`, or as ``async with``."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        instance: Instance | None = None,
        renewal: timedelta = timedelta(seconds=30),
        fetch: timedelta = timedelta(seconds=30),
    ) -> None:
        """`renewal`: between two signs of life; `fetch`: between two looks at who is there.

        Raises:
            ValueError: there is no server.
        """
        self._servers = Servers(servers)
        self._outage = Outage()
        self._lookup = Lookup(self._servers, self._outage, interval=fetch.total_seconds())
        self._registration = (
            None
            if instance is None
            else Registration(self._servers, self._outage, instance, interval=renewal.total_seconds())
        )

    @property
    def trouble(self) -> str:
        """What keeps Eureka from being asked and told just now."""
        return (
            "Eureka does not answer; what is known of services goes on being used"
            if self._outage.is_on
            else ""
        )

    def instances(self, service: str) -> Known:
        """Return what is known of a service, and keep it up to date."""
        return self._lookup.instances(service)

    async def start(self) -> None:
        """Look once, and go on beside."""
        await self._lookup.start()

    def announce(self, condition: Condition) -> None:
        """Have Eureka told how this service stands."""
        if self._registration is not None:
            self._registration.announce(STATUSES[condition])

    async def stop(self) -> None:
        """Take this service out, and ask no more. Stopping twice is harmless."""
        if self._registration is not None:
            await self._registration.stop()
        await self._lookup.stop()
        await self._servers.close()

    async def __aenter__(self) -> Self:
        """Begin."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""
        await self.stop()
