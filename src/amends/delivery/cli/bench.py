"""`amends bench`: measure, and show a table or one JSON document.

Rules: JSON on standard output is a list of points and nothing else; progress, and which interpreter measures, go to
standard error. The disk is that of `--folder`. It does not: measure (`delivery.bench`) or judge.
"""

import importlib.util
import sys
from enum import StrEnum
from pathlib import Path
from platform import python_implementation, python_version
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from amends.delivery.bench.counterpart import Counterpart, InProcess, OverHttp
from amends.delivery.bench.places import InMemory, OnDisk, OnPostgres, Place, find_pgbench
from amends.delivery.bench.run import Point, run
from amends.delivery.bench.starts import StartPoint, run_starts
from amends.delivery.bench.watched import TURNS, WatchedPoint, run_watched
from amends.delivery.bench.workload import WORKLOADS, Workload
from amends.delivery.cli.faults import Unusable

CONCURRENCIES: Final = (1, 50, 500)
OVER_KAFKA: Final = (1, 50, 300)
ALL_ON: Final = 50
"""Callers with `--all-on`."""
WIDE: Final = 176
"""Columns where nobody's terminal sets them."""
SHORT: Final = 2_000
"""Sagas a point with `--short`."""


class Store(StrEnum):
    """Where the sagas are kept."""

    sqlite = "sqlite"
    postgres = "postgres"
    memory = "memory"


class Participants(StrEnum):
    """Who executes the commands."""

    local = "local"
    http = "http"
    kafka = "kafka"


class Work(StrEnum):
    """What the sagas come to."""

    happy = "happy"
    declined = "declined"


def bench(
    store: Annotated[Store, typer.Option(help="Where the sagas are kept.")] = Store.sqlite,
    participants: Annotated[
        Participants | None, typer.Option(help="Who executes the commands; local and http without it.")
    ] = None,
    workload: Annotated[Work | None, typer.Option(help="What the sagas come to; both without it.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Callers; 1, 50 and 500 without it (Kafka: 300).")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=16, help="Orchestrators that share the store; PostgreSQL only.")
    ] = 1,
    database: Annotated[
        str | None,
        typer.Option(help="The PostgreSQL server to measure on: a URL; schemas are made and dropped."),
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(help="The broker to measure on: HOST:PORT; topics are made and deleted.")
    ] = None,
    pgbench: Annotated[
        Path | None, typer.Option(help="The pgbench that measures the limit; else it is looked for.")
    ] = None,
    sagas: Annotated[int | None, typer.Option(min=10, max=10_000_000, help="Sagas for each point.")] = None,
    short: Annotated[bool, typer.Option("--short", help="A quick look instead of a measurement.")] = False,
    folder: Annotated[Path, typer.Option(help="The disk to measure.")] = Path(),
    requests: Annotated[
        bool, typer.Option("--requests", help="Measure starts over HTTP instead, beside the bare library.")
    ] = False,
    all_on: Annotated[
        bool,
        typer.Option("--all-on", help="Measure instead what traces and metrics together cost, in turns."),
    ] = False,
    with_traces: Annotated[bool, typer.Option("--traces", help="Trace every saga, for a receiver.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document: a list of points.")] = False,
) -> int:
    """Measure order fulfilment beside the limit of the same disk."""
    if not folder.is_dir():
        raise Unusable(f"{folder} is no folder")
    _say(f"with {python_implementation()} {python_version()}, {Path(sys.executable).resolve()}")
    count = SHORT if short and sagas is None else sagas
    if requests:
        _show_starts(concurrency, count, folder.resolve(), json=json)
        return 0
    if all_on and (participants is Participants.kafka or processes > 1):
        raise Unusable("--all-on measures one process with local or http participants")
    over = _participants(participants or (Participants.local if all_on else None), kafka)
    place = _place(store, folder.resolve(), database, pgbench)
    if processes > 1 and store is not Store.postgres:
        raise Unusable(f"a {store.value} store is held by one process; --processes needs --store postgres")
    work: list[Workload] = [workload.value] if workload else list(WORKLOADS)
    if all_on:
        watched = _watched(place, over[0], work[0], concurrency, turns=1 if short else TURNS, sagas=count)
        _show(watched, _watched_table(watched), json=json)
    else:
        points = _points(place, over, work, concurrency, processes, count, with_traces=with_traces)
        _show(points, _table(points), json=json)
    return 0


def _points(
    place: Place,
    over: list[Counterpart],
    workloads: list[Workload],
    concurrency: int | None,
    processes: int,
    sagas: int | None,
    *,
    with_traces: bool,
) -> list[Point]:
    return [
        point
        for each in over
        for point in run(
            place,
            participants=each,
            workloads=workloads,
            concurrencies=[concurrency]
            if concurrency
            else OVER_KAFKA
            if each.kind == "kafka"
            else CONCURRENCIES,
            processes=processes,
            with_traces=with_traces,
            sagas=sagas,
            progress=_say,
        )
    ]


def _show_starts(concurrency: int | None, starts: int | None, folder: Path, *, json: bool) -> None:
    concurrencies = [concurrency] if concurrency else CONCURRENCIES
    points = run_starts(concurrencies=concurrencies, starts=starts, folder=folder, progress=_say)
    _show(points, _starts_table(points), json=json)


def _watched(
    place: Place,
    over: Counterpart,
    work: Workload,
    concurrency: int | None,
    *,
    turns: int,
    sagas: int | None,
) -> list[WatchedPoint]:
    return run_watched(
        place,
        participants=over,
        workloads=[work],
        concurrencies=[concurrency or ALL_ON],
        turns=turns,
        sagas=sagas,
        progress=_say,
    )


def _participants(wanted: Participants | None, kafka: str | None) -> list[Counterpart]:
    match wanted:
        case None:
            return [InProcess(), OverHttp()]
        case Participants.local:
            return [InProcess()]
        case Participants.http:
            return [OverHttp()]
        case Participants.kafka:
            if importlib.util.find_spec("aiokafka") is None:
                raise Unusable('--participants kafka needs aiokafka: pip install "amends[kafka]"')
            if kafka is None:
                raise Unusable(
                    "--participants kafka needs --kafka HOST:PORT; servers/kafka start DIR makes a broker"
                )
            from amends.delivery.bench.over_kafka import OverKafka

            return [OverKafka(tuple(kafka.split(",")))]


def _place(store: Store, folder: Path, database: str | None, pgbench: Path | None) -> Place:
    match store:
        case Store.memory:
            return InMemory()
        case Store.sqlite:
            return OnDisk(folder)
        case Store.postgres:
            if database is None:
                raise Unusable(
                    "--store postgres needs --database URL; servers/postgres start DIR makes a server"
                )
            program = pgbench or find_pgbench()
            if program is None:
                raise Unusable("there is no pgbench to measure the limit with; name one with --pgbench PATH")
            return OnPostgres(database, program)


def _say(text: str) -> None:
    print(f"measuring: {text}", file=sys.stderr)


def _show(points: object, table: Table, *, json: bool) -> None:
    if json:
        print(msgspec.json.encode(points).decode())
    else:
        Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def _starts_table(points: list[StartPoint]) -> Table:
    table = Table(
        title="a start over HTTP, from the request to the durable answer; bare: the HTTP library alone"
    )
    for heading in (
        "callers",
        "starts/s",
        "p50 ms",
        "p99 ms",
        "bare/s",
        "bare p50",
        "bare p99",
        "overhead ms",
        "ratio",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in points:
        table.add_row(
            f"{point.concurrency:,}",
            f"{point.starts_per_s:,.0f}",
            f"{point.p50_ms:.2f}",
            f"{point.p99_ms:.2f}",
            f"{point.bare_starts_per_s:,.0f}",
            f"{point.bare_p50_ms:.2f}",
            f"{point.bare_p99_ms:.2f}",
            f"{point.overhead_ms:.2f}",
            f"{point.ratio:.2f}",
        )
    return table


def _watched_table(points: list[WatchedPoint]) -> Table:
    table = Table(title="traces and metrics switched on, beside the same work with both off, in turns")
    for heading in (
        "store",
        "participants",
        "work",
        "callers",
        "kept",
        "off/s",
        "on/s",
        "slower",
        "off CPU µs",
        "on CPU µs",
        "more CPU",
        "target",
        "stretch",
    ):
        left = heading in ("store", "participants", "work")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for point in points:
        table.add_row(
            point.store,
            point.participants,
            point.workload,
            f"{point.concurrency:,}",
            f"{point.kept:.0%}",
            f"{point.off_sagas_per_s:,.0f}",
            f"{point.on_sagas_per_s:,.0f}",
            f"{point.slower:.2f}",
            f"{point.off_cpu_us_per_saga:.0f}",
            f"{point.on_cpu_us_per_saga:.0f}",
            f"{point.more_cpu:.2f}",
            f"≤ {point.target:.2f}",
            f"{point.stretch:.2f}",
        )
    table.caption = (
        "kept: the share of sagas whose spans are sent; slower, more CPU: on to off, medians of the turns"
    )
    return table


def _table(points: list[Point]) -> Table:
    title = "order fulfilment, full durability; limit: one commit per transition in the same run"
    has_bare = any(point.bare_sagas_per_s for point in points)
    has_broker = any(point.broker_in_per_s for point in points)
    table = Table(title=f"{title}; bare: a client that makes the same three calls" if has_bare else title)
    for heading in (
        "store",
        "participants",
        "work",
        "callers",
        "procs",
        "sagas/s",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "bytes",
        "MiB",
        "limit/s",
        "ratio",
        *(("bare/s", "ratio") if has_bare else ()),
        *(("in/s", "out/s") if has_broker else ()),
    ):
        table.add_column(
            heading, justify="left" if heading in ("store", "participants", "work") else "right", no_wrap=True
        )
    for point in points:
        table.add_row(
            point.store,
            point.participants,
            point.workload,
            f"{point.concurrency:,}",
            f"{point.processes}",
            f"{point.sagas_per_s:,.0f}",
            f"{point.p50_ms:.2f}",
            f"{point.p99_ms:.2f}",
            f"{point.cpu_us_per_saga:.0f}",
            f"{point.bytes_per_saga:,.0f}",
            f"{point.peak_mb:.0f}",
            f"{point.limit_sagas_per_s:,.0f}",
            f"{point.ratio:.2f}",
            *(_beside_bare(point) if has_bare else ()),
            *(_of_broker(point) if has_broker else ()),
        )
    if has_broker:
        table.caption = "in/s, out/s: records that the broker alone takes and gives; a saga needs six of each"
    return table


def _beside_bare(point: Point) -> tuple[str, str]:
    if not point.bare_sagas_per_s:
        return "", ""
    return f"{point.bare_sagas_per_s:,.0f}", f"{point.bare_ratio:.2f}"


def _of_broker(point: Point) -> tuple[str, str]:
    return f"{point.broker_in_per_s:,.0f}", f"{point.broker_out_per_s:,.0f}"
