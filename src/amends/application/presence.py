"""Presence: has a registry of services told how this service stands, whenever that changes.

Rules: `look` once, or every second beside. A service is up while it is ready for work, until it is going to end.
It does not: know the registry, or wait for it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from amends.ports.discovery import Condition, Discovery

INTERVAL: Final = 1.0
"""Seconds between two looks."""


class Presence:
    """One service in one registry."""

    def __init__(self, discovery: Discovery, *, is_ready: Callable[[], bool]) -> None:
        """Nothing is told before the first look that finds it ready."""
        self._discovery = discovery
        self._is_ready = is_ready
        self._told: Condition | None = None
        self._is_going = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.create_task(self._run(), name="amends-presence")

    def look(self) -> None:
        """Have told what has changed."""
        condition: Condition = "up" if not self._is_going and self._is_ready() else "down"
        if condition == self._told or (self._told is None and condition != "up"):
            return
        self._told = condition
        self._discovery.announce(condition)

    def going(self) -> None:
        """Have told that this service will take no work any more."""
        self._is_going = True
        self.look()

    async def stop(self) -> None:
        """Look no more. Stopping twice is harmless."""
        self.going()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(INTERVAL)
