"""The verbs of `amends`, joined; what is wrong with a command line, in one line.

Rules: a verb returns its exit code. A new verb is one function in a module, and one line in `VERBS`. A module is
imported when its verb is asked for, so that no verb pays for another one; the help needs all.
It does not: hold what a verb does.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Final

import typer

from amends import __version__
from amends.delivery.cli.completion import VARIABLE
from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.output import shown
from amends.delivery.client.faults import Denied, Unreachable

HELP = "Amends drives a business process to its end, or makes amends."
EPILOG = "Begin with: amends demo order"
NARROW = 60
DENIED = 1
UNUSABLE = 2
UNREACHABLE = 3
INTERRUPTED = 130

VERBS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo", "demo"),
    "start": ("start", "start"),
    "show": ("show", "show"),
    "list": ("find", "find"),
    "watch": ("watch", "watch"),
    "events": ("events", "events"),
    "signal": ("acts", "signal"),
    "cancel": ("acts", "cancel"),
    "pause": ("acts", "pause"),
    "resume": ("acts", "resume"),
    "retry": ("acts", "retry"),
    "resolve": ("acts", "resolve"),
    "skip": ("acts", "skip"),
    "abandon": ("acts", "abandon"),
    "parked": ("parked", "parked"),
    "replay": ("parked", "replay"),
    "discard": ("parked", "discard"),
    "definitions": ("definitions", "definitions"),
    "diagram": ("definitions", "diagram"),
    "export": ("export", "export"),
    "participants": ("participants", "participants"),
    "serve": ("serve", "serve"),
    "migrate": ("migrate", "migrate"),
    "archive": ("retention", "archive"),
    "restore": ("retention", "restore"),
    "lint": ("lint", "lint"),
    "bench": ("bench", "bench"),
    "completion": ("completion", "completion"),
    "config": ("config", "config"),
}
"""What `amends` can do, in the order of its help: by verb the module in this package and its function, or its verbs."""


def run(arguments: Sequence[str]) -> int:
    """Do what `arguments` say and return the exit code; without arguments, show the help."""
    try:
        result = application(arguments)(
            list(arguments) or ["--help"], prog_name="amends", standalone_mode=False
        )
    except typer.TyperException as wrong:
        _complain(_with_hint(wrong.format_message()))
        return wrong.exit_code
    except Unusable as wrong:
        _complain(str(wrong))
        return UNUSABLE
    except Denied as answer:
        _complain(str(answer))
        return DENIED
    except Unreachable as nobody:
        _complain(str(nobody))
        return UNREACHABLE
    except typer.Exit as exited:
        return exited.exit_code
    except typer.Abort:
        return INTERRUPTED
    except SystemExit as unread:
        # typer's way of saying that nobody reads on
        raise BrokenPipeError from unread
    return result if isinstance(result, int) else 0


def application(arguments: Sequence[str]) -> typer.Typer:
    """Return the verbs that `arguments` need, joined."""
    made = typer.Typer(
        name="amends",
        help=HELP,
        epilog=EPILOG,
        add_completion=VARIABLE in os.environ,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if _may_draw() else None,
    )
    made.callback()(_options)
    for name in _wanted(arguments):
        module, function = VERBS[name]
        verb = getattr(import_module(f"amends.delivery.cli.{module}"), function)
        if isinstance(verb, typer.Typer):
            made.add_typer(verb, name=name)
        else:
            made.command(name)(verb)
    return made


def _wanted(arguments: Sequence[str]) -> Sequence[str]:
    """Return the verb that is asked for; all of them, where the answer needs them."""
    return arguments[:1] if arguments and arguments[0] in VERBS else tuple(VERBS)


def _may_draw() -> bool:
    """Frames and colours only where somebody sees them."""
    encoding = (sys.stdout.encoding or "").lower()
    return sys.stdout.isatty() and shutil.get_terminal_size().columns >= NARROW and encoding.startswith("utf")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"amends {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the verb."""


def _with_hint(message: str) -> str:
    named = "Did you mean" in message or "Possible options" in message
    return message if named else f"{message.removesuffix('.')}; amends --help shows what there is"


def _complain(message: str) -> None:
    print("amends:", shown(" ".join(message.split())), file=sys.stderr)
