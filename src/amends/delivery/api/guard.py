"""One connection, watched: what arrives on it goes to aiohttp's protocol, within bounds.

Rules
- A connection is *idle* (nothing of a request has come), in its *head*, *busy* (a handler has it), or *closing*.
- A head that is too long is answered 431 here and no byte of it is handed on; one that does not end in time, 408.
- While closing, what still comes is taken and dropped for a moment, so that the client gets to see its answer.
It does not: read HTTP beyond finding where a head ends; aiohttp does.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from aiohttp import web

from amends.delivery.api.problem import Problem

State: TypeAlias = Literal["idle", "head", "busy", "closing"]
END = b"\r\n\r\n"


class Guard(asyncio.Protocol):
    """Stands between a socket and the protocol `inner`. `refusal` makes the bytes of an answer to a broken head."""

    __slots__ = (
        "_changed",
        "_head",
        "_head_ended",
        "_loop",
        "_most_head",
        "_refusal",
        "_tail",
        "inner",
        "remote",
        "since",
        "state",
        "transport",
    )

    def __init__(
        self,
        *,
        inner: web.RequestHandler,
        most_head: int,
        refusal: Callable[["Guard", Problem], bytes],
        changed: Callable[["Guard"], None],
    ) -> None:
        """`changed` is told when the connection became idle or is gone (`transport` is None then)."""
        self.inner = inner
        self.state: State = "idle"
        self.transport: asyncio.Transport | None = None
        self.remote = ""
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self._most_head = most_head
        self._refusal = refusal
        self._changed = changed
        self._head = 0
        self._head_ended = False
        self._tail = b""

    @property
    def unsent(self) -> int:
        """How many bytes of answers the client has not taken yet."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        peer: tuple[Any, ...] | None = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if peer else ""
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.transport = None
        self.inner.connection_lost(exc)
        self._changed(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what came, unless its head is too long."""
        if self.state == "idle":
            self._enter("head")
        if self.state == "head" and self._is_too_long(data):
            self.refuse(Problem("head-too-long", f"the head is longer than {self._most_head} bytes"))
        else:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Take no half-closed connection: who sends no more gets no more, as with aiohttp."""
        self.inner.eof_received()
        return None

    def pause_writing(self) -> None:
        """Hand on."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self.inner.resume_writing()

    def begin(self) -> None:
        """A handler has the request."""
        self._enter("busy")

    def finish(self, *, closing: bool) -> None:
        """The answer is written."""
        self._enter("closing" if closing else "idle")
        self._changed(self)

    def refuse(self, problem: Problem) -> None:
        """Answer what aiohttp has not seen, or will not see the end of, and close."""
        transport = self.transport
        if transport is None or self.state == "closing":
            return
        self._enter("closing")
        self.inner.close()
        transport.write(self._refusal(self, problem))
        if transport.can_write_eof():
            transport.write_eof()

    def drop(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self._enter("closing")
            self.transport.abort()

    def _enter(self, state: State) -> None:
        self.state = state
        self.since = self._loop.time()
        self._head = 0
        self._head_ended = False
        self._tail = b""

    def _is_too_long(self, data: bytes) -> bool:
        if self._head_ended:
            return False
        window = self._tail + data
        end = window.find(END)
        self._head_ended = end >= 0
        self._head += (end + len(END) - len(self._tail)) if self._head_ended else len(data)
        self._tail = window[-3:]
        return self._head > self._most_head
