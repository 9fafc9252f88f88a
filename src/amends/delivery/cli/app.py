"""The verbs of `amends`, joined; what is wrong with a command line, in one line.

Rules: a verb returns its exit code. A new verb is one module, and one line in `_application`.
It does not: hold what a verb does.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from amends import __version__
from amends.delivery.cli.bench import bench
from amends.delivery.cli.config import config
from amends.delivery.cli.demo import demo
from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.lint import lint

HELP = "Amends drives a business process to its end, or makes amends."
EPILOG = "Begin with: amends demo order"
NARROW = 60
INTERRUPTED = 130
UNUSABLE = 2

VERBS: tuple[tuple[str, Callable[..., int]], ...] = (("demo", demo), ("bench", bench), ("lint", lint))
"""What `amends` can do, in the order of its help."""


def run(arguments: Sequence[str]) -> int:
    """Do what `arguments` say and return the exit code; without arguments, show the help."""
    try:
        result = _application()(list(arguments) or ["--help"], prog_name="amends", standalone_mode=False)
    except typer.TyperException as wrong:
        _complain(_with_hint(wrong.format_message()))
        return wrong.exit_code
    except Unusable as wrong:
        _complain(str(wrong))
        return UNUSABLE
    except typer.Exit as exited:
        return exited.exit_code
    except typer.Abort:
        return INTERRUPTED
    except SystemExit as unread:
        # typer's way of saying that nobody reads on
        raise BrokenPipeError from unread
    return result if isinstance(result, int) else 0


def _application() -> typer.Typer:
    application = typer.Typer(
        name="amends",
        help=HELP,
        epilog=EPILOG,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if _may_draw() else None,
    )
    application.callback()(_options)
    for name, verb in VERBS:
        application.command(name)(verb)
    application.add_typer(config, name="config")
    return application


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
    print("amends:", " ".join(message.split()), file=sys.stderr)
