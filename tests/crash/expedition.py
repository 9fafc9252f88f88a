"""Runs orders through lives that end at crash points, and looks whether everything adds up.

Rules
- The services are real processes with databases of their own (those of examples/order); the engine is a real
  process over a SQLite file; the kills are SIGKILL.
- A run is one order over one store file. Its first lives are killed at the points that it was given; the last goes to
  the end. A life that ends although it should have been killed means that the point was not reached.
- After each run: the expected end, positions without a gap, nothing open. After all runs: the services' books.
It does not: choose points (`campaign`).
"""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from examples.order.cases import SERVICES, OrderCase
from examples.order.checks import check
from examples.running.fleet import Fleet, search_path
from examples.running.verdict import Verdict
from tests.crash.engine_process import Life
from tests.crash.orders import SEED, WAYS
from tests.crash.points import Point

ROOT = Path(__file__).resolve().parents[2]
LONGEST_LIFE = 90.0
MOST_LIVES = 12


class Wrong(AssertionError):
    """Something that must hold did not."""


@dataclass
class Tally:
    """What the campaign has seen."""

    runs: int = 0
    kills: int = 0
    participant_kills: int = 0
    lives: int = 0
    resumes: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class EngineProcess:
    """The process that forks one life after the other."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def live(self, life: Life) -> list[str]:
        """Return what one life said, up to its exit."""
        process = self._process or await self._start()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("it was started with pipes")
        process.stdin.write(msgspec.json.encode(life) + b"\n")
        await process.stdin.drain()
        said: list[str] = []
        while not said or not said[-1].startswith("exit "):
            line = await asyncio.wait_for(process.stdout.readline(), LONGEST_LIFE)
            if not line:
                raise Wrong(f"the engine's process ended by itself after saying {said}")
            said.append(line.decode().strip())
        return said

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.crash.engine_process",
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": search_path()},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self._process

    async def stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()


class Expedition:
    """The services, some engine processes, and the orders that went through them."""

    def __init__(self, directory: Path, *, abreast: int = 2) -> None:
        """Keep everything in `directory`; run `abreast` orders at a time."""
        self._directory = directory
        self._abreast = abreast
        self._stack = AsyncExitStack()
        self._engines: asyncio.Queue[EngineProcess] = asyncio.Queue()
        self._cases: list[OrderCase] = []
        self.tally = Tally()

    async def __aenter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        seed = self._directory / "seed.json"
        seed.write_bytes(msgspec.json.encode(SEED))
        self._client = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._fleet = await self._stack.enter_async_context(
            Fleet(directory=self._directory, services=SERVICES, seed=seed)
        )
        for _ in range(self._abreast):
            engine = EngineProcess()
            self._stack.push_async_callback(engine.stop)
            self._engines.put_nowait(engine)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, way: str, points: Sequence[Point]) -> int:
        """Take an order this way, through a death at each point; return how many of the points were reached."""
        engine = await self._engines.get()
        try:
            return await self._run(engine, way, points)
        finally:
            self._engines.put_nowait(engine)

    async def run_with_participant_killed(self, way: str, service: str, command: str) -> None:
        """Take an order this way; the service is killed when it has acted on the command and not answered."""
        case = self._place(way)
        order_id = case.given.order_id
        before = self._fleet.restarts(service)
        await self._post("order", "/orders", case.given)
        await self._post(service, "/misbehave", {"command": command, "instance": order_id, "how": "crash"})
        engine = await self._engines.get()
        try:
            await self._to_the_end(engine, case, f"{way}, {service} killed at {command}", [])
        finally:
            self._engines.put_nowait(engine)
        self.tally.participant_kills += self._fleet.restarts(service) - before
        if self._fleet.restarts(service) == before:
            self.tally.wrong.append(f"{order_id}: {service} was not killed at {command}")

    async def check_books(self) -> Verdict:
        """Compare what the services hold with what the orders should have left there."""
        states: dict[str, object] = {}
        for service in SERVICES:
            async with self._client.get(f"{self._fleet.url(service)}/state") as response:
                states[service] = await response.json()
        verdict = check(self._cases, states)
        for name, lines in verdict.explanations.items():
            self.tally.wrong += [f"{name}: {line}" for line in lines[:5]]
        return verdict

    def _place(self, way: str) -> OrderCase:
        case = WAYS[way](f"{way}-{len(self._cases) + 1:05}")
        self._cases.append(case)
        self.tally.runs += 1
        return case

    async def _run(self, engine: EngineProcess, way: str, points: Sequence[Point]) -> int:
        case = self._place(way)
        await self._post("order", "/orders", case.given)
        name = f"{way}, killed {' and '.join(str(point) for point in points) or 'never'}"
        return await self._to_the_end(engine, case, name, points)

    async def _to_the_end(
        self, engine: EngineProcess, case: OrderCase, name: str, points: Sequence[Point]
    ) -> int:
        store = self._directory / f"{case.given.order_id}.db"
        services = {str(service): self._fleet.commands(service) for service in SERVICES}
        is_acknowledged = False
        reached = 0
        for number in range(MOST_LIVES):
            point = points[number] if number < len(points) else None
            life = Life(
                store=str(store),
                services=services,
                order=case.given,
                point=point,
                is_acknowledged=is_acknowledged,
            )
            said = await engine.live(life)
            self.tally.lives += 1
            is_acknowledged = is_acknowledged or "acknowledged" in said
            if number:
                resumed = [float(line.split()[1]) for line in said if line.startswith("resumed")]
                self.tally.resumes += resumed
            if said[-1] == "exit -9" and point is not None:
                reached += 1
                self.tally.kills += 1
                continue
            self._judge(case, name, said, store)
            return reached
        self.tally.wrong.append(f"{case.given.order_id} ({name}) did not end in {MOST_LIVES} lives")
        return reached

    def _judge(self, case: OrderCase, name: str, said: list[str], store: Path) -> None:
        expected = f"ended {case.expect.status} {case.expect.business_status}"
        if expected not in said or said[-1] != "exit 0":
            self.tally.wrong.append(f"{case.given.order_id} ({name}): expected {expected!r}, it said {said}")
        self.tally.wrong += [f"{case.given.order_id} ({name}): {fault}" for fault in faults_of(store)]
        for file in store.parent.glob(f"{store.name}*"):
            file.unlink()

    async def _post(self, service: str, path: str, document: object) -> None:
        await self._fleet.up(service)
        body = msgspec.json.encode(document)
        headers = {"Content-Type": "application/json"}
        async with self._client.post(
            f"{self._fleet.url(service)}{path}", data=body, headers=headers
        ) as answer:
            if answer.status >= 300:
                raise Wrong(f"{service} {path}: {answer.status} {await answer.text()}")


def faults_of(store: Path) -> list[str]:
    """Return what is wrong with a store whose sagas have all ended: gaps, what is still open."""
    connection = sqlite3.connect(store)
    try:
        faults: list[str] = []
        last: dict[tuple[str, str], int] = {}
        positions = "SELECT namespace, saga_id, position FROM event ORDER BY namespace, saga_id, position"
        for namespace, saga_id, position in connection.execute(positions):
            before = last.get((namespace, saga_id), 0)
            if position != before + 1:
                faults.append(f"{saga_id} goes from position {before} to {position}")
            last[namespace, saga_id] = position
        (still_open,) = connection.execute("SELECT count(*) FROM open_instance").fetchone()
        if still_open:
            faults.append(f"{still_open} instances are still open in the index")
        return faults
    finally:
        connection.close()
