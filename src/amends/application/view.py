"""What an instance looks like from outside.

Rules: derived from the folded state alone; nothing here is stored. A view shows the instance as it stood when it was
made and never changes. It is made for every instance that ends, so it does nothing until somebody looks.
It does not: search, count or page (`queries` does).
"""

from typing import Any, Generic, TypeVar

import msgspec

from amends.core.codec import Unreadable
from amends.core.plan import Plan
from amends.core.state import State, StepState
from amends.core.transitions import Phase, Status
from amends.definition import Cause

D = TypeVar("D")


class StepView:
    """One step that has begun. `attempts` are those of its last command, `undo_round` counts its undos."""

    __slots__ = ("_path", "_step")

    def __init__(self, path: str, step: StepState) -> None:
        """Show `step`, which never changes."""
        self._path = path
        self._step = step

    @property
    def path(self) -> str:
        """Where it stands in the definition, such as ``hold-stock[apple]``."""
        return self._path

    @property
    def phase(self) -> Phase:
        """How far it is."""
        return self._step.phase

    @property
    def attempts(self) -> int:
        """How often its last command was sent."""
        return self._step.attempt

    @property
    def undo_round(self) -> int:
        """How often it was undone, or is being; 0 before the first undo."""
        return self._step.round

    @property
    def code(self) -> str:
        """Of the refusal, if there was one."""
        return self._step.code

    @property
    def reason(self) -> str:
        """The last refusal, fault or person's word."""
        return self._step.reason

    @property
    def reply(self) -> Any:
        """What the participant replied to the do, as plain JSON values; None when there is nothing."""
        reply = self._step.reply
        return None if reply is None else msgspec.json.decode(reply)

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes by name."""
        return dict(zip(_STEP, _shown(self, _STEP), strict=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StepView):
            return NotImplemented
        return _shown(self, _STEP) == _shown(other, _STEP)

    def __hash__(self) -> int:
        return hash((self.path, self.phase, self.attempts, self.undo_round))

    def __repr__(self) -> str:
        return _told(self, _STEP)


class SagaView(Generic[D]):
    """An instance as it stands."""

    __slots__ = ("_data", "_plan", "_state")

    _data: D
    """Set when it is first asked for."""

    def __init__(self, plan: Plan | None, state: State) -> None:
        """Show `state`, which never changes any more, by the definition that it runs on, or without it."""
        self._plan = plan
        self._state = state

    @property
    def id(self) -> str:
        """The saga id."""
        return self._state.saga_id

    @property
    def namespace(self) -> str:
        """The first half of its identity."""
        return self._state.namespace

    @property
    def saga(self) -> str:
        """The definition's name."""
        return self._state.saga

    @property
    def version(self) -> int:
        """The definition's version."""
        return self._state.version

    @property
    def status(self) -> Status:
        """The engine's status."""
        return self._state.status

    @property
    def business_status(self) -> str:
        """The saga's own word for where it is; empty when it has none."""
        return self._state.business

    @property
    def paused(self) -> bool:
        """Nothing new begins."""
        return self._state.paused

    @property
    def data(self) -> D:
        """The saga's data after every merge; plain JSON values where they do not fit the definition's type, or where
        the definition is not at hand.
        """
        try:
            return self._data
        except AttributeError:
            self._data = _data(self._plan, self._state)
            return self._data

    @property
    def steps(self) -> tuple[StepView, ...]:
        """The steps that have begun, in the order in which they did."""
        return tuple(StepView(path, step) for path, step in self._state.steps())

    @property
    def undone(self) -> tuple[str, ...]:
        """The steps that were undone, in the order in which they *began*. The stream has the order of the undos."""
        return tuple(path for path, step in self._state.steps() if step.phase == "undone")

    @property
    def stuck(self) -> tuple[str, ...]:
        """What waits for a person."""
        return tuple(self._state.stuck)

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """What nobody has confirmed: skipped by a person, given up, or sent to a binding that has no answers."""
        return self._state.unconfirmed

    @property
    def contradicted(self) -> tuple[str, ...]:
        """The steps to which a later answer said otherwise; the first answer stands."""
        return self._state.contradicted

    @property
    def cause(self) -> Cause | None:
        """Why it turned round; None while it goes forward."""
        return self._state.turned.get("")

    @property
    def position(self) -> int:
        """How many events its stream has."""
        return self._state.position

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes by name, the steps as dicts, too; `data` stay of the saga's own type."""
        shown = dict(zip(_SAGA, _shown(self, _SAGA), strict=True))
        return shown | {"steps": [step.as_dict() for step in self.steps]}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _shown(self, _SAGA) == _shown(other, _SAGA)

    def __hash__(self) -> int:
        return hash((self.namespace, self.id, self.position))

    def __repr__(self) -> str:
        return _told(self, _SAGA)


_STEP = ("path", "phase", "attempts", "undo_round", "code", "reason", "reply")
_SAGA = (
    "id",
    "namespace",
    "saga",
    "version",
    "status",
    "business_status",
    "paused",
    "data",
    "steps",
    "undone",
    "stuck",
    "unconfirmed",
    "contradicted",
    "cause",
    "position",
)


def view(plan: Plan | None, state: State) -> "SagaView[Any]":
    """Return what `state` looks like; without the definition its data are plain JSON values."""
    return SagaView(plan, state)


def _data(plan: Plan | None, state: State) -> Any:
    data = state.data[""]
    try:
        return plan.decoders[""](data) if plan else msgspec.json.decode(data)
    except Unreadable:
        return msgspec.json.decode(data)


def _shown(thing: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(thing, name) for name in names)


def _told(thing: object, names: tuple[str, ...]) -> str:
    return f"{type(thing).__name__}({', '.join(f'{name}={getattr(thing, name)!r}' for name in names)})"
