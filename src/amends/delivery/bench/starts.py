"""What a start over HTTP costs, from the request to the durable answer, beside the bare HTTP library.

Rules: `amends serve` and a server of the same library that keeps nothing, each a process of its own on loopback, are
asked by the same client, one right after the other for each point. The saga only waits, so nothing but its start is
measured. The answers are equally long.
It does not: render.
"""

import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from amends.delivery.bench.processes import LOOPBACK, first_line, in_own_process, serving
from amends.delivery.bench.start_client import StartFigures, StartTask

STARTS: Final = {1: 2_000, 50: 10_000}


class StartPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result; `overhead_ms` is the service's median less the bare server's."""

    concurrency: int
    starts: int
    starts_per_s: float
    p50_ms: float
    p99_ms: float
    bare_starts_per_s: float
    bare_p50_ms: float
    bare_p99_ms: float
    overhead_ms: float
    ratio: float
    """`starts_per_s` to `bare_starts_per_s`."""


def run_starts(
    *, concurrencies: Iterable[int], starts: int | None, folder: Path, progress: Callable[[str], None]
) -> list[StartPoint]:
    """Measure each concurrency; `progress` is told what comes next."""
    points: list[StartPoint] = []
    with TemporaryDirectory(dir=folder, prefix="amends-bench-") as scratch, _service(Path(scratch)) as url:
        first = 0
        for concurrency in concurrencies:
            progress(f"start requests, concurrency {concurrency}")
            count = starts or STARTS.get(concurrency, max(STARTS.values()))
            task = StartTask(url=url, concurrency=concurrency, starts=count, first=first)
            points.append(_point(task))
            first += 2 * count
    return points


def _point(task: StartTask) -> StartPoint:
    figures = in_own_process("start_client", task, StartFigures)
    with serving("bare_server", str(figures.answer_bytes)) as port:
        bare = in_own_process(
            "start_client", msgspec.structs.replace(task, url=LOOPBACK + port), StartFigures
        )
    return StartPoint(
        concurrency=task.concurrency,
        starts=task.starts,
        starts_per_s=round(figures.starts_per_s, 1),
        p50_ms=round(figures.p50_ms, 3),
        p99_ms=round(figures.p99_ms, 3),
        bare_starts_per_s=round(bare.starts_per_s, 1),
        bare_p50_ms=round(bare.p50_ms, 3),
        bare_p99_ms=round(bare.p99_ms, 3),
        overhead_ms=round(figures.p50_ms - bare.p50_ms, 3),
        ratio=round(figures.starts_per_s / bare.starts_per_s, 2),
    )


@contextmanager
def _service(scratch: Path) -> Generator[str]:
    command = [sys.executable, "-m", "amends.delivery.cli.main", "serve"]
    command += [
        "amends.delivery.bench.workload:parked_order",
        "--port",
        "0",
        "--store",
        str(scratch / "bench.db"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603  our own module
        try:
            yield LOOPBACK + first_line(process.stderr).partition(LOOPBACK)[2].partition(",")[0]
        finally:
            process.terminate()
