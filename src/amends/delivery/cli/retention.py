"""`amends archive` and `amends restore`: what has ended leaves a store that nobody runs on, and comes back.

Rules: exit 0 when it is done, 1 when the store or the archive refuses. A store file is not made by asking for it. While
a service runs it archives by itself (`retention.age`). They do not: have rules of their own.
"""

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.output import print_json, shown

if TYPE_CHECKING:
    from amends.application.upkeep import Upkeep
    from amends.settings import Settings

NO = 1
DATA = ".jsonl.gz"

Config = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Settings; without it, what $AMENDS_CONFIG names."),
]
Store = Annotated[
    str | None,
    typer.Option("--store", metavar="FILE|URL", help="Where sagas are kept, instead of database.url."),
]
Folder = Annotated[
    str | None, typer.Option("--folder", metavar="FOLDER", help="The archive, instead of retention.folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def archive(
    age: Annotated[
        str | None,
        typer.Option("--age", metavar="DURATION", help="Such as 30d, instead of retention.age."),
    ] = None,
    config: Config = None,
    store: Store = None,
    folder: Folder = None,
    json: Json = False,
) -> int:
    """Archive the sagas that ended long ago."""
    settings = _settings(config, store)
    from amends.settings.kinds import Wrong
    from amends.settings.quantities import read_duration

    try:
        wanted = settings.retention.age if age is None else read_duration(age)
    except Wrong as wrong:
        raise Unusable(f"--age: {wrong}") from wrong
    if wanted is None:
        raise Unusable("nothing says how old is old enough: give --age, such as --age 30d")
    done = _upkeep(settings, folder, lambda upkeep: upkeep.archive(wanted))
    if done is None:
        return NO
    if json:
        print_json(done._asdict())
    else:
        print(f"archived {done.streams} sagas, {done.size:,} bytes in {len(done.volumes)} volumes")
        print("".join(f"{name}\n" for name in done.volumes), end="")
    return 0


def restore(
    volumes: Annotated[list[str], typer.Argument(metavar="VOLUME...", help="Names, as archive prints them.")],
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="Only this saga; may be given several times."),
    ] = None,
    config: Config = None,
    store: Store = None,
    folder: Folder = None,
    json: Json = False,
) -> int:
    """Bring archived sagas back."""
    settings = _settings(config, store)

    async def back(upkeep: "Upkeep") -> dict[str, int]:
        found = [await upkeep.restore(name.removesuffix(DATA), ids or ()) for name in volumes]
        return {
            "restored": sum(each.restored for each in found),
            "there": sum(each.there for each in found),
        }

    done = _upkeep(settings, folder, back)
    if done is None:
        return NO
    if json:
        print_json(done)
    else:
        beside = f"; {done['there']} were there already" if done["there"] else ""
        print(f"brought back {done['restored']} sagas{beside}")
    return 0


def _settings(config: str | None, store: str | None) -> "Settings":
    if importlib.util.find_spec("yaml") is None:
        raise Unusable('reading settings needs PyYAML: pip install "amends[server]"')
    from amends.delivery.cli.configured import settings_at, with_options

    return with_options(settings_at(config), store=store)


def _upkeep(
    settings: "Settings", folder: str | None, do: "Callable[[Upkeep], Coroutine[Any, Any, Any]]"
) -> Any:
    """Do something with the store and its archive; None when one of them refuses, which is said."""
    from amends import bootstrap
    from amends.application.upkeep import Upkeep
    from amends.delivery.stores import NotServed, stores

    database = settings.database
    if database.url.kind == "sqlite" and not Path(database.url.path).exists():
        raise Unusable(f"there is no store file {database.url.path!r}; look at --store")
    try:
        found = stores(database)
    except NotServed as wrong:
        raise Unusable(str(wrong)) from wrong

    async def opened() -> Any:
        archive = bootstrap.folder_archive(folder or settings.retention.folder)
        async with Upkeep(
            found.store, archive, read_model=found.read_model, topic=settings.kafka.topics.transitions or ""
        ) as upkeep:
            return await do(upkeep)

    try:
        return asyncio.run(opened())
    except (bootstrap.StoreError, bootstrap.ArchiveError, ValueError) as refused:
        print(f"amends: {shown(refused)}", file=sys.stderr)
        return None
