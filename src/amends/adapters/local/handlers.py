"""A handler, made ready to be called: which type its payload has, and what it takes, found out once.

Rules
- A handler takes the payload and, if it has a second positional parameter, the whole `SendCommand`.
- The payload's type is its annotation: a msgspec Struct, a dataclass, a TypedDict or anything else that msgspec
  decodes; a pydantic model; without an annotation plain JSON values. `msgspec.Raw` gets the bytes as they are.
- What cannot work is said at construction, with the handler's name.
It does not: call anything, or look at a type again once a command is there.
"""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import msgspec

from amends.core.effect import SendCommand

Handler: TypeAlias = Callable[..., object]
"""``async def reserve(payload: Reserve) -> Reserved``; with the command ``(payload: Reserve, command: SendCommand)``.
A plain function is accepted and called inline: it must not block."""

_MOST_ARGUMENTS = 2


class Route(msgspec.Struct, frozen=True):
    """A command name's way to its handler."""

    decode: Callable[[bytes], object]
    call: Handler
    takes_command: bool
    awaits: bool
    """Known to return an awaitable; otherwise each result is looked at."""


def route(name: str, handler: Handler) -> Route:
    """Prepare `handler` for commands called `name`.

    Raises:
        TypeError: no command could ever be given to it.
    """
    if not callable(handler):
        raise TypeError(f"the handler of {name} is not callable")
    taken = _filled(name, handler, _annotations(name, handler))
    return Route(
        decode=_decoder(name, taken[0]),
        call=handler,
        takes_command=len(taken) == _MOST_ARGUMENTS,
        awaits=inspect.iscoroutinefunction(_function(handler)),
    )


def _annotations(name: str, handler: Handler) -> dict[str, Any]:
    try:
        return typing.get_type_hints(_function(handler), include_extras=True)
    except NameError as error:
        raise TypeError(
            f"the handler of {name} has an annotation that run time does not know: {error}"
        ) from error


def _filled(name: str, handler: Handler, annotations: dict[str, Any]) -> list[Any]:
    """Return the annotations of the parameters that a call fills: the payload, and perhaps the command."""
    fillable = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    every = inspect.signature(handler).parameters.values()
    taken = [parameter for parameter in every if parameter.kind in fillable][:_MOST_ARGUMENTS]
    # A second parameter with a default of its own is the handler's business, unless it says that it is the command.
    if len(taken) == _MOST_ARGUMENTS and not _required(taken[1]):
        taken = taken if annotations.get(taken[1].name) is SendCommand else taken[:1]
    missing = [parameter.name for parameter in every if parameter not in taken and _required(parameter)]
    if not taken or missing:
        extra = f"; nothing would fill {', '.join(missing)}" if missing else ""
        raise TypeError(f"the handler of {name} must take (payload) or (payload, command){extra}")
    return [annotations.get(parameter.name, Any) for parameter in taken]


def _required(parameter: inspect.Parameter) -> bool:
    collects = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.kind not in collects and parameter.default is inspect.Parameter.empty


def _function(handler: Handler) -> Handler:
    """Return the function below partials and callable objects: it has the annotations, and it is async or not."""
    while isinstance(handler, functools.partial):
        handler = cast("Handler", handler.func)
    return handler if inspect.isroutine(handler) else cast("Handler", type(handler).__call__)


def _decoder(name: str, payload_type: Any) -> Callable[[bytes], object]:
    # A pydantic model is known by its method, so that pydantic need not be there.
    model = getattr(payload_type, "model_validate_json", None)
    if model is not None:
        return cast("Callable[[bytes], object]", model)
    try:
        return msgspec.json.Decoder(payload_type).decode
    except TypeError as error:
        raise TypeError(f"the payload of {name}'s handler cannot be read from JSON: {error}") from error
