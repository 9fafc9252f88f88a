"""Registration: this service in Eureka, kept there by signs of life.

Rules
- Registered with the first status, and again with each other one; a sign of life every interval. Eureka that does not
  know us any more is told again who we are.
- While Eureka is away the pause begins short and grows to the interval. Our lease is three intervals.
- At the end we are taken out, if Eureka answers; otherwise the lease ends.
It does not: decide how the service stands.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from typing import Final

from amends.adapters.eureka.documents import Instance, Status, registration
from amends.adapters.eureka.outage import Outage
from amends.adapters.eureka.servers import Away, Servers

FIRST_PAUSE: Final = 0.5

_log = logging.getLogger("amends.discovery")


class Registration:
    """One instance."""

    def __init__(self, servers: Servers, outage: Outage, instance: Instance, *, interval: float) -> None:
        """`interval` is the seconds between two signs of life; Eureka counts whole ones, at least one."""
        self._servers = servers
        self._outage = outage
        self._instance = instance
        self._interval = interval
        self._wanted: Status | None = None
        self._told: Status | None = None
        self._dirty_ms = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def announce(self, status: Status) -> None:
        """Have it told, beside, how the service stands."""
        self._wanted = status
        # Greater than before, also after a step of the clock: Eureka keeps what says to be newer.
        self._dirty_ms = max(self._dirty_ms + 1, time.time_ns() // 1_000_000)
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="amends-eureka-registration")

    async def renew(self) -> None:
        """Give one sign of life, or register.

        Raises:
            Away: nobody hears it.
        """
        status = self._wanted
        if status is None:
            return
        if self._told == status and await self._is_still_known(status):
            return
        ip = await asyncio.to_thread(_own_address, self._instance.host, *self._servers.first)
        document = registration(
            self._instance,
            status,
            ip=ip,
            renewal_s=max(1, round(self._interval)),
            dirty_ms=self._dirty_ms,
        )
        await self._servers.ask("POST", "apps", self._instance.app.upper(), body=document)
        _log.info("registered with Eureka as %s: %s", self._instance.name, status)
        self._told = status

    async def stop(self) -> None:
        """Take this instance out. Stopping twice is harmless."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._outage.left(self)
        if self._told is not None:
            try:
                await self._servers.ask("DELETE", *self._path)
            except Away as error:
                _log.warning("Eureka is not told that this instance is gone, its lease will end: %s", error)

    @property
    def _path(self) -> tuple[str, str, str]:
        return "apps", self._instance.app.upper(), self._instance.name

    async def _is_still_known(self, status: Status) -> bool:
        query = f"status={status}&lastDirtyTimestamp={self._dirty_ms}"
        return (await self._servers.ask("PUT", *self._path, query=query)).is_known

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._changed.clear()
            try:
                await self.renew()
            except Away as error:
                self._outage.missed(self, str(error))
                wait = min(pause, self._interval)
                pause = 2 * wait
            else:
                self._outage.answered(self)
                wait, pause = self._interval, FIRST_PAUSE
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()


def _own_address(host: str, server: str, port: int) -> str:
    """Return the IP address to register: `host` itself, or else the one from which Eureka is reached."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    for family, kind, _, _, address in socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM):
        # A datagram socket that is connected has sent nothing; it only has chosen its own address.
        with contextlib.suppress(OSError), socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    return "127.0.0.1"
