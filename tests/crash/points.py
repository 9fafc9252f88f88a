"""Crash points: where the process kills itself, injected around the product's ports from outside.

Rules
- A point is a kind and a number, counted from 1 in one life of the process:
  `before-commit` n: the n-th append was ordered and nothing of it is stored;
  `after-commit` n: it is durable and nobody knows yet;
  `after-send` n: the n-th command has left completely, its answer has not come (a relay in front of each participant
  forwards the bytes and sees the end of the request);
  `after-reply` n: the n-th answer has arrived and the engine does not know it yet.
- The kill is SIGKILL: nothing is flushed, closed or rolled back.
It does not: change what passes, or know the engine.
"""

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec

from amends.core.effect import SendCommand
from amends.core.outcome import Accepted, Answer
from amends.ports import (
    Append,
    DefinitionNote,
    EventStore,
    Logged,
    OpenInstance,
    SetIndex,
    StreamKey,
    Transition,
    Transport,
)

Kind: TypeAlias = Literal["before-commit", "after-commit", "after-send", "after-reply"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Point(msgspec.Struct, frozen=True):
    """The n-th time that something of this kind happens."""

    kind: Kind
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


class Fuse:
    """Counts what happens, and kills the process where it was told to."""

    def __init__(self, point: Point | None) -> None:
        self._point = point
        self._counts: Counter[Kind] = Counter()

    def burn(self, kind: Kind) -> None:
        self._counts[kind] += 1
        if self._point == Point(kind, self._counts[kind]):
            os.kill(os.getpid(), signal.SIGKILL)


class CrashStore:
    """An event store whose process may die before or after a commit."""

    def __init__(self, store: EventStore, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    @property
    def commits_elsewhere(self) -> bool:
        return self._store.commits_elsewhere

    async def open(self) -> None:
        await self._store.open()

    async def append(self, batch: Sequence[Append]) -> Sequence[bool]:
        self._fuse.burn("before-commit")
        verdicts = await self._store.append(batch)
        self._fuse.burn("after-commit")
        return verdicts

    async def reindex(self, key: StreamKey, change: SetIndex) -> None:
        await self._store.reindex(key, change)

    async def read(self, key: StreamKey, *, after: int = 0, limit: int | None = None) -> Sequence[Transition]:
        return await self._store.read(key, after=after, limit=limit)

    async def log(self, *, after: int = 0, limit: int = 1000) -> Sequence[Logged]:
        return await self._store.log(after=after, limit=limit)

    async def log_end(self) -> int:
        return await self._store.log_end()

    async def settled_end(self) -> int:
        return await self._store.settled_end()

    async def definitions(self) -> Sequence[DefinitionNote]:
        return await self._store.definitions()

    async def note_definitions(self, notes: Sequence[DefinitionNote]) -> None:
        await self._store.note_definitions(notes)

    async def open_instances(
        self, *, after: StreamKey | None = None, limit: int = 1000
    ) -> Sequence[OpenInstance]:
        return await self._store.open_instances(after=after, limit=limit)

    async def due(self, now: datetime, *, limit: int = 1000) -> Sequence[OpenInstance]:
        return await self._store.due(now, limit=limit)

    async def next_wake(self) -> datetime | None:
        return await self._store.next_wake()

    async def close(self) -> None:
        await self._store.close()


class CrashTransport:
    """A transport whose process may die when an answer has arrived."""

    def __init__(self, transport: Transport, fuse: Fuse) -> None:
        self._transport = transport
        self._fuse = fuse

    async def send(self, command: SendCommand) -> Answer | Accepted:
        answer = await self._transport.send(command)
        self._fuse.burn("after-reply")
        return answer

    async def close(self) -> None:
        await self._transport.close()


class Relay:
    """Forwards a participant's connections, and may die when it has forwarded a whole request."""

    def __init__(self, url: str, sent: Callable[[bytes], None]) -> None:
        """Stand before the participant at `url`; `sent` is told the head of each request that has left completely."""
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "127.0.0.1", parts.port or 80, parts.path
        self._sent = sent
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Return where the relay listens, with the path of the participant's own address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}{self._path}"

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            back, forth = await asyncio.open_connection(self._host, self._port)
            answers = asyncio.create_task(_pass_on(back, writer))
            with suppress(OSError):
                await self._pass_requests(reader, forth)
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            forth.close()
        writer.close()

    async def _pass_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = bytearray()
        while piece := await reader.read(65_536):
            received += piece
            writer.write(piece)
            await writer.drain()
            while (length := _request_length(received)) and len(received) >= length:
                head = bytes(received).partition(b"\r\n\r\n")[0]
                del received[:length]
                self._sent(head)


def _request_length(received: bytearray) -> int:
    """Return how long the first request is, 0 as long as its head is not complete."""
    head, end, _rest = bytes(received).partition(b"\r\n\r\n")
    if not end:
        return 0
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    return len(head) + len(end) + (int(found[1]) if found else 0)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
