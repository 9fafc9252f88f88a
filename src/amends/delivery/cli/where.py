"""Where the sagas are that a verb is about: a service or a store file; and the options that say so.

Rules: the options are the same at every verb, so they are written once, here: a verb marked `at_desk` is handed the
desk. The environment stands behind the options: AMENDS_URL, AMENDS_API_KEY. The key is never shown.
It does not: ask anything.
"""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, get_type_hints

import typer

from amends.delivery.cli.faults import Unusable
from amends.delivery.client.desk import Desk

P = ParamSpec("P")
URL: Final = "http://127.0.0.1:8095"
PANEL: Final = "Where the sagas are"


@dataclass(frozen=True, kw_only=True)
class Where:
    """What the options say."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    store: Path | None = None
    sagas: tuple[str, ...] = ()
    namespace: str | None = None

    def desk(self) -> Desk:
        """Return the desk; nothing is asked yet.

        Raises:
            Unusable: the options contradict one another, or name no saga that can be imported.
        """
        if self.store is None:
            if self.sagas or self.namespace is not None:
                raise Unusable(
                    "--sagas and --namespace say what is in a store file: give --store FILE as well"
                )
            return self._service()
        if self.url is not None or self.api_key is not None:
            raise Unusable("--store names a file and --url a service: give one of them")
        from amends.delivery.cli.store_file import StoreFile

        return StoreFile(self.store, targets=self.sagas, namespace=self.namespace or "default")

    def _service(self) -> Desk:
        from amends.delivery.client.connection import Connection
        from amends.delivery.client.service import Service

        url = self.url or os.environ.get("AMENDS_URL") or URL
        return Service(Connection(url=url, key=self.api_key or os.environ.get("AMENDS_API_KEY") or None))


def _options(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            rich_help_panel=PANEL,
            help=f"The service; AMENDS_URL, or {URL}, without it.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key", metavar="KEY", rich_help_panel=PANEL, help="Its key; AMENDS_API_KEY without it."
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", metavar="FILE", rich_help_panel=PANEL, help="A store file instead of a service."
        ),
    ] = None,
    sagas: Annotated[
        list[str] | None,
        typer.Option(
            "--sagas",
            metavar="MODULE:SAGA",
            rich_help_panel=PANEL,
            help="With --store: a definition; may be repeated.",
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            metavar="NAME",
            rich_help_panel=PANEL,
            help="With --store: whose instances; default without it.",
        ),
    ] = None,
) -> Where:
    return Where(url=url, api_key=api_key, store=store, sagas=tuple(sagas or ()), namespace=namespace)


def at_desk(verb: Callable[Concatenate[Desk, P], int]) -> Callable[..., int]:
    """Give a verb the options that say where, in place of its first argument, the desk."""
    own = list(inspect.signature(verb).parameters.values())[1:]
    shared = list(inspect.signature(_options).parameters.values())

    ask: Callable[..., int] = verb

    def asked(**given: Any) -> int:
        where = _options(**{option.name: given.pop(option.name) for option in shared})
        return ask(where.desk(), **given)

    hints = get_type_hints(verb, include_extras=True) | get_type_hints(_options, include_extras=True)
    asked.__name__, asked.__doc__ = verb.__name__, verb.__doc__
    asked.__annotations__ = {each.name: hints[each.name] for each in (*own, *shared)} | {"return": int}
    parameters = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[each.name])
        for each in (*own, *shared)
    ]
    asked.__dict__["__signature__"] = inspect.Signature(parameters, return_annotation=int)
    return asked
