"""Points and limits, side by side in one run.

Rules: what a point is compared with is measured right before it, on the same disk and against the same participants.
`limit_sagas_per_s` is what an engine could do at best that commits each of a saga's four transitions by itself; a point
above ratio 1 owes it to group commit. `bare_sagas_per_s` is a bare client that makes the same three calls over HTTP, or
round trips over Kafka.
It does not: render.
"""

import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import msgspec

from amends.delivery.bench.counterpart import Counterpart
from amends.delivery.bench.places import Place, Stored
from amends.delivery.bench.point import READY, Measured, Task
from amends.delivery.bench.processes import LOOPBACK, first_line, serving
from amends.delivery.bench.workload import ParticipantKind, Workload

SAGAS: Final[dict[ParticipantKind, dict[int, int]]] = {
    "local": {1: 3_000, 50: 20_000, 500: 20_000},
    "http": {1: 1_000, 50: 5_000, 500: 5_000},
    "kafka": {1: 500, 50: 5_000, 300: 10_000},
}
"""By concurrency: enough for some seconds on a two-core machine."""
EVENTS: Final = 8
"""Of one saga of the measured work."""
APART: Final = 100_000_000
"""Between the order numbers of two processes."""


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
    events_per_s: float
    """A saga has eight."""
    cpu_us_per_saga: float
    """Of the orchestrators' processes and of the store's server, as far as that can be seen."""
    server_cpu_us_per_saga: float
    """The server's part of it."""
    bytes_per_saga: float
    peak_mb: float
    """Of the largest process."""
    limit_sagas_per_s: float
    """One commit per transition, four a saga, in the same run: of bare SQLite, or of pgbench (50 clients, two rows)."""
    limit_batched_sagas_per_s: float
    """A hundred sagas in each commit, in the same run; SQLite alone."""
    ratio: float
    """`sagas_per_s` to `limit_sagas_per_s`."""
    bare_sagas_per_s: float
    """The bare client against the same participants, in the same run; 0 for local ones. Over Kafka a third of its
    command-and-reply round trips.
    """
    bare_ratio: float
    """`sagas_per_s` to `bare_sagas_per_s`."""
    broker_in_per_s: float
    """Records a second that the broker takes from one writer in full batches, in the same run; 0 without Kafka."""
    broker_out_per_s: float
    """Records a second that it gives to one reader. A saga needs six records written and read."""
    with_traces: bool
    """Whether every saga was traced, for a receiver in a process of its own."""


def run(
    place: Place,
    *,
    participants: Counterpart,
    workloads: Iterable[Workload],
    concurrencies: Iterable[int],
    processes: int = 1,
    with_traces: bool = False,
    sagas: int | None,
    progress: Callable[[str], None],
) -> list[Point]:
    """Measure every combination; `progress` is told what comes next."""
    points: list[Point] = []
    kind = participants.kind
    with participants.serving(), trace_receiver(wanted=with_traces) as traces:
        for workload in workloads:
            for concurrency in concurrencies:
                progress(f"{place.kind}, {kind} participants, {workload}, concurrency {concurrency}")
                task = Task(
                    store=place.kind,
                    path="",
                    workload=workload,
                    concurrency=concurrency,
                    sagas=sagas or enough(kind, concurrency),
                    traces=traces,
                )
                with participants.reached(task) as reached:
                    points.append(_point(place, participants, reached, processes))
    return points


def enough(kind: ParticipantKind, concurrency: int) -> int:
    """Return how many sagas are measured where nobody says."""
    counts = SAGAS[kind]
    return next(
        (count for limit, count in sorted(counts.items()) if concurrency <= limit), max(counts.values())
    )


@contextmanager
def trace_receiver(*, wanted: bool) -> Generator[str]:
    """Run a receiver of spans, if that is wanted; its address, else nothing."""
    if not wanted:
        yield ""
        return
    with serving("trace_receiver") as port:
        yield LOOPBACK + port


def _point(place: Place, participants: Counterpart, task: Task, processes: int) -> Point:
    limits, beside = place.limits(), participants.beside(task)
    with place.fresh() as stored:
        tasks = [_share(task, stored.address, part, processes) for part in range(processes)]
        measured, server_cpu = measure_together(tasks, stored)
        size = stored.size()
    count = sum(each.sagas for each in tasks)
    rate = count / max(each.spent for each in measured)
    latencies = sorted(latency for each in measured for latency in each.latencies)
    return Point(
        store=task.store,
        participants=participants.kind,
        workload=task.workload,
        concurrency=task.concurrency,
        processes=processes,
        sagas=count,
        sagas_per_s=round(rate, 2),
        p50_ms=round(latencies[len(latencies) // 2] * 1e3, 2),
        p99_ms=round(latencies[int(len(latencies) * 0.99)] * 1e3, 2),
        events_per_s=round(rate * EVENTS, 1),
        cpu_us_per_saga=round((sum(each.cpu for each in measured) + server_cpu) / count * 1e6, 2),
        server_cpu_us_per_saga=round(server_cpu / count * 1e6, 2),
        bytes_per_saga=round(size / sum(each.warm_up + each.sagas for each in tasks), 2),
        peak_mb=round(max(each.peak_mb for each in measured), 2),
        limit_sagas_per_s=round(limits.single, 1),
        limit_batched_sagas_per_s=round(limits.batched, 1),
        ratio=_ratio(rate, limits.single),
        bare_sagas_per_s=round(beside.bare, 1),
        bare_ratio=_ratio(rate, beside.bare),
        broker_in_per_s=round(beside.broker_in, 1),
        broker_out_per_s=round(beside.broker_out, 1),
        with_traces=bool(task.traces),
    )


def _share(task: Task, path: str, part: int, parts: int) -> Task:
    """Return what one of several processes does."""
    return msgspec.structs.replace(
        task,
        path=path,
        sagas=max(task.sagas // parts, 1),
        concurrency=max(task.concurrency // parts, 1),
        first=part * APART,
        own_ids=parts > 1,
    )


def measure_together(tasks: Sequence[Task], stored: Stored) -> tuple[list[Measured], float]:
    """Let all begin together; return what each measured, and the seconds of CPU that the server used meanwhile."""
    with ExitStack() as stack:
        running = [stack.enter_context(_started(task)) for task in tasks]
        for process in running:
            if first_line(process.stdout) != READY:
                raise RuntimeError("the measured process said something else than that it is ready")
        before = stored.server_cpu()
        for process in running:
            if process.stdin is not None:
                process.stdin.write("\n")
                process.stdin.flush()
        answers = [process.stdout.readline() if process.stdout is not None else "" for process in running]
        used = stored.server_cpu() - before
        if not all(answers):
            raise RuntimeError("a measured process failed")
        return [msgspec.json.decode(answer, type=Measured) for answer in answers], used


@contextmanager
def _started(task: Task) -> Generator[subprocess.Popen[str]]:
    """Run one measured process; what it says of its faults goes to standard error."""
    command = [sys.executable, "-m", "amends.delivery.bench.point", msgspec.json.encode(task).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own module
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _ratio(figure: float, limit: float) -> float:
    return round(figure / limit, 2) if limit else 0.0
