"""`amends config`: looks at the settings before a service does.

Rules: `check` prints every fault on a line of its own, `file:line:column: message`, and exits 0 without errors
(warnings are shown), 1 with errors. `show` prints what holds and where each value comes from; with errors it prints
those instead, on standard error. Secrets are masked in everything. The environment counts, as it does for the service.
It does not: read or judge values (`amends.settings` does).
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, cast

import msgspec
import typer

from amends.delivery.cli.faults import Unusable

if TYPE_CHECKING:
    from amends.settings import Effective, Examined, Fault

HELP: Final = "Check and show the settings of the service."

config = typer.Typer(help=HELP, add_completion=False, pretty_exceptions_enable=False)


@config.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Such as application.yaml.")],
) -> int:
    """Say what is wrong with a configuration file, all of it."""
    examined = _examine(file)
    for fault in examined.faults:
        print(fault)
    errors = sum(fault.severity == "error" for fault in examined.faults)
    if errors:
        return 1
    given = sum(origin.source == "file" for origin in examined.origins.values())
    beside = len(examined.origins) - given
    print(f"{file.removeprefix('file:')}: {given} set in the file, {beside} by the environment; no errors")
    return 0


@config.command()
def show(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="Without it, what $AMENDS_CONFIG names, or no file.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Show every setting as it holds, and where it comes from."""
    examined = _examine(file)
    if json:
        print(msgspec.json.encode(_document(examined)).decode())
        return 0 if examined.settings else 1
    for fault in examined.faults:
        print(fault, file=sys.stderr)
    if examined.settings is None:
        return 1
    print("\n".join(_lines(list(examined.effective()))))
    return 0


def _examine(file: str | None) -> "Examined":
    if importlib.util.find_spec("yaml") is None:
        raise Unusable('reading settings needs PyYAML: pip install "amends[server]"')
    from amends.settings import config_file, examine

    return examine(config_file(file, os.environ), os.environ)


def _lines(settings: "list[Effective]") -> list[str]:
    names = max(len(each.name) for each in settings)
    texts = min(max(len(each.text) for each in settings), 50)
    return [f"{each.name:<{names}}  {each.text:<{texts}}  {each.origin}" for each in settings]


def _document(examined: "Examined") -> dict[str, object]:
    held = examined.effective() if examined.settings else ()
    return {
        "settings": {each.name: {"value": _plain(each), **_place(each.origin.source, each)} for each in held},
        "faults": [_fault(fault) for fault in examined.faults],
        "ok": examined.settings is not None,
    }


def _plain(setting: "Effective") -> object:
    """Numbers, switches and lists as JSON has them; everything else as it is written."""
    value, write = setting.value, setting.key.kind.write
    if value is None:
        return None
    if isinstance(value, bool | int | float):
        return value if write(value) in {str(value), str(value).lower()} else write(value)
    if isinstance(value, tuple):
        return [str(each) for each in cast("tuple[object, ...]", value)]
    if isinstance(value, Mapping):
        return {name: str(each) for name, each in cast("Mapping[str, object]", value).items()}
    return write(value)


def _place(source: str, setting: "Effective") -> dict[str, object]:
    origin = setting.origin
    match source:
        case "file":
            return {"from": source, "file": origin.name, "line": origin.line, "column": origin.column}
        case "environment":
            return {"from": source, "variable": origin.name}
        case _:
            return {"from": source}


def _fault(fault: "Fault") -> dict[str, str]:
    return {"severity": fault.severity, "place": str(fault.origin), "message": fault.message}
