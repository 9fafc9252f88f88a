"""The HTTP transport: a command is a POST, its answer is the response.

Rules
- ``POST {base_url}/{command name}``, the payload's bytes as they are; who it is about stands in headers, and
  `Idempotency-Key` is the command id, the same for every attempt.
- Sent once: nothing is repeated, no redirect is followed. What came back is classified (`answers.py`), what broke as
  well (`faults.py`); nothing but cancellation is raised.
- Bounded: connections per host, the time of a call, and the bytes of a reply; a longer one is cut off unread.
It does not: retry, wait for callbacks (`callbacks.py`), or look into payloads.
"""

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from aiohttp import ClientResponse, ClientTimeout, hdrs
from multidict import CIMultiDict, istr
from yarl import URL

from amends.adapters.http.answers import HttpAnswer, meaning
from amends.adapters.http.connections import HttpConnections
from amends.adapters.http.faults import fault_of
from amends.adapters.http.status import known
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports.clock import Clock
from amends.ports.transport import Binding

_IDEMPOTENCY_KEY = istr("Idempotency-Key")
_SAGA_ID = istr("Amends-Saga-Id")
_NAMESPACE = istr("Amends-Namespace")
_STEP = istr("Amends-Step")
_DIRECTION = istr("Amends-Direction")
_ROUND = istr("Amends-Round")
_ATTEMPT = istr("Amends-Attempt")
_REPLY_TO = istr("Amends-Reply-To")

_RESERVED = frozenset(
    {"idempotency-key", "content-type", "content-length", "transfer-encoding", "host", "connection"}
)
"""Headers that the contract or HTTP itself sets, besides all that begin with `Amends-`."""

_MAX_URLS = 10_000
_LARGE = 1 << 20
"""From this size on aiohttp wants a body as a stream, and writes it piece by piece."""


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
        self._base_url = _checked_url(base_url, "base_url").rstrip("/")
        self._origin = str(URL(self._base_url).origin())
        self._urls: dict[str, URL] = {}
        self._timeout = ClientTimeout(total=timeout.total_seconds())
        self._fixed_headers = _fixed_headers(headers or {}, callback_url)
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
        return Binding("http", self._base_url)

    async def send(self, command: SendCommand) -> Answer | Accepted:
        """Deliver `command` once and return what the participant said."""
        try:
            answer = await self._exchange(command)
            return meaning(
                answer, direction=command.direction, has_callback=self._has_callback, clock=self._clock
            )
        except Exception as error:  # noqa: BLE001 - the port's rule: whatever happens is an answer
            return fault_of(error, origin=self._origin)

    @property
    def knows(self) -> bool:
        """Whether the participant can be asked what became of a command."""
        return self._knows

    async def status(self, command: SendCommand) -> Answer | None:
        """Ask what became of `command`; None when nobody knows."""
        try:
            return known(await self._exchange(command, asking=True))
        except Exception:  # noqa: BLE001 - who cannot be asked says nothing; the attempt has a reason of its own
            return None

    async def close(self) -> None:
        """Release connections. Closing twice is harmless."""
        if self._owns_connections:
            await self._connections.close()

    async def _exchange(self, command: SendCommand, *, asking: bool = False) -> HttpAnswer:
        payload = b"" if asking else command.payload
        response = await self._connections.session().request(
            hdrs.METH_GET if asking else hdrs.METH_POST,
            self._urls.get(command.name) or self._url(command.name),
            data=None if asking else payload if len(payload) < _LARGE else io.BytesIO(payload),
            headers=self._headers(command),
            allow_redirects=False,
            timeout=self._timeout,
        )
        try:
            body = await _read(response, self._max_reply_bytes)
        except BaseException:
            response.close()
            raise
        headers = response.headers
        return HttpAnswer(
            response.status,
            headers.get(hdrs.CONTENT_TYPE, ""),
            body,
            headers.get(hdrs.RETRY_AFTER),
            headers.get(hdrs.LOCATION),
        )

    def _headers(self, command: SendCommand) -> CIMultiDict[str]:
        if not command.command_id.isascii():
            # It holds all other ids. aiohttp replaces half a surrogate pair, and two ids would become one: raise.
            command.command_id.encode()
        headers = self._fixed_headers.copy()
        headers[_IDEMPOTENCY_KEY] = command.command_id
        headers[_SAGA_ID] = command.saga_id
        headers[_NAMESPACE] = command.namespace
        headers[_STEP] = command.step
        headers[_DIRECTION] = command.direction
        headers[_ROUND] = str(command.round)
        headers[_ATTEMPT] = str(command.attempt)
        return headers

    def _url(self, name: str) -> URL:
        # Already quoted, so `encoded`: a name stays one path segment, whatever characters it has.
        url = URL(f"{self._base_url}/{quote(name, safe='')}", encoded=True)
        if len(self._urls) < _MAX_URLS:
            self._urls[name] = url
        return url


async def _read(response: ClientResponse, limit: int) -> bytes | None:
    """Return the body; None, and the connection closed, when it is longer than `limit`."""
    length = response.content_length
    if length is not None and length > limit:
        response.close()
        return None
    if length is not None and hdrs.CONTENT_ENCODING not in response.headers:
        return await response.read()
    # Chunked, or compressed: what counts is what comes out, so it is watched while it does.
    received = bytearray()
    while piece := await response.content.readany():
        received += piece
        if len(received) > limit:
            response.close()
            return None
    return bytes(received)


def _fixed_headers(headers: Mapping[str, str], callback_url: str | None) -> CIMultiDict[str]:
    for name in headers:
        if name.lower() in _RESERVED or name.lower().startswith("amends-"):
            raise ValueError(f"the header {name} is set by the transport itself")
    fixed = CIMultiDict(headers)
    fixed[hdrs.CONTENT_TYPE] = "application/json"
    if callback_url is not None:
        fixed[_REPLY_TO] = _checked_url(callback_url, "callback_url")
    return fixed


def _checked_url(url: str, setting: str) -> str:
    """Return `url` when it is one to call; its text is not repeated in the error, it may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{setting} must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{setting} must not hold credentials; give them in a header")
    if setting == "base_url" and (parts.query or parts.fragment):
        raise ValueError(
            f"{setting} must not have a query or a fragment; the command's name is put behind it"
        )
    return url
