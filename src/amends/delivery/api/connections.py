"""The connections of the server: as many as there is room for, and none that keeps others out by doing nothing.

Rules
- At most `most` are open. When another one waits, the one that has been idle longest makes room; if none is idle, one
  whose head has been coming for longer than `PATIENCE`; if there is none, the newcomer waits in the kernel's queue.
- Nothing is accepted that there is no room for: no descriptor is opened only to be closed.
- Slow heads get 408, idle connections are closed, both by one look at all of them every now and then.
- What happens in masses is logged as one line for all of it.
It does not: know requests (`server.py` does).
"""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiohttp import web

from amends.delivery.api.guard import Guard
from amends.delivery.api.problem import Problem

PATIENCE = 1.0
"""Seconds that a head may take before its connection may have to make room."""
LINGERING = 1.0
"""Seconds for which a refused request is still taken, unread."""
BACKLOG = 1024
LOG_EVERY = 10.0
_TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger(__name__)


class Limits(NamedTuple):
    """Times are in seconds, sizes in bytes."""

    most: int
    head: int
    head_within: float
    idle_within: float


class Connections:
    """Accepts, watches, closes."""

    def __init__(
        self,
        *,
        limits: Limits,
        protocol: Callable[[], web.RequestHandler],
        refusal: Callable[[Guard, Problem], bytes],
    ) -> None:
        """`protocol` makes aiohttp's protocol for one connection."""
        self._limits = limits
        self._protocol = protocol
        self._refusal = refusal
        self._guards: dict[web.RequestHandler, Guard] = {}
        self._listening: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._evicted = 0
        self._logged_at = 0.0

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._guards)

    @property
    def busy(self) -> int:
        """How many have a request in progress."""
        return sum(guard.state == "busy" for guard in self._guards.values())

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept what comes on `sockets` (see `bound`) from now on."""
        loop = asyncio.get_running_loop()
        self._listening = list(sockets)
        for listening in self._listening:
            self._tasks.append(loop.create_task(self._accept(listening), name="amends-accept"))
        self._tasks.append(loop.create_task(self._watch(), name="amends-connections"))

    def guard(self, inner: web.RequestHandler) -> Guard | None:
        """Return the guard of a protocol; None when its connection is gone."""
        return self._guards.get(inner)

    async def deafen(self) -> None:
        """Accept no more; close what is idle."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        for guard in list(self._guards.values()):
            if guard.state != "busy":
                guard.drop()

    async def emptied(self) -> None:
        """Wait until the last connection is gone."""
        while self._guards:
            self._changed.clear()
            for guard in list(self._guards.values()):
                if guard.state == "idle":
                    guard.drop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGERING):
                    await self._changed.wait()
            self._look(asyncio.get_running_loop().time())

    def drop_all(self) -> None:
        """Close all that is left, whatever it is doing."""
        for guard in list(self._guards.values()):
            guard.drop()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await _readable(loop, listening)
            await self._room()
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                continue
            except OSError as error:
                await self._without_descriptors(error)
                continue
            accepted.settimeout(0)
            try:
                await loop.connect_accepted_socket(self._guarded, accepted)
            except OSError:
                accepted.close()

    def _guarded(self) -> Guard:
        inner = self._protocol()
        guard = Guard(
            inner=inner, most_head=self._limits.head, refusal=self._refusal, changed=self._on_change
        )
        self._guards[inner] = guard
        return guard

    def _on_change(self, guard: Guard) -> None:
        if guard.transport is None:
            self._guards.pop(guard.inner, None)
        self._changed.set()

    async def _room(self) -> None:
        """Return when one more may be accepted."""
        while len(self._guards) >= self._limits.most:
            self._changed.clear()
            least = self._least()
            if least is not None:
                self._evicted += 1
                least.drop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._changed.wait()

    def _least(self) -> Guard | None:
        """Return the connection that is easiest to do without."""
        guards = self._guards.values()
        idle = [guard for guard in guards if guard.state == "idle"]
        if not idle:
            before = asyncio.get_running_loop().time() - PATIENCE
            idle = [guard for guard in guards if guard.state == "head" and guard.since < before]
        return min(idle, key=lambda guard: guard.since, default=None)

    async def _without_descriptors(self, error: OSError) -> None:
        """The machine, or somebody else in this process, took what was set aside: make room, and do not spin."""
        if error.errno not in _TRANSIENT:
            raise error
        self._evicted += 1
        least = self._least()
        if least is not None:
            least.drop()
        await asyncio.sleep(PATIENCE / 10)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pause = max(0.05, min(1.0, self._limits.head_within / 10, self._limits.idle_within / 10))
        while True:
            await asyncio.sleep(pause)
            self._look(loop.time())

    def _look(self, now: float) -> None:
        for guard in list(self._guards.values()):
            age = now - guard.since
            match guard.state:
                case "idle" if age > self._limits.idle_within:
                    guard.drop()
                case "head" if age > self._limits.head_within:
                    guard.refuse(Problem("timeout", "the head did not arrive in time"))
                case "closing" if age > (self._limits.head_within if guard.unsent else LINGERING):
                    guard.drop()
                case _:
                    pass
        if self._evicted and now - self._logged_at > LOG_EVERY:
            _log.warning(
                "%d connections were closed to make room for others; at most %d are open "
                "(server.max-connections, ulimit -n)",
                self._evicted,
                self._limits.most,
            )
            self._evicted, self._logged_at = 0, now


async def _readable(loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
    """Wait until somebody waits to be accepted."""
    waiting: asyncio.Future[None] = loop.create_future()
    loop.add_reader(listening, lambda: None if waiting.done() else waiting.set_result(None))
    try:
        await waiting
    finally:
        loop.remove_reader(listening)


async def bound(host: str, port: int) -> list[socket.socket]:
    """Take all addresses of `host`; port 0 takes a free one. What comes waits until somebody listens.

    Raises:
        OSError: an address cannot be had.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        # In the order of the lookup, each once.
        for family, address in dict.fromkeys((family, str(at[0])) for family, _, _, _, at in found):
            taken: int = sockets[0].getsockname()[1] if sockets else port
            both = family == socket.AF_INET6 and address == "::"
            sockets.append(
                socket.create_server((address, taken), family=family, backlog=BACKLOG, dualstack_ipv6=both)
            )
            sockets[-1].settimeout(0)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets
