"""Points and limits, side by side in one run.

Rules: the limit is measured right before each point, on the same disk; `limit_sagas_per_s` is what an engine could do
at best that commits each of a saga's four transitions by itself. A point above ratio 1 owes it to group commit.
It does not: render.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from amends.bootstrap import sqlite_limits
from amends.delivery.bench.point import Figures, StoreKind, Task
from amends.delivery.bench.workload import Workload

TRANSITIONS: Final = 4
SAGAS: Final = {1: 3_000, 50: 20_000, 500: 20_000}
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


def run(
    *,
    store: StoreKind,
    workloads: Iterable[Workload],
    concurrencies: Iterable[int],
    sagas: int | None,
    folder: Path,
    progress: Callable[[str], None],
) -> list[Point]:
    """Measure every combination; `progress` is told what comes next."""
    points: list[Point] = []
    for workload in workloads:
        for concurrency in concurrencies:
            progress(f"{store}, {workload}, concurrency {concurrency}")
            points.append(_point(store, workload, concurrency, sagas or _enough(concurrency), folder))
    return points


def _enough(concurrency: int) -> int:
    return next((count for limit, count in sorted(SAGAS.items()) if concurrency <= limit), 20_000)


def _point(store: StoreKind, workload: Workload, concurrency: int, sagas: int, folder: Path) -> Point:
    commits, batched = sqlite_limits(folder) if store == "sqlite" else (0.0, 0.0)
    with TemporaryDirectory(dir=folder, prefix="amends-bench-") as scratch:
        task = Task(
            store=store,
            path=str(Path(scratch) / "bench.db"),
            workload=workload,
            concurrency=concurrency,
            sagas=sagas,
        )
        figures = _in_own_process(task)
    limit = commits / TRANSITIONS
    return Point(
        store=store,
        participants="local",
        workload=workload,
        concurrency=concurrency,
        processes=1,
        sagas=sagas,
        limit_sagas_per_s=round(limit, 1),
        limit_batched_sagas_per_s=round(batched, 1),
        ratio=round(figures.sagas_per_s / limit, 2) if limit else 0.0,
        **{name: round(value, 2) for name, value in msgspec.structs.asdict(figures).items()},
    )


def _in_own_process(task: Task) -> Figures:
    command = [sys.executable, "-m", "amends.delivery.bench.point", msgspec.json.encode(task).decode()]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=600)  # noqa: S603  our own module
    if ended.returncode:
        raise RuntimeError(f"the measured process failed:\n{ended.stderr.decode()[-2000:]}")
    return msgspec.json.decode(ended.stdout, type=Figures)
