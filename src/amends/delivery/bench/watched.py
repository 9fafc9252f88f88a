"""What it costs to be watched: tracing and metrics switched on, beside the same work with both off.

Rules: a turn measures all off, all on with no saga kept by the sampler, and all on with every saga kept, one after the
other; the next turn goes the other way round. A ratio is the median over the turns: only what was measured side by side
is compared. Spans go over HTTP to a receiver in a process of its own.
It does not: render or judge.
"""

import statistics
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from amends.delivery.bench.counterpart import Counterpart
from amends.delivery.bench.places import Place
from amends.delivery.bench.point import Task
from amends.delivery.bench.run import enough, measure_together, trace_receiver
from amends.delivery.bench.workload import Workload

TURNS: Final = 5
TARGET: Final = 1.25
"""Of `slower`: what all of it together may cost."""
STRETCH: Final = 1.10


class WatchedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result."""

    store: str
    participants: str
    workload: str
    concurrency: int
    turns: int
    sagas: int
    """Of each measurement, of which a turn has three."""
    kept: float
    """The share of the sagas whose spans are made and sent: 0 or 1."""
    off_sagas_per_s: float
    on_sagas_per_s: float
    slower: float
    """`off_sagas_per_s` to `on_sagas_per_s`: 1.25 says that a saga takes a quarter longer."""
    off_cpu_us_per_saga: float
    """Of the orchestrator's process and of the store's server."""
    on_cpu_us_per_saga: float
    more_cpu: float
    """`on_cpu_us_per_saga` to `off_cpu_us_per_saga`: on a machine that others use as well this says more."""
    target: float
    """What `slower` may be at most."""
    stretch: float
    """What it is hoped to be."""


class _Figures(NamedTuple):
    """Of one measurement."""

    rate: float
    """Sagas a second."""
    cpu: float
    """Microseconds a saga."""


def run_watched(
    place: Place,
    *,
    participants: Counterpart,
    workloads: Iterable[Workload],
    concurrencies: Iterable[int],
    turns: int,
    sagas: int | None,
    progress: Callable[[str], None],
) -> list[WatchedPoint]:
    """Measure every combination; `progress` is told what comes next."""
    points: list[WatchedPoint] = []
    with participants.serving(), trace_receiver(wanted=True) as traces:
        for workload in workloads:
            for concurrency in concurrencies:
                task = Task(
                    store=place.kind,
                    path="",
                    workload=workload,
                    concurrency=concurrency,
                    sagas=sagas or enough(participants.kind, concurrency),
                )
                with participants.reached(task) as off:
                    on = msgspec.structs.replace(off, traces=traces, metrics=True)
                    three = (off, msgspec.structs.replace(on, ratio=0.0), on)
                    points += _points(participants.kind, three, _turns(place, three, turns, progress))
    return points


def _turns(
    place: Place, three: tuple[Task, ...], turns: int, progress: Callable[[str], None]
) -> list[list[_Figures]]:
    """Return what each turn measured, in the order of `three`."""
    found: list[list[_Figures]] = []
    for turn in range(turns):
        progress(
            f"{place.kind}, {three[0].workload}, concurrency {three[0].concurrency}, turn {turn + 1} of {turns}"
        )
        order = range(len(three)) if turn % 2 == 0 else reversed(range(len(three)))
        by_number = {number: _figures(place, three[number]) for number in order}
        found.append([by_number[number] for number in range(len(three))])
    return found


def _figures(place: Place, task: Task) -> _Figures:
    with place.fresh() as stored:
        (measured,), server_cpu = measure_together(
            [msgspec.structs.replace(task, path=stored.address)], stored
        )
    return _Figures(task.sagas / measured.spent, (measured.cpu + server_cpu) / task.sagas * 1e6)


def _points(kind: str, three: tuple[Task, ...], turns: list[list[_Figures]]) -> list[WatchedPoint]:
    off = [turn[0] for turn in turns]
    points: list[WatchedPoint] = []
    for number, task in enumerate(three[1:], start=1):
        on = [turn[number] for turn in turns]
        points.append(
            WatchedPoint(
                store=task.store,
                participants=kind,
                workload=task.workload,
                concurrency=task.concurrency,
                turns=len(turns),
                sagas=task.sagas,
                kept=task.ratio,
                off_sagas_per_s=round(statistics.median(each.rate for each in off), 1),
                on_sagas_per_s=round(statistics.median(each.rate for each in on), 1),
                slower=_median([one.rate / other.rate for one, other in zip(off, on, strict=True)]),
                off_cpu_us_per_saga=round(statistics.median(each.cpu for each in off), 1),
                on_cpu_us_per_saga=round(statistics.median(each.cpu for each in on), 1),
                more_cpu=_median([other.cpu / one.cpu for one, other in zip(off, on, strict=True)]),
                target=TARGET,
                stretch=STRETCH,
            )
        )
    return points


def _median(ratios: list[float]) -> float:
    return round(statistics.median(ratios), 3)
