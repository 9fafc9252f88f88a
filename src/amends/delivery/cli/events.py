"""`amends events`: the event stream of one saga, as it is stored.

Rules: with `--follow` it goes on with what happens and ends with the saga; `--json` prints one document, and with
`--follow` one document for each line.
It does not: interpret events (`show` does).
"""

from contextlib import closing
from itertools import chain
from typing import Annotated

import typer

from amends.delivery.cli.arguments import Json, SagaId
from amends.delivery.cli.following import followed
from amends.delivery.cli.output import print_json, table
from amends.delivery.cli.saga_text import event_line, event_rows
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk


@at_desk
def events(
    desk: Desk,
    saga_id: SagaId,
    after: Annotated[
        int, typer.Option("--after", metavar="N", min=0, help="Only those behind this position.")
    ] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the saga ends.")] = False,
    json: Json = False,
) -> int:
    """Show the events of a saga."""
    if follow:
        with closing(followed(desk, saga_id, after=after)) as changes:
            for event in chain.from_iterable(changes):
                if json:
                    print_json(event)
                else:
                    print(event_line(event), flush=True)
        return 0
    found = list(desk.events(saga_id, after=after))
    if json:
        print_json({"events": found})
    else:
        print("\n".join(table(("position", "time", "type", ""), event_rows(found))))
    return 0
