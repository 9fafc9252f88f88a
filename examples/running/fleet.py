"""The services of an example as processes: starts them, starts again what crashed, ends them.

    async with Fleet(directory=Path("run"), services={"payment": "examples.…"}) as fleet:
        fleet.commands("payment")        # http://127.0.0.1:PORT/commands, the base of the service's commands

Rules:
- Everything lies in the directory: `product.db`, `product.pid`, `product.log` and so on. A second fleet over the same
  directory goes on where the first one ended; two at once in one directory are not allowed.
- A service keeps its port when it is started again, whether it crashed or was restarted.
- Only processes that this object started are ended: SIGTERM first, SIGKILL after `PATIENCE` seconds. If the fleet's own
  process dies, the services notice (their standard input closes) and end by themselves.
- A service that does not come up, or that crashed `MOST_RESTARTS` times, is an error that says where its log is.
"""

import asyncio
import contextlib
import fcntl
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PATIENCE = 10.0
READY_WITHIN = 60.0
"""Seconds, on a machine that has other things to do; a service that ends meanwhile is noticed at once."""
MOST_RESTARTS = 100
ROOT = Path(__file__).resolve().parents[2]


class DirectoryInUse(RuntimeError):
    """Another fleet runs in this directory."""


class NotReady(RuntimeError):
    """A service did not come up."""


@dataclass
class _Running:
    process: asyncio.subprocess.Process
    url: str
    restarts: int = 0


class Fleet:
    """The services of one directory; `services` gives the module of each by its name, `arguments` go to all of them."""

    def __init__(
        self,
        *,
        directory: Path,
        services: Mapping[str, str],
        seed: Path | None = None,
        ports: Mapping[str, int] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._services = services
        self._seed = seed
        self._arguments = arguments
        self._ports: dict[str, int] = dict(ports or {})
        self._running: dict[str, _Running] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._lock: IO[bytes] | None = None
        self._up: dict[str, asyncio.Event] = {name: asyncio.Event() for name in services}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def url(self, service: str) -> str:
        """Where the service listens: `http://127.0.0.1:PORT`."""
        return self._running[service].url

    def commands(self, service: str) -> str:
        """The base of the service's commands."""
        return f"{self.url(service)}/commands"

    def restarts(self, service: str) -> int:
        """How often the service was started again."""
        return self._running[service].restarts

    async def start(self) -> None:
        """Start them all; when one does not come up, end the others and raise NotReady."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self._directory / "fleet.lock")
        try:
            await asyncio.gather(*(self._start(service) for service in self._services))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all that run, and wait until they have ended."""
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        self._watchers.clear()
        await asyncio.gather(*(self._end(name, running.process) for name, running in self._running.items()))
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def kill(self, service: str) -> None:
        """End one service with SIGKILL; it is started again, as after any crash. Returns when it is up again."""
        self._up[service].clear()
        self._running[service].process.kill()
        await self.up(service)

    async def up(self, service: str) -> None:
        """Wait until the service runs; raises what kept it from being started again."""
        waiting = asyncio.ensure_future(self._up[service].wait())
        await asyncio.wait({waiting, self._watchers[service]}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            self._watchers[service].result()

    async def _start(self, service: str) -> None:
        process, url = await self._launch(service)
        self._running[service] = _Running(process, url)
        self._ports[service] = int(url.rpartition(":")[2])
        self._up[service].set()
        self._watchers[service] = asyncio.create_task(self._watch(service), name=f"watch-{service}")

    async def _watch(self, service: str) -> None:
        running = self._running[service]
        while True:
            await running.process.wait()
            self._up[service].clear()
            if running.restarts >= MOST_RESTARTS:
                message = (
                    f"the {service} service crashed {MOST_RESTARTS} times; see {self._path(service, 'log')}"
                )
                raise NotReady(message)
            running.restarts += 1
            running.process, running.url = await self._launch(service)
            self._up[service].set()

    async def _launch(self, service: str) -> tuple[asyncio.subprocess.Process, str]:
        with self._path(service, "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command(service),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": search_path()},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            url = await self._ready(service, process)
        except BaseException:
            await self._end(service, process)
            raise
        self._path(service, "pid").write_text(f"{process.pid}\n")
        return process, url

    def _command(self, service: str) -> list[str]:
        command = [
            sys.executable,
            "-m",
            self._services[service],
            "--with-parent",
            "--port",
            str(self._ports.get(service, 0)),
        ]
        command += ["--database", str(self._path(service, "db").resolve())]
        if self._seed is not None:
            command += ["--seed", str(self._seed.resolve())]
        if self._arguments:
            command += [*self._arguments, "--participant", service]
        return command

    async def _ready(self, service: str, process: asyncio.subprocess.Process) -> str:
        line = b""
        if process.stdout is not None:
            with contextlib.suppress(TimeoutError):
                line = await asyncio.wait_for(process.stdout.readline(), timeout=READY_WITHIN)
        word, _, url = line.decode().strip().partition(" ")
        if word != "ready":
            message = f"the {service} service did not come up; see {self._path(service, 'log')}"
            raise NotReady(message)
        return url

    async def _end(self, service: str, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout=PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
        self._path(service, "pid").unlink(missing_ok=True)

    def _path(self, service: str, kind: str) -> Path:
        return self._directory / f"{service}.{kind}"


def _locked(path: Path) -> IO[bytes]:
    """The open lock file; the lock goes when it is closed, or when its process dies."""
    lock = path.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        message = f"another fleet runs in {path.parent}; stop it or take another directory"
        raise DirectoryInUse(message) from None
    return lock


def search_path() -> str:
    """Where the interpreter of a process of ours finds amends and the examples: the checkout first."""
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(ROOT / "src"), str(ROOT), *([inherited] if inherited else [])])
