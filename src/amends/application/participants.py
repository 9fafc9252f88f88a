"""A participant as it is bound here, to be shown: how its breaker stands, what waits for it, what it has.

Rules: figures are of this process alone.
A person's act is in the log, with who and why.
It does not: know what is sent.
"""

import logging
from collections.abc import Mapping
from typing import Literal, NamedTuple

from amends.application.breakers import Stage
from amends.application.errors import NoSuchParticipant
from amends.application.lane import Lane

log = logging.getLogger("amends.participants")


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


def steer(
    lanes: Mapping[str, Lane], name: str, act: Literal["open", "close"], *, by: str, reason: str
) -> ParticipantView:
    """Open or close the breaker of a participant by hand.

    Raises:
        NoSuchParticipant: none is bound under that name.
    """
    lane = lanes.get(name)
    if lane is None:
        raise NoSuchParticipant(name, tuple(sorted(lanes)))
    if act == "open":
        lane.open_by_hand()
    else:
        lane.close_by_hand()
    log.warning("%s: the breaker was told to %s by %s: %s", name, act, by, reason)
    return participant_view(lane)
