"""Processes that share a store (`lives`), and what they say, with the time at which they said it.

It does not: judge.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.adapters.postgres import shared_server

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60


class Process:
    """One of them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[tuple[float, str]] = []
        self._news = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._news:
                self.said.append((time.monotonic(), line.decode().rstrip()))
                self._news.notify_all()

    def tell(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(words) + "\n").encode())

    async def heard(self, beginning: str, *, times: int = 1) -> float:
        """Wait until a line with this beginning was said so many times; return when."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.lines(beginning)) >= times)
        return [moment for moment, line in self.said if line.startswith(beginning)][times - 1]

    def lines(self, beginning: str) -> list[str]:
        return [line for _, line in self.said if line.startswith(beginning)]

    async def held(self) -> int:
        """Ask how many shards it holds."""
        times = len(self.lines("held")) + 1
        self.tell("hold")
        await self.heard("held", times=times)
        return int(self.lines("held")[-1].split()[1])

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def gone(self) -> None:
        """Wait until it has ended."""
        async with asyncio.timeout(PATIENCE):
            await self._process.wait()
            await self._listening

    async def end(self) -> None:
        """End it, however it stands."""
        if self._process.returncode is None:
            self.send(signal.SIGKILL)
        await self.gone()


@asynccontextmanager
async def process(schema: str, *, lease: float = 5) -> AsyncGenerator[Process, None]:
    """Start a member, and wait until it is ready."""
    url = shared_server.server().local_address
    async with running("tests.sharing.lives", url, schema, str(lease)) as started:
        yield started


@asynccontextmanager
async def running(module: str, *arguments: str) -> AsyncGenerator[Process, None]:
    """Start a module as a process, and wait until it is ready."""
    started = Process(
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
    )
    try:
        await started.heard("ready")
        yield started
    finally:
        await started.end()


async def shares(wanted: list[int], *members: Process) -> None:
    """Wait until they hold so many shards each."""
    async with asyncio.timeout(PATIENCE):
        while [await each.held() for each in members] != wanted:
            pass
