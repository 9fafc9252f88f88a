"""A backlog and a restart: `python -m tests.crash.cluster.backlog [--sagas N] [--processes N]`.

100,000 orders are started, and the first command of each is accepted by a participant that never answers: all of them
are outstanding. Then every orchestrator is killed, others are started over the same database, and the participants do
as they are told. One order in ten cannot be paid and is undone.

Rules: in the end no acknowledged start is missing, every saga has ended, positions have no gap, each command has acted
once in the participants' own database, and stock and money add up. Time to the first step after the restart, time to
the last end and the memory at its highest are reported. The exit code is 1 if anything does not hold.
It does not: break anything but the orchestrators.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from examples.running.fleet import ROOT, search_path
from tests.adapters.postgres.lines import session
from tests.crash.cluster.backlog_process import saga_id
from tests.crash.cluster.books import wrong_in_store
from tests.crash.cluster.database import Database
from tests.crash.cluster.ledger import totals, wrong_in_ledger
from tests.crash.cluster.services import pause

SAGAS: Final = 100_000
WITHIN: Final = 1_800.0
OPEN: Final = "SELECT count(*) FROM open_saga"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line."""

    sagas: int = SAGAS
    processes: int = 2
    quiet: bool = False


@dataclass
class Backlog:
    """One run."""

    directory: Path
    options: Options
    wrong: list[str] = field(default_factory=list[str])
    figures: dict[str, float] = field(default_factory=dict[str, float])

    async def run(self) -> None:
        """Fill, kill, start again, wait, look at the books."""
        database = Database(self.directory, may_mount=False)
        try:
            await database.start()
            await self._fill(database)
            await self._drain(database)
            acknowledged = [saga_id(number) for number in range(1, self.options.sagas + 1)]
            self.wrong += await wrong_in_store(database.address, acknowledged)
            self.wrong += wrong_in_ledger(self._ledger, self.options.sagas)
        finally:
            await database.remove()

    async def _fill(self, database: Database) -> None:
        began = time.monotonic()
        share = -(-self.options.sagas // self.options.processes)
        started: dict[int, int] = {}

        async def one(first: int) -> asyncio.subprocess.Process:
            last = min(first + share - 1, self.options.sagas)
            process = await self._launch(database.url, "fill", str(first), str(last))
            assert process.stdout is not None
            while line := (await process.stdout.readline()).decode().strip():
                if line == "filled":
                    return process
                started[first] = int(line.split()[1])
                self._say(f"{sum(started.values())} of {self.options.sagas} started")
            raise AssertionError("an orchestrator ended while it was filled")

        firsts = range(1, self.options.sagas + 1, share)
        processes = await asyncio.gather(*(one(first) for first in firsts))
        self.figures["filled_in_s"] = time.monotonic() - began
        for process in processes:
            process.kill()
            await process.wait()
        async with session(database.address) as link:
            left = await link.fetchval(OPEN)
        if left != self.options.sagas:
            self.wrong.append(f"{left} sagas were open at the restart")

    async def _drain(self, database: Database) -> None:
        began = time.monotonic()
        processes = [await self._launch(database.url, "drain") for _ in range(self.options.processes)]
        try:
            async with asyncio.timeout(WITHIN), session(database.address) as link:
                while left := await link.fetchval(OPEN):
                    await pause(0.2)
                    if "first_step_in_s" not in self.figures and totals(self._ledger)[0]:
                        self.figures["first_step_in_s"] = time.monotonic() - began
                    self.figures["highest_memory_mib"] = max(
                        self.figures.get("highest_memory_mib", 0.0),
                        *(_memory(each.pid) for each in processes),
                    )
                    self._say(f"{left} of {self.options.sagas} still open")
                    if any(each.returncode is not None for each in processes):
                        self.wrong.append("an orchestrator ended by itself")
                        return
        except TimeoutError:
            self.wrong.append(f"not all had ended after {WITHIN:.0f} s")
        finally:
            self.figures["drained_in_s"] = time.monotonic() - began
            for process in processes:
                if process.stdin is not None:
                    process.stdin.close()
                await process.wait()

    async def _launch(self, *arguments: str) -> asyncio.subprocess.Process:
        url, *others = arguments
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.crash.cluster.backlog_process", url, str(self._ledger), *others),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": search_path()},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    @property
    def _ledger(self) -> Path:
        return self.directory / "ledger.db"

    def _say(self, what: str) -> None:
        if not self.options.quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{what}")
            sys.stderr.flush()

    @property
    def document(self) -> dict[str, object]:
        """Everything that was found."""
        drained = max(self.figures.get("drained_in_s", 0.0), 0.001)
        return {
            "sagas": self.options.sagas,
            "processes": self.options.processes,
            **{name: round(value, 1) for name, value in self.figures.items()},
            "sagas_per_s": round(self.options.sagas / drained, 1),
            "wrong": self.wrong[:40],
        }


def _memory(process: int) -> float:
    """Return the most memory that a process has had, in MiB."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the backlog of the command line."""
    parser = argparse.ArgumentParser(
        prog="tests.crash.cluster.backlog", description="a backlog and a restart"
    )
    parser.add_argument("--sagas", type=int, default=SAGAS)
    parser.add_argument("--processes", type=int, default=2, help="how many orchestrators share the database")
    parsed = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="amends-backlog-") as directory:
        backlog = Backlog(Path(directory), Options(sagas=parsed.sagas, processes=parsed.processes))
        asyncio.run(backlog.run())
    print(msgspec.json.encode(backlog.document).decode())
    return 1 if backlog.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
