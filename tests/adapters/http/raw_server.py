"""A server that answers with exactly these bytes, or breaks exactly there.

Rules: a real socket on loopback; every request is kept, every connection counted; nothing sleeps.
It does not: speak HTTP beyond finding where a request ends.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from amends.adapters.http import HttpTransport
from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Connection:
    """What a script does with one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "RawServer"

    async def request(self) -> Request:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        found = Request(line, headers, body)
        self.server.requests.append(found)
        return found

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def peer_closed(self) -> None:
        """Wait until the other side has hung up."""
        while await self.reader.read(1 << 16):
            pass

    def reset(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


@dataclass
class RawServer:
    url: str = ""
    requests: list[Request] = field(default_factory=list[Request])
    connections: int = 0


@asynccontextmanager
async def serving(script: Script, *, context: ssl.SSLContext | None = None) -> AsyncGenerator[RawServer]:
    """Run `script` for each connection; with `context` over TLS."""
    server = RawServer()
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await script(Connection(reader, writer, server))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 25, ssl=context)
    scheme = "http" if context is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await listener.wait_closed()


def answer_bytes(
    status: int, body: bytes = b"", *headers: str, content_type: str | None = "application/json"
) -> bytes:
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(body)}", *headers]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def always(data: bytes) -> Script:
    """Answer every request with `data`."""

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(data)

    return script


async def answer_to(
    command: SendCommand,
    data: bytes | Script,
    *,
    callback_url: str | None = None,
    max_reply_bytes: int = 1 << 20,
) -> Answer | Accepted:
    """Send one command to a server that answers with `data`."""
    async with serving(always(data) if isinstance(data, bytes) else data) as server:
        transport = HttpTransport(server.url, callback_url=callback_url, max_reply_bytes=max_reply_bytes)
        try:
            return await transport.send(command)
        finally:
            await transport.close()
