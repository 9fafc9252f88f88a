"""Read the types that a definition needs at run time from the annotations its functions already carry.

Rules: an explicit type on the node wins; a missing or unreadable annotation yields None and the linter says so.
It does not: call or wrap the functions.
"""

import inspect
import typing
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, get_args, get_origin

import msgspec

from amends.definition.command import Command


def plain(function: Callable[..., Any]) -> Any:
    """Return the function proper of a partial or of an object with ``__call__``."""
    while isinstance(function, partial):
        function = function.func
    return function if inspect.isroutine(function) else getattr(type(function), "__call__", None)  # noqa: B004


def returned(function: Callable[..., Any]) -> Any:
    """Return the annotation of what `function` returns, or None when there is none that can be read."""
    try:
        return typing.get_type_hints(plain(function)).get("return")
    except Exception:  # noqa: BLE001  annotations may be text that is no Python, or names that are not there
        return None


def written(function: Callable[..., Any]) -> Any:
    """Return the annotation of what `function` returns as it was written, or None."""
    try:
        return inspect.get_annotations(plain(function)).get("return")
    except Exception:  # noqa: BLE001  an object may say anything of its annotations
        return None


def reply_type(do: Callable[..., Any]) -> Any:
    """Return ``R`` of ``do(...) -> Command[R]``, or None."""
    annotation = returned(do)
    arguments = get_args(annotation)
    return arguments[0] if get_origin(annotation) is Command and arguments else None


def payload_type(function: Callable[..., Any]) -> Any:
    """Return ``Payload`` of ``do(...) -> Annotated[Command[R], Payload]``, or None: most say nothing of it.

    Nothing that runs reads it; a document of the messages does (`amends.export.asyncapi`).
    """
    try:
        hints = typing.get_type_hints(plain(function), include_extras=True)
    except Exception:  # noqa: BLE001  as above
        return None
    said = getattr(hints.get("return"), "__metadata__", ())
    return next((each for each in said if inspect.isclass(each) or get_origin(each) is not None), None)


def field_type(kind: Any, name: str) -> Any:
    """Return the type of the field of `kind` that is called `name` in JSON, or None."""
    if not inspect.isclass(kind):
        return None
    fields = msgspec.structs.fields(kind) if issubclass(kind, msgspec.Struct) else ()
    for each in fields:
        if each.encode_name == name:
            return each.type
    try:
        return None if fields else typing.get_type_hints(kind).get(name)
    except Exception:  # noqa: BLE001  as above
        return None


def item_type(items: Callable[..., Any]) -> Any:
    """Return ``Item`` of ``items(...) -> Sequence[Item]`` (or list, or ``tuple[Item, ...]``), or None."""
    annotation = returned(items)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return arguments[0] if arguments[1:] == (...,) else None
    is_sequence = inspect.isclass(origin) and issubclass(origin, Sequence)
    return arguments[0] if is_sequence and arguments else None
