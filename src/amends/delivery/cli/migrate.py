"""`amends migrate`: brings the tables of a store up to date, or says what they lack.

Rules: exit 0 when they are up to date then, 1 when `--check` finds something missing or the store refuses. What is
applied is forward only. It does not: have rules of its own (the adapters migrate).
"""

import asyncio
import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.output import print_json, shown

if TYPE_CHECKING:
    from amends.bootstrap import Tables

NO = 1


def migrate(
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Settings; without it, what $AMENDS_CONFIG names."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="FILE|URL", help="Where sagas are kept, instead of database.url."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; say what is missing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Bring the tables of a store up to date."""
    if importlib.util.find_spec("yaml") is None:
        raise Unusable('reading settings needs PyYAML: pip install "amends[server]"')
    from amends import bootstrap
    from amends.delivery.cli.configured import settings_at, with_options
    from amends.delivery.stores import NotServed, migrated_place

    database = with_options(settings_at(config), store=store).database
    try:
        place, views = migrated_place(database)
        found = asyncio.run(_found(bootstrap.tables(place, views_url=views), is_checked=check))
    except (NotServed, ValueError) as wrong:
        raise Unusable(str(wrong)) from wrong
    except bootstrap.StoreError as refused:
        print(f"amends: {shown(refused)}", file=sys.stderr)
        return NO
    what, where = "missing" if check else "applied", database.url.path or str(database.url)
    if json:
        print_json({"store": where, what: found})
    else:
        lines = [f"{what}  {kind:<5}  {name}" for kind, names in found.items() for name in names]
        print("\n".join(lines or [f"{shown(where)} is up to date"]))
    return NO if check and any(found.values()) else 0


async def _found(tables: "Sequence[Tables]", *, is_checked: bool) -> dict[str, list[str]]:
    return {each.name: [*await (each.missing() if is_checked else each.migrate())] for each in tables}
