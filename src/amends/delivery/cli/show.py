"""`amends show`: one saga as it stands, or stood, with what happened to it.

Rules: the document and the events are asked for one after the other; what happened between is shown with the events.
It does not: wait for anything (`watch` does).
"""

from typing import Annotated

import typer

from amends.delivery.cli.arguments import Json, SagaId
from amends.delivery.cli.output import print_json
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk


@at_desk
def show(
    desk: Desk,
    saga_id: SagaId,
    at: Annotated[
        int | None,
        typer.Option("--at", metavar="POSITION", min=1, help="As it stood after so many events."),
    ] = None,
    json: Json = False,
) -> int:
    """Show one saga: its state, and a timeline of its steps."""
    saga = desk.get(saga_id, at=at)
    if json:
        print_json(saga)
        return 0
    from amends.delivery.cli.saga_text import page

    events = [each for each in desk.events(saga_id) if at is None or each["position"] <= at]
    print("\n".join(page(saga, events)))
    return 0
