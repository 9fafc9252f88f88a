"""`amends participants`: who executes commands, whether it is called, and what waits for it.

Rules: a breaker is opened and closed by hand with who and why; the service keeps both in its log.
It does not: know when a breaker opens by itself.
"""

from typing import Annotated, Any, Literal

import typer

from amends.delivery.cli.arguments import By, Json, person
from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.output import print_json, table
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk

COLUMNS = ("participant", "bound to", "breaker", "waiting", "in flight", "trips")


@at_desk
def participants(
    desk: Desk,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Only this participant.", show_default=False),
    ] = None,
    is_opened: Annotated[
        bool, typer.Option("--open", help="Send nothing to NAME until somebody closes its breaker.")
    ] = False,
    is_closed: Annotated[
        bool, typer.Option("--close", help="Send to NAME what waits for it, slowly at first.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, with --open and --close.")
    ] = None,
    by: By = None,
    json: Json = False,
) -> int:
    """Show who executes commands, and whether it is called; open or close a breaker by hand."""
    act = _act(name, is_opened=is_opened, is_closed=is_closed, reason=reason)
    if act is not None and name is not None:
        found = [desk.breaker(act, name, {"by": person(by), "reason": reason})]
    else:
        found = [each for each in desk.participants() if name in {None, each["name"]}]
    if name is not None and not found:
        raise Unusable(f"no participant is bound as {name[:40]!r}; amends participants shows all")
    if json:
        print_json({"participants": found})
    else:
        print("\n".join(table(COLUMNS, [_row(each) for each in found])))
    return 0


def _act(
    name: str | None, *, is_opened: bool, is_closed: bool, reason: str | None
) -> Literal["open", "close"] | None:
    if not (is_opened or is_closed):
        return None
    if is_opened and is_closed:
        raise Unusable("give one of --open and --close")
    if name is None or not reason:
        raise Unusable("name the participant, and say why with --reason TEXT")
    return "open" if is_opened else "close"


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    breaker = f"{each['breaker']} by hand" if each["by_hand"] else each["breaker"]
    bound = f"{each['binding']} {each['address']}".strip()
    return (each["name"], bound, breaker, *(str(each[what]) for what in ("waiting", "in_flight", "trips")))
