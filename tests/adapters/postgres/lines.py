"""What tests put between a store and its server: a line that can be cut, and plain sessions to look and meddle with.

Rules: real sockets; a line is cut in the middle of a statement, before or after the server heard of it.
It does not: understand what passes.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from amends.adapters.postgres import Address
from amends.adapters.postgres.driver import Link
from amends.adapters.postgres.session import connect


class CuttableLine:
    """Passes everything on to a server until it is told to cut."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._listener: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._kept: list[asyncio.StreamWriter] = []
        self.cuts = 0
        self.cut_question: bytes | None = None
        """Cut instead of passing on the next thing said to the server that contains this."""
        self.cut_answer_to: bytes | None = None
        """Pass on the next thing said to the server that contains this, and cut when the answer comes."""

        self.is_closed_to_new = False
        """Hang up on whoever comes now."""
        self.keeps_server_side = False
        """Do not tell the server that the line was cut."""

    async def open(self) -> Address:
        """Return the address to use."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return replace(self._server, port=self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in tuple(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        for each in self._kept:
            each.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        if self.is_closed_to_new:
            writer.transport.abort()
            return
        up_reader, up_writer = await asyncio.open_connection(self._server.host, self._server.port)
        line = _Pair(self)
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.wait(
                {
                    asyncio.ensure_future(line.pass_on(reader, up_writer, is_question=True)),
                    asyncio.ensure_future(line.pass_on(up_reader, writer, is_question=False)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        writer.transport.abort()
        if self.keeps_server_side:
            self._kept.append(up_writer)
        else:
            up_writer.transport.abort()


class _Pair:
    def __init__(self, line: CuttableLine) -> None:
        self._line = line
        self._is_doomed = False

    async def pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_question: bool
    ) -> None:
        while data := await reader.read(65_536):
            if is_question and self._is_cut(data):
                return
            if not is_question and self._is_doomed:
                self._line.cuts += 1
                return
            writer.write(data)
            await writer.drain()

    def _is_cut(self, data: bytes) -> bool:
        line = self._line
        if line.cut_question is not None and line.cut_question in data:
            line.cut_question = None
            line.cuts += 1
            return True
        if line.cut_answer_to is not None and line.cut_answer_to in data:
            line.cut_answer_to = None
            self._is_doomed = True
        return False


@asynccontextmanager
async def session(address: Address) -> AsyncGenerator[Link, None]:
    """Open a session of nobody's, that looks into the schema."""
    link = await connect(replace(address, application="a test"), within=10)
    try:
        yield link
    finally:
        await link.close()


async def ask(address: Address, query: str, *arguments: object) -> Any:
    """Return one value."""
    async with session(address) as link:
        return await link.fetchval(query, *arguments)


async def tell(address: Address, *scripts: str) -> None:
    """Run statements."""
    async with session(address) as link:
        for script in scripts:
            await link.execute(script)


def names(rows: Sequence[Any]) -> list[str]:
    """Return the first column."""
    return [row[0] for row in rows]
