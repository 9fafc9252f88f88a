"""The processes that serve: some `amends serve` over one store, each started again when it dies.

    async with Cluster(directory, store=…, participants=…, processes=2) as cluster:
        cluster.members[0].signal(SIGKILL)

Rules: only processes that were started here are signalled, by their ids. A process keeps its port. Whoever wants a
process that takes work asks `up`; one that died is born again at once, until the cluster closes.
It does not: decide who dies, or start sagas.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from examples.running.fleet import ROOT, search_path
from tests.crash.cluster.fused_service import Birth
from tests.crash.restarts import SERVING, free_port

READY_WITHIN = 60.0
ENDED_WITHIN = 30.0
REFUSED_AGAIN = 0.2
"""Seconds after which a process is born again that ended by itself: its store may be away."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all processes have in common."""

    directory: Path
    store: str
    """`database.url`."""
    targets: Sequence[str]
    participants: Mapping[str, str]
    """The URL by the name under `microservices`."""
    processes: int = 1
    settings: Sequence[str] = ()
    """More lines of the configuration."""
    fuses: Path | None = None
    liar: bool = False

    def configuration(self, number: int, port: int) -> Path:
        """Write what process `number` is configured with."""
        lines = [f"server:\n  port: {port}", f"database:\n  url: {self.store}", "microservices:"]
        lines += [f"  {name}: {url}" for name, url in self.participants.items()]
        path = self.directory / f"member-{number}.yaml"
        path.write_text("\n".join([*lines, *self.settings]) + "\n")
        return path


@dataclass
class Member:
    """One place in the cluster: a process at a time."""

    plan: Plan
    number: int
    port: int = field(default_factory=free_port)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    births: int = 0
    pid: int = 0
    exits: list[int] = field(default_factory=list[int])
    _nursery: asyncio.subprocess.Process | None = None
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list["asyncio.Task[None]"])
    _dead: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.plan.directory / f"member-{self.number}.log"

    async def start(self) -> None:
        """Be born and wait until work may come."""
        self._nursery = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.cluster.fused_service"),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": search_path()},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._nursery.stdout is not None
        assert await self._nursery.stdout.readline() == b"ready\n", self.log
        self._tasks = [
            asyncio.create_task(self._live(self._nursery)),
            asyncio.create_task(self._keep_log(self._nursery)),
        ]
        async with asyncio.timeout(READY_WITHIN):
            await self.up.wait()

    async def stop(self) -> int:
        """End in good order; return the exit code."""
        self._closing = True
        if self.pid:
            self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(ENDED_WITHIN):
                await self._dead.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
        if self._nursery is not None and self._nursery.stdin is not None:
            self._nursery.stdin.close()
            await self._nursery.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.exits[-1] if self.exits else 0

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to the process; return its id, 0 if there is none."""
        if self.pid:
            os.kill(self.pid, number)
            if number is signal.SIGKILL:
                self.up.clear()
        return self.pid

    async def _live(self, nursery: asyncio.subprocess.Process) -> None:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        path = self.plan.configuration(self.number, self.port)
        fuses = str(self.plan.fuses or "")
        birth = Birth(
            arguments=["serve", *self.plan.targets, "--config", str(path)], fuses=fuses, liar=self.plan.liar
        )
        while not self._closing:
            nursery.stdin.write(msgspec.json.encode(birth) + b"\n")
            self.births += 1
            self.pid = int((await nursery.stdout.readline()).split()[1])
            code = int((await nursery.stdout.readline() or b"exit 1").split()[1])
            self.pid = 0
            self.up.clear()
            self.exits.append(code)
            if code > 0 and not self._closing:
                await pause(REFUSED_AGAIN)
        self._dead.set()

    async def _keep_log(self, nursery: asyncio.subprocess.Process) -> None:
        assert nursery.stderr is not None
        with self.log.open("ab") as log:
            while line := await nursery.stderr.readline():
                log.write(line)
                log.flush()
                if line.startswith(SERVING):
                    self.up.set()


class Cluster:
    """All processes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.members = [Member(plan, number) for number in range(1, plan.processes + 1)]

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(*(member.start() for member in self.members))
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> list[int]:
        """End all in good order; return their exit codes."""
        return list(await asyncio.gather(*(member.stop() for member in self.members)))

    async def any_up(self) -> None:
        """Wait until one of them serves."""
        waits = [asyncio.ensure_future(member.up.wait()) for member in self.members]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    @property
    def kills(self) -> int:
        """How many processes died of SIGKILL."""
        return sum(code == -signal.SIGKILL for member in self.members for code in member.exits)


async def pause(seconds: float) -> None:
    """Let time pass for something outside: the length of an outage is what is being tried."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await over.wait()
