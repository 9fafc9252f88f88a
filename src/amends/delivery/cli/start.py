"""`amends start`: begin a saga by name.

Rules: starting is idempotent by the saga id: the same id with the same data finds the instance that is there. The data
are read as strictly as the service reads them, and go on as they were written.
It does not: look at the data's type (the orchestrator does).
"""

from typing import Annotated

import typer

from amends.delivery.cli.arguments import Json, json_argument
from amends.delivery.cli.output import print_json
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk


@at_desk
def start(
    desk: Desk,
    saga: Annotated[str, typer.Argument(metavar="SAGA", help="Its name.")],
    data: Annotated[
        str, typer.Option("--data", metavar="JSON", help="JSON, @FILE, or - for standard input.")
    ],
    saga_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The saga id; a new one without it.")
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", min=1, help="The highest without it.")
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", metavar="SECONDS", min=0, max=3600, help="Wait for its end, no longer than this."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Start a saga; the same id and data again are harmless."""
    content = json_argument(data, "--data")
    begun = desk.start(saga, content, version=version, saga_id=saga_id, wait=wait)
    if json:
        print_json(begun.saga)
        return 0
    from amends.delivery.cli.saga_text import line

    print(line(begun.saga) + ("" if begun.is_new else "  (it was there already)"))
    return 0
