"""A demo as a newcomer runs it: the real command as a process, its lines, its document, its end.

order = Demo(EXAMPLE)
finished = order.run(directory, "--json")
with order.started(directory) as process: read_until(process, IS_PROCESS)
"""

import contextlib
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from examples.running.example import Example
from examples.running.fleet import ROOT
from examples.running.progress import Result

IS_PROCESS = re.compile(r"the orchestrator is process (\d+)")
HAS_MOVED = re.compile(r"s  [1-9]\d* of \d+ \w+ at their end")


@dataclass(frozen=True)
class Demo:
    """`amends demo NAME` of one example."""

    example: Example[Any, Any]

    def command(self, directory: Path, *flags: str | Path) -> list[str]:
        start = [sys.executable, "-m", "amends.delivery.cli.main", "demo", self.example.name]
        return [*start, "--directory", str(directory), *map(str, flags)]

    def run(self, directory: Path, *flags: str | Path) -> subprocess.CompletedProcess[str]:
        """To its end."""
        command = self.command(directory, *flags)
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)

    @contextlib.contextmanager
    def started(self, directory: Path, *flags: str | Path) -> Iterator[subprocess.Popen[str]]:
        """On its way, its lines to be read one by one."""
        with subprocess.Popen(
            self.command(directory, *flags),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def some_of(self, ids: Sequence[str], path: Path) -> Path:
        """An input with these cases only."""
        lines = self.example.cases.read_text("utf-8").splitlines()
        named = {
            self.example.id_of(case): line for case, line in zip(self.example.load(), lines, strict=True)
        }
        path.write_text("".join(f"{named[saga_id]}\n" for saga_id in ids), "utf-8")
        return path

    def assert_all_is_well(self, finished: subprocess.CompletedProcess[str], *, ids: Sequence[str]) -> None:
        """With --json: exit code 0, and exactly these sagas, each ended as its case says."""
        result = result_of(finished)
        assert (finished.returncode, result.ok) == (0, True), [
            n for n, holds in result.checks.items() if not holds
        ]
        expected = {self.example.id_of(case): case.expect for case in self.example.load()}
        ends = {saga.id: (saga.status, saga.business_status) for saga in result.sagas}
        assert ends == {name: (expected[name].status, expected[name].business_status) for name in ids}

    def processes(self, directory: Path) -> list[int]:
        """The ids of the processes that a run has started."""
        names = ("orchestrator", *self.example.services)
        return [int((directory / f"{name}.pid").read_text()) for name in names]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}


def read_until(process: subprocess.Popen[str], wanted: re.Pattern[str]) -> re.Match[str]:
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if found := wanted.search(line):
            return found
    assert process.stderr is not None
    raise AssertionError(f"no line like {wanted.pattern} in {seen}, {process.stderr.read()}")


def rest_of(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    return output


def result_of(finished: subprocess.CompletedProcess[str]) -> Result:
    assert finished.stderr == ""
    return msgspec.json.decode(finished.stdout, type=Result)


def wait_for_end(number: int) -> None:
    """Return when the process has ended; one that lives on after a minute is a failure."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(number)
        try:
            ended, _, _ = select.select([descriptor], [], [], 60)
        finally:
            os.close(descriptor)
        assert ended, f"process {number} lives on"
