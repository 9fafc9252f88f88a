"""`amends demo`: runs one of the demos of the source checkout.

Rules: a demo is the module `examples.NAME.demo`; it takes this process over (exec), so that signals, output and exit
code are its own. Every demo knows the flags that are handed on here.
It does not: know more of a demo than its name, or ship them with the library.
"""

import difflib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import amends
from amends.delivery.cli.faults import Unusable

NOT_HERE = (
    "the demos live in the source checkout, not in the installed library: clone it and run make demo there"
)


def demo(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Which demo: order, fulfilment, offer, reservation, booking."),
    ],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")] = False,
    directory: Annotated[
        Path | None, typer.Option("--directory", metavar="DIR", help="Where the run keeps its files.")
    ] = None,
    given: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="Your own input instead of the demo's.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not go on with an interrupted run.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Put an earlier run's files aside.")] = False,
    transport: Annotated[
        str | None,
        typer.Option(
            "--transport",
            metavar="WAY",
            help="How the services are spoken to: http, or kafka (order, booking), which starts a broker.",
        ),
    ] = None,
) -> int:
    """Watch sagas run through real services."""
    root = _checkout()
    _check_name(name, root)
    flags = {"--json": json, "--fresh": fresh, "--keep": keep}
    values = {"--directory": directory, "--input": given, "--transport": transport}
    arguments = [flag for flag, wanted in flags.items() if wanted]
    arguments += [f"{option}={value}" for option, value in values.items() if value is not None]
    # -P: a folder named examples in the current directory must not get in the way.
    command = [sys.executable, "-P", "-m", f"examples.{name}.demo", *arguments]
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": _search_path(root)})  # noqa: S606  no shell is wanted


def _checkout() -> Path:
    """The source checkout that this package belongs to, with what its demos need at hand."""
    root = Path(amends.__file__).resolve().parents[2]
    if not (root / "src" / "amends").is_dir() or not (root / "examples").is_dir():
        raise Unusable(NOT_HERE)
    for module in ("aiohttp", "httptools", "rich"):
        if importlib.util.find_spec(module) is None:
            raise Unusable(f'the demos need {module}: pip install "amends[server]"')
    return root


def _check_name(name: str, root: Path) -> None:
    demos = sorted(found.parent.name for found in (root / "examples").glob("*/demo.py"))
    if name not in demos:
        near = difflib.get_close_matches(name, demos, n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(demos)}"
        raise Unusable(f"no demo is named {name!r}; {mend}")


def _search_path(root: Path) -> str:
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(root / "src"), str(root), *([inherited] if inherited else [])])
