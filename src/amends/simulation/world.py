"""The world that a saga acts on: participants, what they did, and the messages in flight.

Rules
- Values only; a world is never changed, the next one is another value.
- A participant acts once on a command id and gives the same answer to it for ever (rule 2). One that keeps the
  *barrier* also refuses a do that comes after its undo, and confirms an undo whose do never came.
- A message in flight may arrive now, later, or never: never is the choice not to deliver it. A lost reply is a choice
  of its own only where the search is asked for it, because a reply that can still arrive can still set things right.
- Effects are counted by step path. What an `on_rollback` takes back was there before.
It does not: decide which choice is made (`explore`), or judge (`invariants`).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from amends.core.effect import Direction, SendCommand


class Call(NamedTuple):
    """A command, by what its id is made of."""

    step: str
    direction: Direction
    round: int


class Said(NamedTuple):
    """A participant's answer to a command: yes or no."""

    call: Call
    yes: bool


class World(msgspec.Struct, frozen=True):
    """Everything outside the orchestrator."""

    commands: frozenset[Call] = frozenset()
    """In flight to their participants."""
    replies: frozenset[Said] = frozenset()
    """In flight back."""
    acted: frozenset[Said] = frozenset()
    """What the participants remember."""
    lost: frozenset[Said] = frozenset()
    """Answers that will never arrive."""
    effects: frozenset[tuple[str, int]] = frozenset()
    """How often each step's effect is there, where it is."""

    def effect(self, step: str) -> int:
        """Return how often the effect of `step` is there."""
        return dict(self.effects).get(step, 0)


def sent(world: World, commands: Iterable[SendCommand]) -> World:
    """Return the world with these commands in flight."""
    new = frozenset(Call(command.step, command.direction, command.round) for command in commands)
    return msgspec.structs.replace(world, commands=world.commands | new) if new else world


def answers(world: World, call: Call, *, barrier: bool, refusable: bool) -> Iterator[bool]:
    """Yield the answers that the participant may give to `call`."""
    remembered = [said.yes for said in world.acted if said.call == call]
    if remembered:
        yield remembered[0]
    elif call.direction == "undo":
        yield True
    elif barrier and any(
        said.call.step == call.step and said.call.direction == "undo" for said in world.acted
    ):
        yield False
    else:
        yield True
        if refusable:
            yield False


def executed(world: World, call: Call, *, yes: bool) -> World:
    """Return the world after the participant acted on `call` and sent its answer off."""
    said = Said(call, yes)
    effects = world.effects
    if said not in world.acted and yes:
        effects = _changed(effects, call)
    return msgspec.structs.replace(
        world,
        commands=world.commands - {call},
        replies=world.replies | {said},
        acted=world.acted | {said},
        effects=effects,
    )


def _changed(effects: frozenset[tuple[str, int]], call: Call) -> frozenset[tuple[str, int]]:
    counts = dict(effects)
    by = 1 if call.direction == "do" else -1
    counts[call.step] = max(0, counts.get(call.step, 0) + by)
    return frozenset((step, count) for step, count in counts.items() if count)


def delivered(world: World, said: Said) -> World:
    """Return the world after the reply arrived. What is under way of the same command cannot matter any more: its
    participant acts once, and that a second reply changes nothing is checked in each state anyway.
    """
    return msgspec.structs.replace(
        world,
        replies=world.replies - {said},
        lost=world.lost - {said},
        commands=world.commands - {said.call},
    )


def lost(world: World, said: Said) -> World:
    """Return the world in which this reply is no longer under way."""
    return msgspec.structs.replace(world, replies=world.replies - {said}, lost=world.lost | {said})
