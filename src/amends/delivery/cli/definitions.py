"""`amends definitions` and `amends diagram`: what sagas there are to start, and what one looks like.

Rules: a diagram is a Mermaid flowchart; of a ``MODULE:SAGA`` it is drawn here, without any server or store.
They do not: draw pictures (what shows Mermaid does).
"""

from typing import Annotated

import typer

from amends.delivery.cli.arguments import Json
from amends.delivery.cli.output import compact, print_json, table
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Desk


@at_desk
def definitions(
    desk: Desk,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Only this saga, with its shape.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Show which sagas there are, and their versions."""
    found = desk.definitions(name)
    if json:
        print_json({"definitions": found})
        return 0
    rows = [
        (each["name"], str(each["version"]), each["fingerprint"], ", ".join(each["participants"]))
        for each in found
    ]
    print("\n".join(table(("saga", "version", "fingerprint", "participants"), rows)))
    if name is not None:
        print("\n".join(f"version {each['version']}  {compact(each['shape'])}" for each in found))
    return 0


@at_desk
def diagram(
    desk: Desk,
    target: Annotated[
        str, typer.Argument(metavar="NAME|MODULE:SAGA", help="A saga of the service, or one of yours.")
    ],
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", min=1, help="Of NAME; the highest without it.")
    ] = None,
    json: Json = False,
) -> int:
    """Draw a saga as a Mermaid flowchart."""
    if ":" in target:
        from amends.delivery.cli.sagas import saga_at
        from amends.export.mermaid import flowchart

        text = flowchart(saga_at(target))
    else:
        text = desk.diagram(target, version)
    if json:
        print_json({"diagram": text})
    else:
        print(text, end="")
    return 0
