"""`amends serve`: runs sagas and answers over HTTP, until a signal comes.

Rules: what the command line says wins over the environment and the file, and is checked by the same rules. Exit 0 after
a signal and an orderly end; 2 when it cannot be used as it is (configuration, definitions, address); 1 when the store
refuses. One line on standard error says that it is ready, and where; no traceback for what a user did.
It does not: serve (`delivery.api` does).
"""

import asyncio
import importlib.util
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.sagas import sagas_at

if TYPE_CHECKING:
    from amends.definition import Saga
    from amends.settings import Settings

REFUSED = 1


def serve(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODULE:SAGAS]...",
            help="Such as shop.orders:place_order; a module alone stands for all its sagas.",
            default_factory=list,
            show_default=False,
        ),
    ],
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Settings; without it, what $AMENDS_CONFIG names."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="FILE|URL", help="Where sagas are kept, instead of database.url."),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen, instead of server.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65_535, help="The port, instead of server.port; 0 takes a free one."
        ),
    ] = None,
) -> int:
    """Run sagas as a service."""
    for module in ("yaml", "aiohttp", "httptools"):
        if importlib.util.find_spec(module) is None:
            raise Unusable(f'serving needs {module}: pip install "amends[server]"')
    from amends.delivery.cli.configured import settings_at, with_options

    settings = with_options(settings_at(config), store=store, host=host, port=port)
    sagas = _sagas(targets)
    return _serve(sagas, settings)


def _sagas(targets: list[str]) -> "list[Saga[Any]]":
    """Return what the targets name, each definition once."""
    found: list[Saga[Any]] = []
    for target in targets:
        found += [saga for saga in sagas_at(target) if not any(saga is known for known in found)]
    return found


def _serve(sagas: "list[Saga[Any]]", settings: "Settings") -> int:
    from amends.application.errors import DefinitionUnknown
    from amends.bootstrap import StoreError
    from amends.definition.lint import DefinitionError
    from amends.delivery.api import logs
    from amends.delivery.api.cursor import KeyUnusable
    from amends.delivery.api.descriptors import TooFew
    from amends.delivery.api.running import Unbound, run
    from amends.delivery.garbage import collect_seldom
    from amends.delivery.stores import NotServed

    logs.configure(settings.log.level, settings.log.format)
    what = "1 saga" if len(sagas) == 1 else f"{len(sagas)} sagas"
    where = settings.database.url.path or str(settings.database.url)

    def ready(url: str) -> None:
        collect_seldom()
        print(f"amends: serving {what} on {url}, store {where}", file=sys.stderr, flush=True)

    try:
        asyncio.run(run(sagas, settings, ready=ready))
    except (StoreError, KeyUnusable) as refused:
        print(f"amends: {refused}", file=sys.stderr)
        return REFUSED
    except (DefinitionError, DefinitionUnknown, Unbound, NotServed, TooFew) as wrong:
        raise Unusable(str(wrong)) from wrong
    except ValueError as wrong:
        # Two sagas of one name and version: the registry's own sentence.
        raise Unusable(str(wrong)) from wrong
    except OSError as wrong:
        server = settings.server
        raise Unusable(
            f"cannot listen on {server.host} port {server.port}: {wrong.strerror or wrong}"
        ) from wrong
    return 0
