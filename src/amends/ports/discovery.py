"""The discovery port: a registry that knows where services are, and that is told where this one is.

Rules
- What is known of a service is in memory: to look at it costs nothing and waits for nothing. It is kept up to date
  beside, and while the registry is away the last that it said goes on being used.
- `announce` returns at once. What it says is told beside, and again until it is heard or said otherwise.
It does not: choose among instances, or call them (a transport does).
"""

from datetime import timedelta
from typing import Literal, Protocol, TypeAlias

Condition: TypeAlias = Literal["up", "down"]
"""How this service stands: it takes work; it takes none just now, or none any more."""


class Instances(Protocol):
    """The instances of one service, as they were last known."""

    @property
    def urls(self) -> tuple[str, ...]:
        """Scheme, host and port of those that take calls; the same object as long as nothing has changed."""
        ...

    @property
    def next_look(self) -> timedelta:
        """In how long the registry will have been asked again, about."""
        ...


class Discovery(Protocol):
    """A registry of services."""

    @property
    def trouble(self) -> str:
        """What keeps the registry from being asked and told just now, without an address; empty when nothing does."""
        ...

    def instances(self, service: str) -> Instances:
        """Return what is known of `service`, and keep it up to date from now on."""
        ...

    async def start(self) -> None:
        """Ask for the first time, and go on beside; a registry that does not answer is not waited for."""
        ...

    def announce(self, condition: Condition) -> None:
        """Have the registry told how this service stands; the first time registers it."""
        ...

    async def stop(self) -> None:
        """Take this service out of the registry, if it is in there, and ask no more. Stopping twice is harmless."""
        ...
