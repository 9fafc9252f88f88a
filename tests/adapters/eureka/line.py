"""A line to a server that can be cut and joined again.

Rules: real sockets. A line that is cut refuses whoever comes, and ends those who are there.
It does not: understand what passes.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Line:
    """Between a client and one server."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._passing: set[asyncio.Task[None]] = set()
        self.connections = 0

    @property
    def url(self) -> str:
        """What the client calls."""
        return f"http://127.0.0.1:{self._port}{self._target.path}"

    async def join(self) -> None:
        """Pass on, at the same port as before."""
        self._listener = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Pass on nothing any more."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        for task in tuple(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        self.connections += 1
        up_reader, up_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_carry(reader, up_writer), _carry(up_reader, writer))
        for each in (writer, up_writer):
            each.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def joined(url: str) -> AsyncGenerator[Line]:
    """A line that passes on."""
    line = Line(url)
    await line.join()
    try:
        yield line
    finally:
        await line.cut()
