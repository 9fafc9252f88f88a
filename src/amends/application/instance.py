"""One instance in memory: its state, the triggers that wait for it, and what it has on its way.

Rules: at most one append of an instance is on its way; triggers that come meanwhile wait in order.
It does not: act. The engine does.
"""

from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from amends.application.lane import Lane
from amends.core.effect import SendCommand
from amends.core.plan import Plan
from amends.core.state import State
from amends.core.trigger import Trigger
from amends.ports import SetIndex, StreamKey


class Awaits(Protocol):
    """What is asked of a waiter's future, and of what stands for one."""

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


Waiter: TypeAlias = Awaits | None
Until: TypeAlias = Literal["end", "stuck"]
"""What is waited for: the end, or the end or that a person is needed, whichever comes first."""


def reached(state: State, until: Until) -> bool:
    """Tell whether `state` is what `until` names."""
    return bool(state.final) or (until == "stuck" and bool(state.stuck))


class Ask(msgspec.Struct, eq=False):
    """A trigger, who waits for what becomes of it, and for a start the definition that the caller wants."""

    trigger: Trigger
    waiter: Waiter = None
    wanted: Plan | None = None
    until: Until | None = None
    """What the waiter, once the trigger is accepted, goes on to wait for."""
    expected: int | None = None
    """Where the caller saw the instance; if it stands elsewhere when the trigger is decided, nothing happens."""
    is_new: bool = False
    """The trigger began the instance."""
    before: State | None = None
    """What the instance was when the trigger was decided, or handed over."""
    number: int | None = None
    """Of the inbox row that it came in; the row leaves with what is stored."""
    is_stored: bool = False
    """What followed from it is durable, and its inbox row gone."""
    is_settled: bool = False
    """Nobody knows more than it says: it is decided as it is, whatever it leaves unknown."""
    lane: Lane | None = None
    """It is brought back for this lane, which takes what is outstanding in it; the trigger is `Recover`."""


class Instance:
    """Mutable bookkeeping around an immutable state. `plan` is None until it is loaded or begun."""

    __slots__ = (
        "asking",
        "busy",
        "ended",
        "in_flight",
        "key",
        "leaving",
        "plan",
        "queue",
        "row",
        "state",
        "ticking",
    )

    def __init__(self, key: StreamKey, plan: Plan | None, state: State) -> None:
        """Begin without triggers."""
        self.key = key
        self.plan = plan
        self.state = state
        self.queue: list[Ask] = []
        self.busy = False
        """An append, a correction of the index row, or the loading of the stream is on its way."""
        self.asking: Waiter = None
        """Who waits for the append that is on its way."""
        self.in_flight: dict[str, int] = {}
        """Commands handed to the dispatcher and not answered: the latest attempt of each, by command id."""
        self.ended: dict[Awaits, Until] = {}
        """Who waits for its end, or for less."""
        self.leaving = False
        """Another process goes on with it: it decides nothing more here."""
        self.ticking = False
        """A tick waits in the queue; another would say nothing new."""
        self.row: SetIndex | None = None
        """What its index row says, as far as that is known."""

    def is_at_work(self) -> bool:
        """Tell whether something waits for it, or something of it is on its way."""
        return bool(self.busy or self.queue or self.in_flight)

    def landed(self, command: SendCommand) -> None:
        """Take notice that an attempt is not in flight any more."""
        if self.in_flight.get(command.command_id) == command.attempt:
            del self.in_flight[command.command_id]

    def waiters(self) -> "list[Waiter]":
        """Return all who wait for something of it."""
        return [self.asking, *(ask.waiter for ask in self.queue), *self.ended]

    def not_sent(self) -> list[SendCommand]:
        """Return the outstanding commands that were not handed to the dispatcher."""
        return [
            command
            for command in self.state.outstanding()
            if self.in_flight.get(command.command_id) != command.attempt
        ]

    def refuse(self, asks: list[Ask], error: Exception) -> None:
        """Tell all who wait, and who sent `asks`, that nothing comes of it."""
        for waiter in (*(ask.waiter for ask in asks), *self.ended):
            refuse(waiter, error)
        self.ended.clear()

    def tell(self) -> None:
        """Tell those who wait for what the instance has come to."""
        if not (self.state.final or self.state.stuck):
            return
        for waiter, until in list(self.ended.items()):
            if reached(self.state, until):
                del self.ended[waiter]
                if not waiter.done():
                    waiter.set_result(self.state)


def refuse(waiter: Waiter, error: Exception) -> None:
    """Tell `waiter`, if it still waits, that nothing comes of it."""
    if waiter is not None and not waiter.done():
        waiter.set_exception(error)
