"""The services of the three languages as processes over databases of their own, for the length of a test.

Rules: a service that is started again keeps its port and its file. Only processes started here are ended.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import ClientSession

from examples.languages.build import LANGUAGES, built

PATIENCE = 60.0


class Served:
    """One service."""

    def __init__(self, language: str, folder: Path) -> None:
        self.name = LANGUAGES[language].service
        self._command = built(language)
        self._file = folder / f"{self.name}.db"
        self._log = folder / f"{self.name}.log"
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self, *, crash_on: str = "") -> None:
        """Start it; it kills itself before it answers the command with the id `crash_on`."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *("--port", str(self._port), "--database", str(self._file), "--with-parent"),
                env={**os.environ, "CRASH_BEFORE_ANSWER": crash_on},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        said = self._log.read_text()
        assert line.startswith(b"ready http://127.0.0.1:"), f"{self.name} did not come up: {said}"
        self._port = int(line.rpartition(b":")[2])

    async def crashed(self) -> int:
        """Wait until it has ended by itself; its return code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def state(self) -> dict[str, int]:
        async with ClientSession() as client, client.get(f"{self.url}/state") as response:
            return msgspec.json.decode(await response.read(), type=dict[str, int])


@asynccontextmanager
async def served(folder: Path, languages: Sequence[str]) -> AsyncGenerator[Mapping[str, Served]]:
    """The services by their names."""
    async with AsyncExitStack() as ends:
        services = [Served(language, folder) for language in languages]
        for service in services:
            ends.push_async_callback(service.stop)
        await asyncio.gather(*(service.start() for service in services))
        yield {service.name: service for service in services}
