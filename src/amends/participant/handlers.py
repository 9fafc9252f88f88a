"""A service's commands by name: which type their payload has, and the function that acts.

    COMMANDS = handlers(do("reserve-stock", ReserveStock, reserve), undo("release-stock", ReleaseStock, release))

Rules:
- A handler is a function `(connection, command, payload) -> Succeeded[...] | Refused`, `async` where the database's
  driver is. It does its work with this connection (or session: whatever the service's database gives) and leaves the
  transaction to the barrier: it neither commits nor rolls back.
- A handler knows no transport: HTTP, Kafka and a test bring the same command and take the same answer.
- What a handler changed before it returned `Refused` is taken back.
- A handler that raises has done nothing, and is asked again.
- A do that takes long returns `Later()`: what it began is kept, and `conclude` (barrier) gives the answer one day.
- `undo` is called only when its do is known to have succeeded here; `undo_only` is for a step whose effect existed
  before the saga (cancel the order that started it): it is called although no do was ever seen.

Does not do: retry, wait, send. What a handler wants sent goes into a table of the service's own, in its transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import msgspec

from amends.participant.message import BadMessage, Command, Direction, Later, Refused, Succeeded

P = TypeVar("P")
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)
"""What a handler works with: a connection, a session."""
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
"""What a handler returns: a `Result`, or an awaitable one."""

Result: TypeAlias = Succeeded[object] | Refused | Later
Act: TypeAlias = Callable[[S, Command], R]


class PayloadUnfit(ValueError):
    """The payload is JSON, but not what this command takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler(Generic[S_contra, R_co]):
    """One command of a service. `read` turns a payload into the function that acts on it, or raises PayloadUnfit."""

    name: str
    direction: Direction
    needs_do: bool
    read: Callable[[object], Callable[[S_contra, Command], R_co]]

    def act_on(self, command: Command) -> Callable[[S_contra, Command], R_co]:
        """The function that executes this command; BadMessage when its direction is not the handler's."""
        if command.direction != self.direction:
            message = f"{self.name} is {self.direction}, but the command says {command.direction}"
            raise BadMessage(message)
        return self.read(command.payload)


def do(name: str, payload: type[P], act: Callable[[S, Command, P], R]) -> Handler[S, R]:
    """Handle a command that has an effect."""
    return Handler(name=name, direction="do", needs_do=False, read=_reader(payload, act))


def undo(name: str, payload: type[P], act: Callable[[S, Command, P], R]) -> Handler[S, R]:
    """Handle the command that takes back what the do of the same step did here."""
    return Handler(name=name, direction="undo", needs_do=True, read=_reader(payload, act))


def undo_only(name: str, payload: type[P], act: Callable[[S, Command, P], R]) -> Handler[S, R]:
    """Handle an undo that has no do."""
    return Handler(name=name, direction="undo", needs_do=False, read=_reader(payload, act))


def handlers(*all_handlers: Handler[S, R]) -> Mapping[str, Handler[S, R]]:
    """The handlers by name; two of one name are a mistake."""
    by_name = {handler.name: handler for handler in all_handlers}
    if len(by_name) < len(all_handlers):
        message = "two handlers have the same name; a command needs exactly one"
        raise ValueError(message)
    return by_name


def _reader(payload_type: type[P], handle: Callable[[S, Command, P], R]) -> Callable[[object], Act[S, R]]:
    def read(value: object) -> Act[S, R]:
        try:
            payload = msgspec.convert(value, payload_type)
        except msgspec.ValidationError as error:
            raise PayloadUnfit(str(error)) from None
        return lambda connection, command: handle(connection, command, payload)

    return read
