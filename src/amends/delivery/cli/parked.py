"""`amends parked`, `replay`, `discard`: records that nobody could act on, and what a person does with them.

Rules: a service is asked; a store file has none of its own. What is done carries who and why.
They do not: judge whether a record can be taken (the service does).
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final, Literal

import typer

from amends.delivery.cli.arguments import By, Json, Reason, person
from amends.delivery.cli.output import print_json, shown, table
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk
from amends.delivery.client.exact_json import Document

HEADINGS: Final = ("id", "state", "code", "saga", "came on", "parked at", "reason")

RecordId = Annotated[str, typer.Argument(metavar="ID", help="The record's id, as `amends parked` shows it.")]


class State(StrEnum):
    """What may have become of a record."""

    waiting = "waiting"
    parked = "parked"
    replayed = "replayed"
    discarded = "discarded"


@at_desk
def parked(
    desk: Desk,
    record: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Only this record, whole.", show_default=False)
    ] = None,
    state: Annotated[
        list[State] | None, typer.Option("--state", help="In this state; may be repeated.")
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", metavar="NAME", help="That came on it.")] = None,
    code: Annotated[str | None, typer.Option("--code", metavar="CODE", help="For this reason.")] = None,
    saga: Annotated[str | None, typer.Option("--saga", metavar="ID", help="About this saga.")] = None,
    after: Annotated[int, typer.Option("--after", metavar="N", min=0, help="Behind this number.")] = 0,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=500, help="At most so many.")
    ] = 100,
    json: Json = False,
) -> int:
    """Show records that were parked, or one of them with all that is known."""
    if record is not None:
        found = desk.parked_record(record)
        if json:
            print_json(found)
        else:
            print("\n".join(f"{name + ':':<13} {shown(_text(value))}" for name, value in found.items()))
        return 0
    given = {"state": [each.value for each in state or ()], "topic": topic, "code": code, "saga_id": saga}
    page = desk.parked({name: value for name, value in given.items() if value}, limit=limit, after=after)
    if json:
        print_json(page)
        return 0
    print("\n".join(table(HEADINGS, [_row(each) for each in page["parked"]])))
    if page["next"] is not None:
        print(f"more behind --after {page['next']}")
    return 0


def _row(each: Document) -> tuple[str, ...]:
    came = f"{each['topic']}[{each['partition']}]@{each['offset']}"
    told = (each["id"], each["state"], each["code"], each["saga_id"], came, each["parked_at"], each["reason"])
    return tuple(shown(str(text)) for text in told)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _settling(verb: Literal["replay", "discard"], told: str) -> Callable[..., int]:
    def settle(desk: Desk, record: RecordId, reason: Reason, by: By = None, json: Json = False) -> int:
        found = desk.settle(verb, record, {"by": person(by), "reason": reason})
        if json:
            print_json(found)
        else:
            print(f"{found['id']}  {found['state']}  {shown(str(found['code']))}")
        return 0

    settle.__name__, settle.__doc__ = verb, told
    return at_desk(settle)


replay: Final = _settling("replay", "Take a parked record as if it came now.")
discard: Final = _settling("discard", "Note that nothing is to become of a parked record.")
