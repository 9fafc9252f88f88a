"""The HTTP transport: a command is a POST, its answer is the response.

Rules
- Sent once: nothing is repeated, no redirect is followed. What came back is classified (`answers.py`), what broke as
  well (`faults.py`); nothing but cancellation is raised.
- Bounded: connections per host, the time of a call, and the bytes of a reply; a longer one is cut off unread.
It does not: retry, wait for callbacks (`callbacks.py`), or look into payloads.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from amends.adapters.http.answers import HttpAnswer, meaning
from amends.adapters.http.connections import HttpConnections
from amends.adapters.http.faults import fault_of
from amends.adapters.http.requests import Requests
from amends.adapters.http.status import known
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports.clock import Clock
from amends.ports.transport import Binding


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)


class HttpTransport:
    """One participant behind a base URL.

    `connections`: how many at once, or a pool that is shared with other transports and closed by whoever made it.
    `callback_url`: where a participant that answers 202 sends its reply; without it a 202 is a fault of configuration.
    `status`: the participant can be asked what became of a command.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: timedelta = timedelta(seconds=30),
        headers: Mapping[str, str] | None = None,
        connections: int | HttpConnections = 100,
        callback_url: str | None = None,
        max_reply_bytes: int = 1 << 20,
        clock: Clock | None = None,
        status: bool = False,
    ) -> None:
        if timeout <= timedelta(0):
            raise ValueError(f"timeout must be longer than nothing, not {timeout}")
        if max_reply_bytes < 1:
            raise ValueError(f"max_reply_bytes must be at least 1, not {max_reply_bytes}")
        self._requests = Requests(base_url, headers=headers, callback_url=callback_url)
        self._timeout = timeout.total_seconds()
        self._owns_connections = not isinstance(connections, HttpConnections)
        self._connections = (
            connections if isinstance(connections, HttpConnections) else HttpConnections(per_host=connections)
        )
        self._has_callback = callback_url is not None
        self._max_reply_bytes = max_reply_bytes
        self._clock: Clock = clock or SystemClock()
        self._knows = status

    @property
    def binding(self) -> Binding:
        """Where commands go; the URL never holds credentials."""
        return Binding("http", self._requests.base_url)

    async def send(self, command: SendCommand) -> Answer | Accepted:
        """Deliver `command` once and return what the participant said."""
        try:
            answer = await self._exchange(
                self._requests.head(command, len(command.payload)) + command.payload
            )
            return meaning(
                answer, direction=command.direction, has_callback=self._has_callback, clock=self._clock
            )
        except Exception as error:  # noqa: BLE001 - the port's rule: whatever happens is an answer
            return fault_of(error, origin=self._requests.origin)

    @property
    def knows(self) -> bool:
        """Whether the participant can be asked what became of a command."""
        return self._knows

    async def status(self, command: SendCommand) -> Answer | None:
        """Ask what became of `command`; None when nobody knows."""
        try:
            asking = self._requests.head(command, 0).removeprefix(b"POST")
            return known(await self._exchange(b"GET" + asking))
        except Exception:  # noqa: BLE001 - who cannot be asked says nothing; the attempt has a reason of its own
            return None

    async def close(self) -> None:
        """Release connections. Closing twice is harmless."""
        if self._owns_connections:
            await self._connections.close()

    async def _exchange(self, request: bytes) -> HttpAnswer:
        async with asyncio.timeout(self._timeout):
            return await self._connections.exchange(self._requests.host, request, self._max_reply_bytes)
