"""The HTTP transport to a service whose instances a registry knows: each command goes to one of those that are up.

Rules
- The instances take turns. One that cannot be connected to is left out for `ASIDE` seconds, if there are others, and
  the command goes to the next: nothing was sent, so nothing is repeated. Whatever else happens is the attempt's answer.
- What is known is in memory: who is asked is chosen without waiting. No instance known is a transient failure, which is
  to be tried again when the registry was asked again.
- An instance keeps at most its share of the calls while others have room, so one that hangs does not gather all of
  them. Connections to one that has left are closed, each after its answer.
It does not: ask the registry (the discovery port does), retry, or look into payloads.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from amends.adapters.http.answers import HttpAnswer, meaning
from amends.adapters.http.connections import CannotConnect, HttpConnections
from amends.adapters.http.faults import fault_of
from amends.adapters.http.requests import Requests
from amends.adapters.http.status import known
from amends.adapters.http.transport import SystemClock
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer, Failed
from amends.ports.clock import Clock
from amends.ports.discovery import Discovery
from amends.ports.transport import Binding

SCHEME: Final = "lb://"
"""How Spring writes an address whose host is the name of a service."""
ASIDE: Final = 5.0
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class _Place:
    """One instance."""

    __slots__ = ("calls", "requests", "url")

    def __init__(self, url: str, requests: Requests) -> None:
        self.url = url
        self.requests = requests
        self.calls = 0
        """Those that are under way."""


class NobodyThere(Exception):
    """No instance is known."""


class DiscoveredTransport:
    """One participant behind ``lb://SERVICE/PATH``; the parameters are those of `HttpTransport`."""

    def __init__(
        self,
        base_url: str,
        discovery: Discovery,
        *,
        timeout: timedelta = timedelta(seconds=30),
        headers: Mapping[str, str] | None = None,
        connections: int = 100,
        callback_url: str | None = None,
        max_reply_bytes: int = 1 << 20,
        clock: Clock | None = None,
        status: bool = False,
    ) -> None:
        """Raises ValueError: something cannot be used as it is given."""
        self._service, self._path = service_of(base_url)
        if timeout <= timedelta(0):
            raise ValueError(f"timeout must be longer than nothing, not {timeout}")
        self._headers = headers
        self._callback_url = callback_url
        # Headers and path are checked now, and not when the first instance comes.
        Requests(f"http://host{self._path}", headers=headers, callback_url=callback_url)
        self._instances = discovery.instances(self._service)
        self._urls: tuple[str, ...] = ()
        self._places: list[_Place] = []
        self._turn = 0
        self._most_calls = self._width = connections
        self._aside: dict[str, float] = {}
        self._timeout = timeout.total_seconds()
        self._connections = HttpConnections(per_host=connections)
        self._max_reply_bytes = max_reply_bytes
        self._clock: Clock = clock or SystemClock()
        self._knows = status

    @property
    def binding(self) -> Binding:
        """Where commands go."""
        return Binding("http", f"{SCHEME}{self._service}{self._path}")

    @property
    def trouble(self) -> str:
        """What keeps commands from being sent just now."""
        return "" if self._instances.urls else f"no instance of {self._service} is known to be up"

    async def send(self, command: SendCommand) -> Answer | Accepted:
        """Deliver `command` once and return what the participant said."""
        try:
            answer = await self._exchange(command, is_question=False)
        except NobodyThere:
            return Failed(self.trouble or "nobody", "transient", self._instances.next_look)
        except Exception as error:  # noqa: BLE001 - the port's rule: whatever happens is an answer
            return fault_of(error, origin=self._service)
        return meaning(
            answer,
            direction=command.direction,
            has_callback=self._callback_url is not None,
            clock=self._clock,
        )

    @property
    def knows(self) -> bool:
        """Whether the participant can be asked what became of a command."""
        return self._knows

    async def status(self, command: SendCommand) -> Answer | None:
        """Ask one instance what became of `command`; None when nobody knows."""
        try:
            return known(await self._exchange(command, is_question=True))
        except Exception:  # noqa: BLE001 - who cannot be asked says nothing; the attempt has a reason of its own
            return None

    async def close(self) -> None:
        """Release connections. Closing twice is harmless."""
        await self._connections.close()

    async def _exchange(self, command: SendCommand, *, is_question: bool) -> HttpAnswer:
        async with asyncio.timeout(self._timeout):
            tried: set[str] = set()
            while True:
                place = self._next(tried)
                try:
                    return await self._exchange_with(place, command, is_question=is_question)
                except CannotConnect:
                    tried.add(place.url)
                    self._aside[place.url] = asyncio.get_running_loop().time() + ASIDE
                    if tried.issuperset(self._urls):
                        raise

    async def _exchange_with(self, place: _Place, command: SendCommand, *, is_question: bool) -> HttpAnswer:
        if is_question:
            request = b"GET" + place.requests.head(command, 0).removeprefix(b"POST")
        else:
            request = place.requests.head(command, len(command.payload)) + command.payload
        place.calls += 1
        try:
            return await self._connections.exchange(place.requests.host, request, self._max_reply_bytes)
        finally:
            place.calls -= 1

    def _next(self, tried: set[str]) -> _Place:
        """Return the instance whose turn it is.

        Raises:
            NobodyThere: there is none.
        """
        if self._instances.urls is not self._urls:
            self._renew(self._instances.urls)
        turns = len(self._places)
        if not turns:
            raise NobodyThere
        if self._aside:
            now = asyncio.get_running_loop().time()
            self._aside = {url: until for url, until in self._aside.items() if until > now}
        for _ in range(turns):
            self._turn = (self._turn + 1) % turns
            place = self._places[self._turn]
            if place.calls < self._most_calls and place.url not in self._aside and place.url not in tried:
                return place
        # All are left out, or have their share: whoever was not tried, and has the fewest calls.
        left = [place for place in self._places if place.url not in tried] or self._places
        return min(left, key=lambda place: (place.url in self._aside, place.calls))

    def _renew(self, urls: tuple[str, ...]) -> None:
        """Take in who is up now."""
        before = {place.url: place for place in self._places}
        self._urls = urls
        self._places = [before[url] if url in before else self._place(url) for url in urls]
        for url in before.keys() - set(urls):
            self._connections.forget(before[url].requests.host)
        self._most_calls = max(1, -(-self._width // max(1, len(urls))))

    def _place(self, url: str) -> _Place:
        base = f"{url}{self._path}"
        return _Place(url, Requests(base, headers=self._headers, callback_url=self._callback_url))


def service_of(base_url: str) -> tuple[str, str]:
    """Return the service and the path that ``lb://SERVICE/PATH`` names.

    Raises:
        ValueError: it is no such address; its text is not in the message.
    """
    parts = urlsplit(base_url)
    if f"{parts.scheme}://" != SCHEME or not parts.netloc:
        raise ValueError(f"base_url must begin with {SCHEME} and name a service")
    if not _SERVICE.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise ValueError("base_url must name a service and a path, and nothing else: lb://SERVICE/PATH")
    return parts.netloc, parts.path.rstrip("/")
