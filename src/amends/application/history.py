"""The history of one instance: its events one by one, and what it was after so many of them.

Rules: read from the stream alone; no definition is needed and no user code is called. Older events are shown lifted to
today's contract.
It does not: follow what comes later (`feed`), or search over instances (`queries`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from amends.application.errors import AmendsError, PositionUnknown, SagaUnknown
from amends.core.event import AnyEvent
from amends.core.evolve import InvalidTransition, evolve
from amends.core.state import State, initial
from amends.core.upcast import UnknownEvent, from_body, to_body
from amends.ports import StoreReader, StreamKey, Transition


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    position: int
    """Its place in the stream, from 1."""
    type: str
    time: datetime
    """When it was decided (UTC), with all events of the same transition."""
    body: dict[str, Any]
    """Its own fields as plain JSON values; those at their default are left out."""

    def as_dict(self) -> dict[str, Any]:
        """Return it flat: position, type and time beside its own fields."""
        return {"position": self.position, "type": self.type, "time": self.time, **self.body}


def event_views(transition: Transition) -> list[EventView]:
    """Return the events of a transition.

    Raises:
        AmendsError: this version of Amends cannot read them.
    """
    bodies: list[dict[str, Any]] = msgspec.json.decode(to_body(events_in(transition)))
    return [
        EventView(position=position, type=body.pop("type"), time=transition.recorded_at, body=body)
        for position, body in enumerate(bodies, start=transition.position)
    ]


async def events_of(store: StoreReader, key: StreamKey, *, after: int, limit: int | None) -> list[EventView]:
    """Return the events behind position `after`, at most `limit`.

    Raises:
        SagaUnknown: there is no such instance.
    """
    found = await store.read(key, after=after, limit=limit)
    if after > 0 and (not found or found[0].position > after + 1):
        # `after` stands inside a transition, or at the end; or there is nothing at all.
        found = await store.read(key)
    if not found:
        raise unknown(key)
    shown = (event for transition in found for event in event_views(transition) if event.position > after)
    return [event for event, _ in zip(shown, range(limit), strict=False)] if limit is not None else [*shown]


def folded(key: StreamKey, transitions: Sequence[Transition], *, state: State | None = None) -> State:
    """Return the state after `transitions`, which follow on `state`, or on nothing.

    Raises:
        AmendsError: they cannot be read by this version of Amends, or do not fit one another.
    """
    state = initial(key.namespace, key.saga_id) if state is None else state
    for transition in transitions:
        state = evolved(state, events_in(transition), transition)
    return state


async def state_at(store: StoreReader, key: StreamKey, position: int) -> State:
    """Return the state after exactly `position` events, within a transition as well.

    Raises:
        SagaUnknown: there is no such instance.
        PositionUnknown: its stream has fewer events, or `position` is less than 1.
    """
    transitions = await store.read(key)
    if not transitions:
        raise unknown(key)
    end = transitions[-1].position + transitions[-1].events - 1
    if not 1 <= position <= end:
        raise PositionUnknown(key.saga_id, position, end)
    whole = [each for each in transitions if each.position + each.events - 1 <= position]
    state = folded(key, whole)
    if state.position < position:
        split = transitions[len(whole)]
        state = evolved(state, events_in(split)[: position - state.position], split)
    return state


def unknown(key: StreamKey) -> SagaUnknown:
    """Return the error for an instance that is not there."""
    return SagaUnknown(f"there is no saga {key.saga_id!r} in namespace {key.namespace!r}")


def events_in(transition: Transition) -> "tuple[AnyEvent, ...]":
    """Return the events of a transition, lifted to today's contract.

    Raises:
        AmendsError: this version of Amends cannot read them.
    """
    try:
        return from_body(transition.body)
    except UnknownEvent as error:
        raise _unreadable(transition, error) from error


def evolved(state: State, events: "Sequence[AnyEvent]", transition: Transition) -> State:
    """Return the state after some `events` of `transition`.

    Raises:
        AmendsError: they do not fit.
    """
    try:
        after = evolve(state, events)
    except InvalidTransition as error:
        raise _unreadable(transition, error) from error
    if not after.saga:
        raise _unreadable(transition, "its stream does not begin with SagaStarted")
    return after


def _unreadable(transition: Transition, error: object) -> AmendsError:
    return AmendsError(f"saga {transition.key.saga_id!r}, position {transition.position}: {error}")
