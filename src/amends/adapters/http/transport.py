"""The HTTP transport: a command is a POST, its answer is the response.

Rules
- ``POST {base_url}/{command name}``, the payload's bytes as they are; who it is about stands in headers, and
  `Idempotency-Key` is the command id, the same for every attempt.
- Sent once: nothing is repeated, no redirect is followed. What came back is classified (`answers.py`), what broke as
  well (`faults.py`); nothing but cancellation is raised.
- Bounded: connections per host, the time of a call, and the bytes of a reply; a longer one is cut off unread.
It does not: retry, wait for callbacks (`callbacks.py`), or look into payloads.
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from yarl import URL

from amends.adapters.http.answers import HttpAnswer, meaning
from amends.adapters.http.connections import Host, HttpConnections
from amends.adapters.http.faults import fault_of
from amends.adapters.http.status import known
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports.clock import Clock
from amends.ports.transport import Binding

_RESERVED = frozenset(
    {"idempotency-key", "content-type", "content-length", "transfer-encoding", "host", "connection"}
)
"""Headers that the contract or HTTP itself sets, besides all that begin with `Amends-`."""
_USUAL = {
    "User-Agent": "amends",
    "Accept": "application/json, application/problem+json",
    "Accept-Encoding": "gzip, deflate",
}
"""What is sent unless a binding's own headers say otherwise."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_MAX_HEADS = 10_000


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
        url = URL(self._base_url)
        self._origin = str(url.origin())
        self._host = Host(url.raw_host or "", url.port or 0, url.scheme == "https")
        self._path = url.raw_path.rstrip("/")
        self._heads: dict[str, str] = {}
        self._timeout = timeout.total_seconds()
        self._fixed = _fixed_lines(url.host_port_subcomponent or "", headers or {}, callback_url)
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
            answer = await self._exchange(self._head(command, len(command.payload)) + command.payload)
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
            asking = self._head(command, 0).removeprefix(b"POST")
            return known(await self._exchange(b"GET" + asking))
        except Exception:  # noqa: BLE001 - who cannot be asked says nothing; the attempt has a reason of its own
            return None

    async def close(self) -> None:
        """Release connections. Closing twice is harmless."""
        if self._owns_connections:
            await self._connections.close()

    async def _exchange(self, request: bytes) -> HttpAnswer:
        async with asyncio.timeout(self._timeout):
            return await self._connections.exchange(self._host, request, self._max_reply_bytes)

    def _head(self, command: SendCommand, length: int) -> bytes:
        """Return everything in front of a payload of `length` bytes.

        Raises:
            ValueError: a part of it cannot stand in a header.
        """
        command_id, saga_id, namespace, step = (
            command.command_id,
            command.saga_id,
            command.namespace,
            command.step,
        )
        for text in (command_id, saga_id, namespace, step):
            # Two looks that cost nothing; only what is not plain is looked at closely.
            if not (text.isascii() and text.isprintable()) and _CONTROL.search(text):
                raise ValueError("an id with a control character cannot stand in a header")
        head = (
            f"{self._heads.get(command.name) or self._command_lines(command.name)}"
            f"Idempotency-Key: {command_id}\r\n"
            f"Amends-Saga-Id: {saga_id}\r\n"
            f"Amends-Namespace: {namespace}\r\n"
            f"Amends-Step: {step}\r\n"
            f"Amends-Direction: {command.direction}\r\n"
            f"Amends-Round: {command.round}\r\n"
            f"Amends-Attempt: {command.attempt}\r\n"
            f"{_trace_lines(command)}"
            f"Content-Length: {length}\r\n\r\n"
        )
        # Half a surrogate pair raises here: replaced by something else, two ids would become one.
        return head.encode()

    def _command_lines(self, name: str) -> str:
        """Return the first line and the headers that are the same for every command of this name."""
        # Quoted whole: a name stays one path segment, whatever characters it has.
        lines = f"POST {self._path}/{quote(name, safe='')} HTTP/1.1\r\n{self._fixed}"
        if len(self._heads) < _MAX_HEADS:
            self._heads[name] = lines
        return lines


def _trace_lines(command: SendCommand) -> str:
    if command.trace is None:
        return ""
    trace = command.trace()
    state = f"tracestate: {trace.state}\r\n" if trace.state else ""
    return f"traceparent: {trace.parent}\r\n{state}"


def _fixed_lines(host: str, headers: Mapping[str, str], callback_url: str | None) -> str:
    """Return the headers that every call has, line by line."""
    for name, value in headers.items():
        if name.lower() in _RESERVED or name.lower().startswith("amends-"):
            raise ValueError(f"the header {name} is set by the transport itself")
        if _NAME.fullmatch(name) is None or _CONTROL.search(value):
            raise ValueError(
                f"the header {name!r} cannot be sent: its name or its value has forbidden characters"
            )
    own = {name.lower() for name in headers}
    fixed = {
        "Host": host,
        **{name: value for name, value in _USUAL.items() if name.lower() not in own},
        **headers,
    }
    fixed["Content-Type"] = "application/json"
    if callback_url is not None:
        fixed["Amends-Reply-To"] = _checked_url(callback_url, "callback_url")
    return "".join(f"{name}: {value}\r\n" for name, value in fixed.items())


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
