"""`amends bench`: measure, and show a table or one JSON document.

Rules: JSON on standard output is a list of points and nothing else; progress goes to standard error. The disk is that
of `--folder`. It does not: measure (`delivery.bench`) or judge.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from amends.delivery.bench.run import Point, run
from amends.delivery.bench.workload import WORKLOADS
from amends.delivery.cli.faults import Unusable

CONCURRENCIES: Final = (1, 50, 500)
WIDE: Final = 120
"""Columns where nobody's terminal sets them."""
SHORT: Final = 2_000
"""Sagas a point with `--short`."""


class Store(StrEnum):
    """Where the sagas are kept."""

    sqlite = "sqlite"
    memory = "memory"


class Participants(StrEnum):
    """Who executes the commands."""

    local = "local"


class Work(StrEnum):
    """What the sagas come to."""

    happy = "happy"
    declined = "declined"


def bench(
    store: Annotated[Store, typer.Option(help="Where the sagas are kept.")] = Store.sqlite,
    participants: Annotated[
        Participants, typer.Option(help="Who executes the commands.")
    ] = Participants.local,
    workload: Annotated[Work | None, typer.Option(help="What the sagas come to; both without it.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Callers; 1, 50 and 500 without it.")
    ] = None,
    sagas: Annotated[int | None, typer.Option(min=10, max=10_000_000, help="Sagas for each point.")] = None,
    short: Annotated[bool, typer.Option("--short", help="A quick look instead of a measurement.")] = False,
    folder: Annotated[Path, typer.Option(help="The disk to measure.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="One JSON document: a list of points.")] = False,
) -> int:
    """Measure order fulfilment beside the limit of the same disk."""
    if not folder.is_dir():
        raise Unusable(f"{folder} is no folder")
    points = run(
        store=store.value,
        workloads=[workload.value] if workload else list(WORKLOADS),
        concurrencies=[concurrency] if concurrency else CONCURRENCIES,
        sagas=SHORT if short and sagas is None else sagas,
        folder=folder.resolve(),
        progress=lambda text: print(
            f"measuring: {text} ({participants.value} participants)", file=sys.stderr
        ),
    )
    if json:
        print(msgspec.json.encode(points).decode())
    else:
        Console(width=None if sys.stdout.isatty() else WIDE).print(_table(points))
    return 0


def _table(points: list[Point]) -> Table:
    table = Table(title="order fulfilment, full durability; limit: one commit per transition in the same run")
    for heading in (
        "store",
        "work",
        "callers",
        "sagas/s",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "bytes",
        "MiB",
        "limit/s",
        "ratio",
    ):
        table.add_column(heading, justify="left" if heading in ("store", "work") else "right", no_wrap=True)
    for point in points:
        table.add_row(
            point.store,
            point.workload,
            f"{point.concurrency:,}",
            f"{point.sagas_per_s:,.0f}",
            f"{point.p50_ms:.2f}",
            f"{point.p99_ms:.2f}",
            f"{point.cpu_us_per_saga:.0f}",
            f"{point.bytes_per_saga:,.0f}",
            f"{point.peak_mb:.0f}",
            f"{point.limit_sagas_per_s:,.0f}",
            f"{point.ratio:.2f}",
        )
    return table
