"""A participant as it is bound here, to be shown: how its breaker stands, what waits for it, what it has.

Rules: figures are of this process alone.
It does not: change anything.
"""

from typing import NamedTuple

from amends.application.breakers import Stage
from amends.application.lane import Lane


class ParticipantView(NamedTuple):
    """A participant as it is bound here."""

    name: str
    binding: str
    """``local``, ``http``…"""
    address: str
    """Where its commands go, without credentials; empty when that is this process."""
    waiting: int
    """Commands that are not on their way yet."""
    in_flight: int
    """Commands that were sent and are not answered, as far as this process knows."""
    breaker: Stage
    """Whether it is called."""
    by_hand: bool
    """A person opened the breaker."""
    trips: int
    """How often the breaker opened by itself."""
    held: dict[str, int]
    """Commands that could not go at once, by what was in their way: breaker, limit, budget."""


def participant_view(lane: Lane) -> ParticipantView:
    """Return what is to be shown of the participant behind `lane`."""
    gate = lane.gate
    return ParticipantView(
        lane.name,
        *lane.binding,
        lane.waiting,
        lane.in_flight,
        gate.stage,
        gate.breaker.by_hand,
        gate.breaker.trips,
        {"breaker": gate.held["breaker"], "limit": gate.held["limit"], "budget": gate.held["budget"]},
    )
