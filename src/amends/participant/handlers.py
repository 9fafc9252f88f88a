"""A service's commands by name: which type their payload has, and the function that acts.

    COMMANDS = handlers(do("reserve-stock", ReserveStock, reserve), undo("release-stock", ReleaseStock, release))

Rules:
- A handler is a plain function `(connection, command, payload) -> Succeeded[...] | Refused`. It does its work with this
  connection and leaves the transaction to the barrier: it neither commits nor rolls back.
- What a handler changed before it returned `Refused` is taken back.
- A handler that raises has done nothing, and is asked again.
- `undo` is called only when its do is known to have succeeded here; `undo_only` is for a step whose effect existed
  before the saga (cancel the order that started it): it is called although no do was ever seen.

Does not do: retry, wait, send. What a handler wants sent goes into a table of the service's own, in its transaction.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from amends.participant.message import BadMessage, Command, Direction, Refused, Succeeded

P = TypeVar("P")

Result = Succeeded[object] | Refused
Act = Callable[[sqlite3.Connection, Command], Result]
Handles = Callable[[sqlite3.Connection, Command, P], Result]


class PayloadUnfit(ValueError):
    """The payload is JSON, but not what this command takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One command of a service. `read` turns a payload into the function that acts on it, or raises PayloadUnfit."""

    name: str
    direction: Direction
    needs_do: bool
    read: Callable[[object], Act]

    def act_on(self, command: Command) -> Act:
        """The function that executes this command; BadMessage when its direction is not the handler's."""
        if command.direction != self.direction:
            message = f"{self.name} is {self.direction}, but Amends-Direction says {command.direction}"
            raise BadMessage(message)
        return self.read(command.payload)


def do(name: str, payload: type[P], act: Handles[P]) -> Handler:
    """Handle a command that has an effect."""
    return Handler(name=name, direction="do", needs_do=False, read=_reader(payload, act))


def undo(name: str, payload: type[P], act: Handles[P]) -> Handler:
    """Handle the command that takes back what the do of the same step did here."""
    return Handler(name=name, direction="undo", needs_do=True, read=_reader(payload, act))


def undo_only(name: str, payload: type[P], act: Handles[P]) -> Handler:
    """Handle an undo that has no do."""
    return Handler(name=name, direction="undo", needs_do=False, read=_reader(payload, act))


def handlers(*all_handlers: Handler) -> Mapping[str, Handler]:
    """The handlers by name; two of one name are a mistake."""
    by_name = {handler.name: handler for handler in all_handlers}
    if len(by_name) < len(all_handlers):
        message = "two handlers have the same name; a command needs exactly one"
        raise ValueError(message)
    return by_name


def _reader(payload_type: type[P], handle: Handles[P]) -> Callable[[object], Act]:
    def read(value: object) -> Act:
        try:
            payload = msgspec.convert(value, payload_type)
        except msgspec.ValidationError as error:
            raise PayloadUnfit(str(error)) from None
        return lambda connection, command: handle(connection, command, payload)

    return read
