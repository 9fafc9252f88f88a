"""Keeps one orchestrator process at work: starts it, hands it cases, hears its reports, starts it again when it dies.

    async with Supervisor(example="order", directory=…, participants={"order": "http://…/commands"}, …) as supervisor:
        supervisor.start("order-1", case)

Rules:
- What an operator's supervisor would do, and no more: a process that died is started again over the same store, and is
  handed again every case whose saga has not ended. That is all it takes; what was going on goes on.
- A process that dies `MOST_FRUITLESS` times before it is ready is a fault: NotReady names its log.
- Its end is that of its standard input; SIGKILL after `PATIENCE` seconds.

Does not do: judge a saga, or reach into the store.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from examples.running.cases import Case
from examples.running.fleet import NotReady, search_path
from examples.running.orchestrate import LONGEST_LINE, NotStarted, Ready, Report, SagaSeen

MOST_FRUITLESS = 3
PATIENCE = 10.0
STORE = "saga.db"
LOG = "orchestrator.log"
PID = "orchestrator.pid"


class Supervisor:
    """Of one orchestrator process in one directory."""

    def __init__(
        self,
        *,
        example: str,
        directory: Path,
        participants: Mapping[str, str],
        arguments: Sequence[str] = (),
        hear: Callable[[SagaSeen | NotStarted], None],
        say: Callable[[str], None],
    ) -> None:
        self._example = example
        self._directory = directory
        self._participants = participants
        self._arguments = arguments
        self._hear = hear
        self._say = say
        self._lines: dict[str, bytes] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._fruitless = 0
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep(), name="keep-orchestrator")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping

    @property
    def keeping(self) -> "asyncio.Task[None]":
        """Ends only when the orchestrator cannot be kept at work, with the reason."""
        if self._keeping is None:
            message = "enter the supervisor first"
            raise RuntimeError(message)
        return self._keeping

    def start(self, saga_id: str, case: Case[Any]) -> None:
        """Have the saga of this case started, by this process or by the next one."""
        line = msgspec.json.encode(case) + b"\n"
        self._lines[saga_id] = line
        if self._process is not None:
            self._hand_over(self._process, line)

    async def _keep(self) -> None:
        while self._fruitless < MOST_FRUITLESS:
            process = await self._launch()
            try:
                self._fruitless += 1
                await self._listen(process)
                code = await process.wait()
            finally:
                self._process = None
                await self._end(process)
            self._say(
                f"orchestrator process {process.pid} {_died(code)}; starting it again over the same store"
            )
        message = f"the orchestrator does not come up; see {self._directory / LOG}"
        raise NotReady(message)

    async def _launch(self) -> asyncio.subprocess.Process:
        command = [sys.executable, "-P", "-m", "examples.running.orchestrate", "--example", self._example]
        command += ["--store", str((self._directory / STORE).resolve())]
        for name, url in self._participants.items():
            command += ["--participant", f"{name}={url}"]
        command += self._arguments
        with (self._directory / LOG).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, "PYTHONPATH": search_path()},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LONGEST_LINE,
            )
        (self._directory / PID).write_text(f"{process.pid}\n")
        return process

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Hear what the process reports, until it ends."""
        while process.stdout is not None and (line := await process.stdout.readline()):
            if not line.endswith(b"\n"):
                return
            report = msgspec.json.decode(line, type=Report)
            if isinstance(report, Ready):
                self._is_ready(process)
                continue
            if isinstance(report, NotStarted) or report.ended:
                self._lines.pop(report.id, None)
            self._hear(report)

    def _is_ready(self, process: asyncio.subprocess.Process) -> None:
        self._fruitless = 0
        self._process = process
        self._say(f"the orchestrator is process {process.pid} (kill -9 {process.pid}, and it goes on)")
        for line in self._lines.values():
            self._hand_over(process, line)

    def _hand_over(self, process: asyncio.subprocess.Process, line: bytes) -> None:
        if process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(line)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(_drained(process), timeout=PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
        (self._directory / PID).unlink(missing_ok=True)


async def _drained(process: asyncio.subprocess.Process) -> None:
    """Wait for the end, and read on meanwhile, so that nothing blocks."""
    while process.stdout is not None and await process.stdout.read(LONGEST_LINE):
        pass
    await process.wait()


def _died(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed ({signal.Signals(-code).name})"
