"""Look-up: which instances of the services that we call are up, asked again and again.

Rules
- One round asks for each service. Between rounds is the interval; while Eureka is away, or a service has no instance
  that is up, the pause begins short and grows to that.
- Away changes nothing. That Eureka lists none that is up is believed at once. That it does not know the service any
  more is what it says as well after it began anew, empty: then the last that was known is used for `DOUBT` longer.
It does not: choose an instance.
"""

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Final

from amends.adapters.eureka.documents import Unreadable, listing
from amends.adapters.eureka.outage import Outage
from amends.adapters.eureka.servers import WITHIN, Away, Servers

FIRST_PAUSE: Final = 0.5
DOUBT: Final = 90.0
"""Seconds in which those who are alive have registered again, and are in the answers behind Eureka's caches."""

_log = logging.getLogger("amends.discovery")


class Known:
    """What is known of one service; fills the port."""

    def __init__(self, service: str) -> None:
        """Begin with nothing."""
        self.service = service
        self.urls: tuple[str, ...] = ()
        self.looks_at = 0.0
        """The loop's time of the next look."""
        self._unknown_since: float | None = None
        self._unusable = 0

    @property
    def next_look(self) -> timedelta:
        """In how long Eureka will have been asked again."""
        return timedelta(seconds=max(0.0, self.looks_at - asyncio.get_running_loop().time()))

    def heard(self, body: bytes) -> None:
        """Take in what Eureka says of the service. Raises Unreadable."""
        urls, unusable = listing(body)
        self._unknown_since = None
        if unusable and unusable != self._unusable:
            _log.warning("%s: %d instances are up and cannot be called", self.service, unusable)
        self._unusable = unusable
        self._become(urls)

    def unknown(self, now: float, doubt: float) -> None:
        """Take in that Eureka does not know the service."""
        if self._unknown_since is None:
            self._unknown_since = now
        if now - self._unknown_since >= doubt:
            self._become(())

    def _become(self, urls: tuple[str, ...]) -> None:
        if urls == self.urls:
            # The same object says that nothing has changed.
            return
        _log.info("%s: %s", self.service, ", ".join(urls) or "no instance is up")
        self.urls = urls


class Lookup:
    """Keeps what is known up to date."""

    def __init__(self, servers: Servers, outage: Outage, *, interval: float, doubt: float = DOUBT) -> None:
        """`interval` and `doubt` are seconds."""
        self._servers = servers
        self._outage = outage
        self._interval = interval
        self._doubt = doubt
        self._known: dict[str, Known] = {}
        self._asked = asyncio.Event()
        self._looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def instances(self, service: str) -> Known:
        """Return what is known of a service, the same for each who asks."""
        known = self._known.get(service.upper())
        if known is None:
            known = self._known[service.upper()] = Known(service)
            self._asked.set()
        return known

    async def start(self) -> None:
        """Look once, and go on beside; a first look that takes longer than `WITHIN` goes on beside, too."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="amends-eureka-lookup")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WITHIN):
                    await self._looked.wait()

    async def stop(self) -> None:
        """Look no more. Stopping twice is harmless."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._outage.left(self)

    async def look(self) -> bool:
        """Ask for each service once; tell whether each has an instance, as Eureka says just now."""
        try:
            for name, known in tuple(self._known.items()):
                reply = await self._servers.ask("GET", "apps", name)
                if reply.is_known:
                    known.heard(reply.body)
                else:
                    known.unknown(asyncio.get_running_loop().time(), self._doubt)
        except (Away, Unreadable) as error:
            self._outage.missed(self, str(error))
            return False
        self._outage.answered(self)
        return all(known.urls for known in self._known.values())

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._asked.clear()
            is_well = await self.look()
            self._looked.set()
            wait = self._interval if is_well else min(pause, self._interval)
            pause = FIRST_PAUSE if is_well else 2 * wait
            at = asyncio.get_running_loop().time() + wait
            for known in self._known.values():
                known.looks_at = at
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._asked.wait()
