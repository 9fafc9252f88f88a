"""The pool of connections that HTTP transports send through, and one request and its response on each.

Rules
- A connection is opened by the call that needs it, inside the event loop of that call, and serves one request at a
  time. It is used again when its response allows it, and closed after `KEEP` seconds of doing nothing.
- A host's name is resolved for each new connection (`dialing.py`). None is used for longer than `AGE` seconds and a
  little, so what the name stands for now is found out.
- The limit is per host and there is none over all hosts: a participant that hangs uses up its own connections, and the
  others' sagas go on. Who waits for one gets it in turn.
- Nothing is sent twice, and nothing is remembered between calls: no cookies, no proxies or passwords from the
  environment. What is broken off, cancelled or unfinished closes its connection.
It does not: look into responses (`response.py`), time out, or retry.
"""

import asyncio
import ssl
from collections import deque
from typing import Final, NamedTuple

from amends.adapters.http.answers import HttpAnswer
from amends.adapters.http.dialing import dial
from amends.adapters.http.response import Response

KEEP: Final = 15.0
"""Seconds for which an idle connection is kept: less than servers keep theirs, so a call rarely meets its end."""
AGE: Final = 60.0
"""Seconds after which a connection serves its last request, however busy it is."""
APART: Final = 30
"""Of so many connections that are opened together, no two end in the same second."""


class CannotConnect(Exception):
    """No connection could be opened, so nothing was sent; the cause says why."""


class Host(NamedTuple):
    """Where a connection leads."""

    name: str
    port: int
    is_secure: bool


class Connection(asyncio.Protocol):
    """One connection; at most one request is on it."""

    __slots__ = ("_response", "_transport", "_waiting", "_way", "end", "idle_since", "is_last", "is_open")

    def __init__(self, way: "_Way") -> None:
        self._way = way
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._waiting: asyncio.Future[HttpAnswer] | None = None
        self.is_open = False
        self.is_last = False
        """The next request is its last."""
        self.idle_since = 0.0
        self.end: asyncio.TimerHandle | None = None
        """What retires it when it is old."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_open = True

    async def exchange(self, request: bytes, limit: int) -> HttpAnswer:
        """Send `request` and return its answer; of its body at most `limit` bytes."""
        if self._transport is None:
            raise ConnectionResetError("the connection was closed")
        self._response = Response(limit)
        self._waiting = waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            answer: HttpAnswer = await waiting
        except BaseException:
            self.close()
            raise
        finally:
            self._waiting = None
        if self.is_last or not self._response.reusable or self._transport.get_write_buffer_size():
            self.close()
        return answer

    def retire(self) -> None:
        """Serve no more than the request that is on it."""
        self.is_last = True
        if self._waiting is None:
            self.close()

    def data_received(self, data: bytes) -> None:
        """Take a piece of the response."""
        waiting, response = self._waiting, self._response
        if waiting is None or response is None or waiting.done():
            # Nobody asked for it: whatever it is, what comes behind it could be taken for an answer.
            self.close()
            return
        try:
            answer = response.feed(data)
        except Exception as error:  # noqa: BLE001  the caller is told
            response.reusable = False
            waiting.set_exception(error)
            return
        if answer is not None:
            waiting.set_result(answer)

    def eof_received(self) -> None:
        """The other side sends no more: that may be how the response ends."""
        self._ended(None)
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.is_open = False
        if self.end is not None:
            self.end.cancel()
        self._ended(exc)
        self._way.lost(self)

    def close(self) -> None:
        """Close at once; whoever waits for an answer is told that there is none."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def _ended(self, error: Exception | None) -> None:
        waiting, response = self._waiting, self._response
        if waiting is None or response is None or waiting.done():
            return
        response.reusable = False
        if error is not None:
            waiting.set_exception(error)
            return
        try:
            waiting.set_result(response.end())
        except Exception as broken:  # noqa: BLE001  the caller is told
            waiting.set_exception(broken)


class _Way:
    """The connections to one host."""

    def __init__(self, host: Host, most: int, context: ssl.SSLContext | None) -> None:
        self._host = host
        self._most = most
        self._context = context
        self._taken = 0
        """Connections that are open, being opened, or promised to somebody."""
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._queue: deque[asyncio.Future[Connection | None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._opened_ever = 0
        self._is_retired = False
        self._is_closed = False

    async def take(self) -> Connection:
        """Return a connection that nobody uses; wait for one when there are too many."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        if self._taken < self._most:
            self._taken += 1
            return await self._opened()
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            given = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on(turn.result())
            raise
        if given is None:
            return await self._opened()
        return given if given.is_open else await self.take()

    async def _opened(self) -> Connection:
        try:
            connection = await dial(lambda: Connection(self), self._host.name, self._host.port, self._context)
        except OSError as error:
            self._free()
            raise CannotConnect from error
        except BaseException:
            self._free()
            raise
        if not connection.is_open:
            # Closed before it was ours: `lost` did not know it.
            self._free()
            raise CannotConnect from ConnectionResetError("it was closed at once")
        self._open.add(connection)
        self._opened_ever += 1
        age = AGE + self._opened_ever % APART
        connection.end = asyncio.get_running_loop().call_later(age, connection.retire)
        connection.is_last = self._is_retired
        if self._is_closed:
            connection.close()
        return connection

    def give_back(self, connection: Connection) -> None:
        """Let the next one have it."""
        if connection.is_open:
            self._pass_on(connection)

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a connection, or the room for one, to who waits longest; keep it if nobody does."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is None:
            self._taken -= 1
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(KEEP, self._close_idle)

    def _free(self) -> None:
        self._pass_on(None)

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        if connection not in self._open:
            # It broke while it was being opened; who opens it is told.
            return
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free()
        if not self._open:
            self._emptied.set()

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        for connection in [each for each in self._idle if loop.time() - each.idle_since >= KEEP]:
            connection.close()
        left = [each.idle_since for each in self._idle if each.is_open]
        if left:
            self._sweep = loop.call_at(min(left) + KEEP, self._close_idle)

    def retire(self) -> None:
        """Close those that are idle; each of the others after the request that is on it."""
        self._is_retired = True
        for connection in list(self._open):
            connection.retire()

    async def close(self) -> None:
        """Close all of them, and return when they are closed."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for turn in self._queue:
            if not turn.done():
                turn.set_exception(_closed())
        self._queue.clear()
        for connection in list(self._open):
            connection.close()
        while self._open:
            self._emptied.clear()
            await self._emptied.wait()


class HttpConnections:
    """A pool; one can serve any number of transports, and whoever made it closes it."""

    def __init__(self, *, per_host: int = 100) -> None:
        if per_host < 1:
            raise ValueError(f"connections per host must be at least 1, not {per_host}")
        self._per_host = per_host
        self._ways: dict[Host, _Way] = {}
        self._context: ssl.SSLContext | None = None
        self._is_closed = False

    async def exchange(self, host: Host, request: bytes, limit: int) -> HttpAnswer:
        """Send `request` to `host`, once, and return its answer; of its body at most `limit` bytes.

        Raises:
            CannotConnect: there is no connection; nothing was sent.
            NotHttp, Undecodable, NoAnswer, BrokeOff, OSError: there is no answer.
        """
        way = self._ways.get(host) or self._way(host)
        connection = await way.take()
        try:
            return await connection.exchange(request, limit)
        finally:
            way.give_back(connection)

    def _way(self, host: Host) -> _Way:
        if self._is_closed:
            raise _closed()
        if host.is_secure and self._context is None:
            self._context = ssl.create_default_context()
        way = self._ways[host] = _Way(host, self._per_host, self._context if host.is_secure else None)
        return way

    def forget(self, host: Host) -> None:
        """Keep no connection to `host`; who has a request there is answered first."""
        way = self._ways.pop(host, None)
        if way is not None:
            way.retire()

    async def close(self) -> None:
        """Close all connections. Closing twice is harmless."""
        self._is_closed = True
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.close()


def _closed() -> ConnectionError:
    return ConnectionError("the pool of connections is closed")
