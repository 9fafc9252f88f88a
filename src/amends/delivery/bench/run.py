"""Points and limits, side by side in one run.

Rules: what a point is compared with is measured right before it, on the same disk and against the same participants.
`limit_sagas_per_s` is what an engine could do at best that commits each of a saga's four transitions by itself; a point
above ratio 1 owes it to group commit. `bare_sagas_per_s` is a bare client that makes the same three calls over HTTP.
It does not: render.
"""

import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final, TypeVar

import msgspec

from amends.bootstrap import sqlite_limits
from amends.delivery.bench.bare import BareFigures
from amends.delivery.bench.point import Figures, StoreKind, Task
from amends.delivery.bench.workload import ParticipantKind, Workload

T = TypeVar("T")

TRANSITIONS: Final = 4
LOOPBACK: Final = "http://127.0.0.1:"
SAGAS: Final[dict[ParticipantKind, dict[int, int]]] = {
    "local": {1: 3_000, 50: 20_000, 500: 20_000},
    "http": {1: 1_000, 50: 5_000, 500: 5_000},
}
"""By concurrency: enough for some seconds on a two-core machine."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result."""

    store: str
    participants: str
    workload: str
    concurrency: int
    processes: int
    sagas: int
    sagas_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_saga: float
    bytes_per_saga: float
    peak_mb: float
    limit_sagas_per_s: float
    """One commit per transition, four transitions a saga, in the same run."""
    limit_batched_sagas_per_s: float
    """A hundred sagas in each commit, in the same run."""
    ratio: float
    """`sagas_per_s` to `limit_sagas_per_s`."""
    bare_sagas_per_s: float
    """The bare client against the same participants, in the same run; 0 for local ones."""
    bare_ratio: float
    """`sagas_per_s` to `bare_sagas_per_s`."""


def run(
    *,
    store: StoreKind,
    participants: ParticipantKind,
    workloads: Iterable[Workload],
    concurrencies: Iterable[int],
    sagas: int | None,
    folder: Path,
    progress: Callable[[str], None],
) -> list[Point]:
    """Measure every combination; `progress` is told what comes next."""
    points: list[Point] = []
    with _responder(participants) as url:
        for workload in workloads:
            for concurrency in concurrencies:
                progress(f"{store}, {participants} participants, {workload}, concurrency {concurrency}")
                points.append(
                    _point(
                        folder,
                        Task(
                            store=store,
                            path="",
                            workload=workload,
                            concurrency=concurrency,
                            sagas=sagas or _enough(participants, concurrency),
                            url=url and f"{url}/{workload}",
                        ),
                    )
                )
    return points


def _enough(participants: ParticipantKind, concurrency: int) -> int:
    enough = SAGAS[participants]
    return next(
        (count for limit, count in sorted(enough.items()) if concurrency <= limit), max(enough.values())
    )


@contextmanager
def _responder(participants: ParticipantKind) -> Generator[str]:
    """Run the participants' process, where they have one; its address, else nothing."""
    if participants == "local":
        yield ""
        return
    with serving("responder") as url:
        yield url


@contextmanager
def serving(module: str, *arguments: str) -> Generator[str]:
    """Run a module of this package that serves until its standard input closes; yield its address."""
    command = [sys.executable, "-m", f"amends.delivery.bench.{module}", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own module
        # Leaving closes its standard input, which ends it.
        yield f"{LOOPBACK}{first_line(process.stdout)}"


def first_line(stream: IO[str] | None) -> str:
    """Return the first line that a started process says."""
    line = stream.readline().strip() if stream is not None else ""
    if not line:
        raise RuntimeError("the measured server did not start")
    return line


def _point(folder: Path, task: Task) -> Point:
    commits, batched = sqlite_limits(folder) if task.store == "sqlite" else (0.0, 0.0)
    bare = in_own_process("bare", task, BareFigures).sagas_per_s if task.url else 0.0
    with TemporaryDirectory(dir=folder, prefix="amends-bench-") as scratch:
        stored = msgspec.structs.replace(task, path=str(Path(scratch) / "bench.db"))
        figures = in_own_process("point", stored, Figures)
    limit = commits / TRANSITIONS
    return Point(
        store=task.store,
        participants="http" if task.url else "local",
        workload=task.workload,
        concurrency=task.concurrency,
        processes=1,
        sagas=task.sagas,
        limit_sagas_per_s=round(limit, 1),
        limit_batched_sagas_per_s=round(batched, 1),
        ratio=_ratio(figures.sagas_per_s, limit),
        bare_sagas_per_s=round(bare, 1),
        bare_ratio=_ratio(figures.sagas_per_s, bare),
        **{name: round(value, 2) for name, value in msgspec.structs.asdict(figures).items()},
    )


def _ratio(figure: float, limit: float) -> float:
    return round(figure / limit, 2) if limit else 0.0


def in_own_process(module: str, task: object, of: type[T]) -> T:
    """Run a module of this package on `task` and return what it printed."""
    command = [sys.executable, "-m", f"amends.delivery.bench.{module}", msgspec.json.encode(task).decode()]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=600)  # noqa: S603  our own module
    if ended.returncode:
        raise RuntimeError(f"the measured process failed:\n{ended.stderr.decode()[-2000:]}")
    return msgspec.json.decode(ended.stdout, type=of)
