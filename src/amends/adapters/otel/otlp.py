"""Spans to an OTLP receiver, over HTTP: gathered, and sent beside everything else.

Rules
- `emit` writes a span at the end of the batch that gathers: no object for each is kept, because what comes and goes in
  memory costs more than the writing. The room is bounded. A task sends what gathered, once a second or when enough did,
  in a thread of its own.
- While the receiver is away spans are kept up to `MOST`, further ones are lost and counted. That is said once when it
  begins and once when it ends. A receiver that refuses spans (400, 401…) is not asked to take the same ones again.
- Closing sends what is left, for `LAST` seconds at most.
It does not: make spans or sample.
"""

import asyncio
import logging
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from amends.adapters.otel.doing import current
from amends.adapters.otel.encoding import Encoder
from amends.core.effect import TraceContext
from amends.ports.telemetry import Span
from amends.wire.excerpt import excerpt

MOST: Final = 20_000
"""Spans that are kept while they cannot be sent."""
BATCH: Final = 2_000
"""Spans in one request; with so many it is sent at once."""
EVERY: Final = 1.0
"""Seconds between two requests otherwise."""
LAST: Final = 3.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that say: later."""

log = logging.getLogger("amends.telemetry")


class Batch:
    """Spans that are sent together."""

    __slots__ = ("count", "spans")

    def __init__(self) -> None:
        """Begin with none."""
        self.count = 0
        self.spans = bytearray()
        """One behind the other, as they are sent."""


class OtlpSpans:
    """Fills the span sink port. `lost` counts spans that could not be kept or were refused."""

    def __init__(
        self,
        endpoint: str,
        *,
        resource: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
        most: int = MOST,
    ) -> None:
        """`endpoint`: the receiver's address, to which ``/v1/traces`` is added; `timeout`: seconds of one request.

        Raises:
            ValueError: the address cannot be used.
        """
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                "the address of an OTLP receiver begins with http:// or https:// and names a host"
            )
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._shown = f"{parts.scheme}://{parts.hostname}:{parts.port or 4318}"
        self._headers = {"Content-Type": "application/x-protobuf", "User-Agent": "amends", **(headers or {})}
        self._encoder = Encoder(resource, scope="amends", version=version("amends"))
        self._timeout = timeout
        self._most = most
        self._full: deque[Batch] = deque()
        """Batches that are to be sent, the oldest first."""
        self._gathering = Batch()
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="amends-telemetry")
        self._sending: asyncio.Task[None] | None = None
        self._closing = False
        self._trouble = ""
        self.lost = 0

    @property
    def trouble(self) -> str:
        """Why spans are not taken just now; empty when they are."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """How many spans are kept."""
        return len(self._full) * BATCH + self._gathering.count

    def emit(self, span: Span) -> None:
        """Keep a span until it is sent."""
        batch = self._gathering
        if len(self._full) * BATCH + batch.count >= self._most:
            self.lost += 1
            return
        batch.spans += self._encoder.span(span)
        batch.count += 1
        if batch.count == BATCH:
            self._full.append(batch)
            self._gathering = Batch()
            self._wake.set()

    def _next_batch(self) -> Batch:
        """Return the oldest full batch; if none is full, what has gathered."""
        if self._full:
            return self._full.popleft()
        batch, self._gathering = self._gathering, Batch()
        return batch

    def doing(self) -> TraceContext | None:
        """Return what the application's own tracing says is being done."""
        return current()

    async def open(self) -> None:
        """Begin to send."""
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="amends-telemetry")

    async def close(self) -> None:
        """Send what is left, if the receiver takes it soon. Closing twice is harmless."""
        sending, self._sending = self._sending, None
        if sending is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait({sending}, timeout=LAST)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.lost += self.waiting
        if self._trouble:
            log.warning("%d spans were lost: %s", self.lost, self._trouble)
        self._full.clear()
        self._gathering = Batch()

    async def _send(self) -> None:
        while self.waiting or not self._closing:
            if not (self._full or self._closing):
                await self._pause(EVERY)
            batch = self._next_batch()
            if batch.count and not await self._sent(batch):
                return

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _sent(self, batch: Batch) -> bool:
        """Send a batch, however often that takes; False: it is time to end."""
        pause = 0.0
        loop = asyncio.get_running_loop()
        body = self._encoder.body(batch.spans)
        while True:
            try:
                await loop.run_in_executor(self._thread, self._post, body)
            except urllib.error.HTTPError as error:
                self._begins(f"the receiver answered {error.code}")
                if error.code not in PASSING:
                    self.lost += batch.count
                    return True
            except (OSError, ValueError) as error:
                self._begins(excerpt(str(error)) or type(error).__name__)
            else:
                self._ends()
                return True
            if self._closing:
                self.lost += batch.count
                return False
            pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Wait before the next try; that many gathered meanwhile is no reason to hurry, the end is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._closing and (left := until - loop.time()) > 0:
            await self._pause(left)

    def _post(self, body: bytes) -> None:
        request = urllib.request.Request(self._url, body, self._headers, method="POST")  # noqa: S310  the scheme was checked
        with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310  as above
            answer.read()

    def _begins(self, text: str) -> None:
        if not self._trouble:
            log.warning("spans are not taken by %s, sagas go on: %s", self._shown, text)
        self._trouble = text

    def _ends(self) -> None:
        if self._trouble:
            self._trouble = ""
            log.warning("spans are taken again by %s; %d were lost", self._shown, self.lost)
