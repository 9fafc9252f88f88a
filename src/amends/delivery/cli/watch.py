"""`amends watch`: what happens, while it happens.

Rules: one saga is followed from its beginning to its end, all sagas from now on until Ctrl-C. A terminal shows a
picture that changes in place, everything else one line for each event; with `--json` each line is a document.
It does not: miss what happens while a connection is broken.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Annotated, Any, Final

import typer

from amends.delivery.cli.arguments import Json
from amends.delivery.cli.following import ENDS, followed
from amends.delivery.cli.output import print_json, shown, table
from amends.delivery.cli.saga_text import event_line, page
from amends.delivery.cli.screen import Screen
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk

MOST: Final = 200
"""Sagas that a picture of all remembers."""


@at_desk
def watch(
    desk: Desk,
    saga_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One saga; all without it.", show_default=False)
    ] = None,
    json: Json = False,
) -> int:
    """Watch one saga to its end, or all of them."""
    is_picture = sys.stdout.isatty() and not json
    if saga_id is None:
        with closing(desk.follow(None)) as items:
            _picture_all(items) if is_picture else _print_all(items, json=json)
    else:
        with closing(followed(desk, saga_id)) as changes:
            _picture_one(desk, saga_id, changes) if is_picture else _print_one(changes, json=json)
    return 0


def _print_all(items: "Iterator[dict[str, Any]]", *, json: bool) -> None:
    for item in items:
        if json:
            print_json(item)
        else:
            for event in item["events"]:
                told = {"time": item["time"], **event}
                print(f"{shown(item['saga_id'])}  {event_line(told)}", flush=True)


def _print_one(changes: "Iterator[list[dict[str, Any]]]", *, json: bool) -> None:
    for event in chain.from_iterable(changes):
        if json:
            print_json(event)
        else:
            print(event_line(event), flush=True)


def _picture_one(desk: Desk, saga_id: str, changes: "Iterator[list[dict[str, Any]]]") -> None:
    screen, past = Screen(), list[dict[str, Any]]()
    for events in changes:
        past += events
        screen.draw(page(desk.get(saga_id), past, plain=True))


def _picture_all(items: "Iterator[dict[str, Any]]") -> None:
    screen, rows = Screen(), dict[str, tuple[str, ...]]()
    screen.draw(["watching; Ctrl-C ends it"])
    for item in items:
        rows.pop(item["saga_id"], None)
        rows[item["saga_id"]] = _row(item)
        for oldest in list(rows)[:-MOST]:
            del rows[oldest]
        screen.draw(table(("saga", "position", "time", "last", ""), list(rows.values()), plain=True))


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    last = item["events"][-1]
    place = last.get("step") or last.get("path") or ENDS.get(last["type"], "")
    return item["saga_id"], str(item["position"]), item["time"], last["type"], place
