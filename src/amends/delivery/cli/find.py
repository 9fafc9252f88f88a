"""`amends list`: which sagas there are.

Rules: the filters are those of ``GET /v1/sagas``. Pages come one after the other with `--all`; without it the last line
says how to see the next. In a terminal that is too narrow the table has seconds without their fractions, and then fewer
columns; a pipe and `--json` have everything.
It does not: count (the metrics do).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from amends.delivery.cli.arguments import Json, instant
from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.output import (
    Colour,
    colour_of,
    print_json,
    shown,
    table,
    table_width,
    terminal_columns,
)
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk, Filters
from amends.delivery.client.exact_json import Document

HEADINGS: Final[tuple[str, ...]] = (
    "id",
    "saga",
    "version",
    "status",
    "",
    "position",
    "started",
    "updated",
    "",
)
NARROWER: Final = ((), ("started",), ("started", "position"), ("started", "position", "version"))
"""What is left out, one after the other, until the table fits."""
TO_THE_SECOND: Final = len("2026-11-27T01:42:51")


class Status(StrEnum):
    """The engine's statuses."""

    running = "running"
    compensating = "compensating"
    stuck = "stuck"
    completed = "completed"
    compensated = "compensated"
    abandoned = "abandoned"


def _time(name: str, told: str) -> Any:
    return typer.Option(name, metavar="TIME", help=told)


@at_desk
def find(
    desk: Desk,
    saga: Annotated[str | None, typer.Option("--saga", metavar="NAME", help="Of this definition.")] = None,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", min=1, help="Of this version.")
    ] = None,
    status: Annotated[
        list[Status] | None, typer.Option("--status", help="With this status; may be repeated.")
    ] = None,
    business_status: Annotated[
        str | None,
        typer.Option("--business-status", metavar="WORD", help="With this word of the saga's own."),
    ] = None,
    paused: Annotated[bool | None, typer.Option("--paused/--not-paused", help="Paused, or not.")] = None,
    started_from: Annotated[str | None, _time("--started-from", "Started then or later.")] = None,
    started_before: Annotated[str | None, _time("--started-before", "Started earlier.")] = None,
    updated_from: Annotated[str | None, _time("--updated-from", "Moved then or later.")] = None,
    updated_before: Annotated[
        str | None, _time("--updated-before", "Moved for the last time earlier.")
    ] = None,
    id_prefix: Annotated[
        str | None, typer.Option("--id-prefix", metavar="TEXT", help="With an id that begins so.")
    ] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Instead of the newest.")] = False,
    consistent: Annotated[
        bool, typer.Option("--consistent", help="Wait until what is durable now can be listed.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=500, help="At most so many.")] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="TEXT", help="Go on where a page ended.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All pages.")] = False,
    json: Json = False,
) -> int:
    """List sagas, the newest first."""
    if everything and cursor is not None:
        raise Unusable("--all begins at the beginning; leave --cursor out")
    given: dict[str, Any] = {
        "saga": saga,
        "version": None if version is None else str(version),
        "status": [each.value for each in status or ()],
        "business_status": business_status,
        "paused": None if paused is None else str(paused).lower(),
        "started_from": instant(started_from, "--started-from"),
        "started_before": instant(started_before, "--started-before"),
        "updated_from": instant(updated_from, "--updated-from"),
        "updated_before": instant(updated_before, "--updated-before"),
        "id_prefix": id_prefix,
        "order": "oldest" if oldest_first else None,
        "consistent": "true" if consistent else None,
    }
    filters = {name: value for name, value in given.items() if value}
    page = _pages(desk, filters, 500) if everything else desk.find(filters, limit=limit, cursor=cursor)
    if json:
        print_json(page)
    else:
        print("\n".join(_lines(page)))
    return 0


def _pages(desk: Desk, filters: Filters, limit: int) -> Document:
    sagas: list[Document] = []
    cursor: str | None = None
    while True:
        page = desk.find(filters, limit=limit, cursor=cursor)
        sagas += page["sagas"]
        cursor = page["next"]
        if cursor is None:
            return {"sagas": sagas, "next": None}


def _lines(page: Document) -> list[str]:
    sagas = page["sagas"]
    if not sagas:
        return ["no saga is like that"]
    rows = [_row(saga) for saga in sagas]
    colours: list[Colour] = [colour_of(saga["status"]) for saga in sagas]
    onward = [f"more: --cursor {shown(page['next'])}"] if page["next"] else []
    return [*_fitting(rows, colours), *onward]


def _fitting(rows: Sequence[tuple[str, ...]], colours: Sequence[Colour]) -> list[str]:
    """Return the whole table, or the widest that fits into a terminal."""
    columns = terminal_columns()
    if columns is None or table_width(HEADINGS, rows) <= columns:
        return table(HEADINGS, rows, colours)
    kept, left = HEADINGS, rows
    for out in NARROWER:
        kept = tuple(heading for heading in HEADINGS if heading not in out)
        left = [
            tuple(
                _shortened(heading, cell)
                for heading, cell in zip(HEADINGS, row, strict=True)
                if heading not in out
            )
            for row in rows
        ]
        if table_width(kept, left) <= columns:
            break
    return table(kept, left, colours)


def _shortened(heading: str, cell: str) -> str:
    return cell[:TO_THE_SECOND] + "Z" if heading in {"started", "updated"} else cell


def _row(saga: Document) -> tuple[str, ...]:
    told = [f"stuck: {', '.join(saga['stuck'])}"] if saga["stuck"] else []
    told += [saga["cause"]] if saga["cause"] else []
    told += ["paused"] if saga["paused"] else []
    return (
        saga["id"],
        saga["saga"],
        str(saga["version"]),
        saga["status"],
        saga["business_status"],
        str(saga["position"]),
        saga["started_at"],
        saga["updated_at"],
        "; ".join(told),
    )
