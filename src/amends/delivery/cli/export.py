"""`amends export`: definitions in another notation, for other tools to read.

Rules: `asyncapi` needs the bindings that say what goes over topics: of the settings, or of a file that is named. The
document goes to standard output. Exit 2 when there is nothing to be made of what is named.
It does not: know a notation (`amends.export` does), or draw (`amends diagram` does).
"""

import importlib.util
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.sagas import sagas_at

if TYPE_CHECKING:
    from amends.export.asyncapi import Wire

NOTATIONS = ("asyncapi",)


def export(
    notation: Annotated[str, typer.Argument(metavar="asyncapi", help="The notation.")],
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="MODULE:SAGAS...",
            help="Such as shop.orders:place_order; a module alone stands for all its sagas.",
        ),
    ],
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Settings; without it, what $AMENDS_CONFIG names."),
    ] = None,
    bindings: Annotated[
        str | None,
        typer.Option("--bindings", metavar="FILE", help="What goes over topics, instead of kafka.bindings."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the document in one line.")] = False,
) -> int:
    """Show what goes over topics as an AsyncAPI document."""
    from amends.definition.lint import DefinitionError
    from amends.export.asyncapi import document

    if notation not in NOTATIONS:
        raise Unusable(f"there is no notation {notation!r}; there is {', '.join(NOTATIONS)}")
    sagas = [saga for target in targets for saga in sagas_at(target)]
    wire = _wire(config, bindings)
    try:
        made = document(sagas, wire)
    except (DefinitionError, ValueError) as wrong:
        raise Unusable(str(wrong)) from wrong
    written = msgspec.json.encode(made)
    print((written if json else msgspec.json.format(written, indent=2)).decode())
    return 0


def _wire(config: str | None, bindings: str | None) -> "Wire":
    if importlib.util.find_spec("yaml") is None:
        raise Unusable('reading settings needs PyYAML: pip install "amends[server]"')
    import dataclasses

    from amends.delivery.cli.configured import settings_at
    from amends.export.asyncapi import Wire
    from amends.settings import SettingsInvalid
    from amends.settings.topics import bindings_of

    kafka: Any = settings_at(config).kafka
    if bindings is not None:
        kafka = dataclasses.replace(kafka, bindings=bindings)
    if kafka.bindings is None and kafka.topics.transitions is None:
        raise Unusable("nothing goes over topics: name --bindings FILE, or kafka.bindings in --config FILE")
    try:
        read = bindings_of(kafka)
    except SettingsInvalid as wrong:
        raise Unusable(str(wrong)) from wrong
    return Wire(
        bindings=read,
        replies=kafka.topics.replies,
        transitions=kafka.topics.transitions,
        servers=kafka.bootstrap_servers,
        is_encrypted=kafka.security_protocol.endswith("ssl"),
        serialization=kafka.serialization,
        registry=kafka.schema_registry_url,
    )
