"""The local transport: a command is a function call in this process.

Rules
- The reply is encoded to JSON, so a handler sees and says what it would over a wire; None is ``null``.
- `Refuse` is a no. Any other exception is transient, with its text; a payload that does not fit the handler's type is a
  fault of configuration (the saga and the handler disagree); a reply that is no JSON is unreadable.
- Nothing but cancellation is raised. No task is made and nothing is looked up but the name: the path is the hot one.
It does not: isolate. A handler that blocks holds up everything, and nothing ends it but the engine's cancellation.
"""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec

from amends.adapters.local.handlers import Handler, Route, route
from amends.adapters.local.refuse import Refuse
from amends.core.effect import SendCommand
from amends.core.outcome import Answer, Failed, Refused, Succeeded
from amends.ports.transport import Binding

_MAX_REASON = 200


Status = Callable[[SendCommand], "Answer | Awaitable[Answer | None] | None"]
"""Tells the answer that was given to a command; None when none was."""


class LocalTransport:
    """Handlers by command name."""

    def __init__(self, handlers: Mapping[str, Handler], *, status: Status | None = None) -> None:
        """Raise TypeError when one of `handlers` could never be called; `status` tells what became of a command."""
        self._routes = {name: route(name, handler) for name, handler in handlers.items()}
        self._status = status

    @property
    def binding(self) -> Binding:
        """In this process."""
        return Binding("local", "")

    async def send(self, command: SendCommand) -> Answer:
        """Call the handler once and return what it said."""
        found = self._routes.get(command.name)
        if found is None:
            return _no_handler(command.name, self._routes)
        try:
            payload = found.decode(command.payload)
        except Exception as error:  # noqa: BLE001 - msgspec's, pydantic's, or one of the type's own
            return Failed(_reason(f"the payload does not fit {command.name}", error), "configuration")
        try:
            reply: Any = found.call(payload, command) if found.takes_command else found.call(payload)
            if found.awaits or hasattr(reply, "__await__"):
                reply = await reply
        except Refuse as no:
            return Refused(no.code, no.reason)
        except asyncio.CancelledError as error:
            return _own_cancellation(error)
        except Exception as error:  # noqa: BLE001 - the port's rule: whatever happens is an answer
            return Failed(_reason(type(error).__name__, error))
        try:
            return Succeeded(_encode(reply))
        except Exception as error:  # noqa: BLE001 - whatever a type's own encoder may raise
            return Failed(_reason(f"the reply of {command.name} is no JSON", error), "unreadable")

    @property
    def knows(self) -> bool:
        """Whether there is somebody to ask what became of a command."""
        return self._status is not None

    async def status(self, command: SendCommand) -> Answer | None:
        """Ask what became of `command`; None when nobody knows."""
        if self._status is None:
            return None
        known = self._status(command)
        return await known if isinstance(known, Awaitable) else known

    async def close(self) -> None:
        """Nothing to release."""


def _plain(value: Any) -> object:
    """Turn what msgspec cannot encode into what it can: pydantic models, known by their method."""
    if hasattr(value, "model_dump"):
        return cast("object", value.model_dump(mode="json"))
    raise NotImplementedError(f"{type(value).__name__} cannot be encoded")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def _own_cancellation(error: asyncio.CancelledError) -> Failed:
    """Tell a handler that cancelled something of its own from the engine's cancelling this call."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    return Failed("the handler was cancelled from within")


def _no_handler(name: str, routes: Mapping[str, Route]) -> Failed:
    near = difflib.get_close_matches(name[:_MAX_REASON], routes, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return Failed(_cut(f"no handler here is called {name}{hint}"), "configuration")


def _reason(what: str, error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an exception that cannot say its text must not end the call
        text = ""
    return _cut(f"{what}: {text}" if text else what)


def _cut(text: str) -> str:
    """Bound a reason, and escape what could forge a line of a log."""
    text = text[: _MAX_REASON + 1]
    if not text.isprintable():
        text = "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
        )
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 1]}…"
