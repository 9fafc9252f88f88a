"""What becomes of an instance's index row: as little as keeps it from being too late.

Rules: a row may say too early, never too late; it says that something is outstanding as long as something may be.
An attempt that was held back has no time of its own until it goes, so the row need not tell of it.
It does not: write the row. The writer does with the append, the timers do when only the row is to be corrected.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from amends.application.instance import Instance
from amends.core.decide import Decision
from amends.core.state import State
from amends.ports import IndexChange, KeepIndex, RemoveIndex, SetIndex

KEEP: Final = KeepIndex()
PARKED: Final = SetIndex(None, outstanding=True)
"""Of an instance that this process cannot run: no timer looks at it again, the next opening does."""


def change_with(
    instance: Instance, decision: Decision, *, timer_fired: bool, held: Collection[str] = ()
) -> IndexChange:
    """Return the change that goes with `decision`. A row whose timer fired is due, so it must move.

    `held`: the steps whose command was held back, which are not looked at before it goes.
    """
    state = decision.state
    if state.final:
        return RemoveIndex()
    wake_at = _wake_at(state, held) if held else state.wake_at
    outstanding = bool(decision.commands) or state.is_outstanding
    if instance.indexed and not timer_fired and instance.index_outstanding >= outstanding:
        known = instance.index_wake_at
        early_enough = wake_at is None or (known is not None and known <= wake_at)
        if early_enough and (outstanding or (known == wake_at and not instance.index_outstanding)):
            return KEEP
    return SetIndex(wake_at, outstanding)


def is_early(instance: Instance, now: datetime) -> bool:
    """Tell whether a row that was due said so too early: it has not moved since, and the instance has not ended."""
    wake_at = instance.index_wake_at
    moved = instance.indexed and (wake_at is None or wake_at > now)
    return not moved and not instance.state.final


def corrected(state: State, held: Collection[str] = ()) -> SetIndex:
    """Return what the row of an instance in `state` should say."""
    return SetIndex(_wake_at(state, held), state.is_outstanding)


def _wake_at(state: State, held: Collection[str]) -> datetime | None:
    if not held or state.wake_at is None:
        return state.wake_at
    return min((due for path, due in state.timers.items() if path not in held), default=None)


def remember(instance: Instance, change: IndexChange) -> None:
    """Note in `instance` what its row says now."""
    if type(change) is SetIndex:
        instance.indexed = True
        instance.index_wake_at = change.wake_at
        instance.index_outstanding = change.outstanding
    elif type(change) is RemoveIndex:
        instance.indexed = False
