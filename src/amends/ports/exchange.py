"""The exchange port: a place where processes that call the same participants tell one another how these are.

Rules
- Nothing in it is authoritative: what it forgets, or keeps to itself, costs time at most. Each process goes on by what
  it knows when nobody answers.
- There is one verb, `meet`: a process says how its breakers stand and what it would send, and hears how those of the
  others do, which probes are its own, and how many calls it may make. It is asked again and again, beside the way of
  every command.
- Times are lengths, not instants: clocks of processes need not agree.
It does not: know a saga, or hold a command.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, Protocol

import msgspec


class ExchangeAway(Exception):
    """Nobody answers there; the text names the address, and no password."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """How a breaker was turned, for the others to follow."""

    stage: Literal["open", "ramping"]
    left: timedelta | None = None
    """Until a probe may go, of an open one; None: until a person closes it."""
    ago: timedelta = timedelta(0)
    """How long it ramps already."""
    opened: int = 0
    """How often it opened without having been closed between."""
    by_hand: bool = False
    """A person did it. What a person opened is let go by a person only."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a rate that several processes share."""

    rate: float
    """Calls a second, by all of them together."""
    burst: float
    """So many at once, at most."""
    calls: int
    """How many this process would make now; below nothing: so many it gives back."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a process says of one participant."""

    turn: Turn | None = None
    """How its breaker stands; None when it is closed."""
    turn_id: str = ""
    """The name of that turn: a new one when it came about here, else the one under which it was heard."""
    is_new: bool = False
    heard: str = ""
    """The last turn of somebody else that it followed."""
    probe: bool = False
    """It would send a probe, or has one on its way."""
    wish: Wish | None = None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What it hears of that participant."""

    turn: Turn | None = None
    """One that it did not follow yet."""
    turn_id: str = ""
    probe: bool = False
    """The probe is its own, for a while."""
    calls: int = 0
    """So many more calls it may make."""


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a meeting."""

    members: int
    """How many processes meet there now, this one included."""
    heard: Mapping[str, Heard]


class Exchange(Protocol):
    """One per process."""

    async def meet(self, said: Mapping[str, Said]) -> Met:
        """Say how things stand here, by the names of bindings, and hear how they do elsewhere.

        Raises:
            ExchangeAway: nobody answers, or not in time; what was said may have arrived.
        """
        ...

    async def leave(self) -> None:
        """Take leave, as far as that can be done at once, and let go of the connection; nothing is raised."""
        ...
