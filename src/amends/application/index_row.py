"""What becomes of an instance's index row: as little as keeps it from being too late.

Rules: a row may say too early, never too late; it says that something is outstanding as long as something may be.
An attempt that was held back has no time of its own until it goes, so the row need not tell of it.
It does not: write the row. The writer does with the append, the timers do when only the row is to be corrected.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from amends.application.instance import Instance
from amends.core.decision import Decision
from amends.core.state import State
from amends.ports import IndexChange, KeepIndex, RemoveIndex, SetIndex

KEEP: Final = KeepIndex()
REMOVE: Final = RemoveIndex()
PARKED: Final = SetIndex(None, outstanding=True)
"""Of an instance that this process cannot run: no timer looks at it again, the next opening does."""


def change_with(instance: Instance, decision: Decision) -> IndexChange:
    """Return the change that goes with `decision`."""
    state, commands = decision.state, decision.commands
    if state.final:
        return REMOVE
    # Nearly always one command's answer is all that is waited for: then its time is the next.
    only = commands[0].due if len(commands) == len(state.timers) == 1 else None
    wake_at = only or state.wake_at
    outstanding = True if commands else state.is_outstanding
    row = instance.row
    if row is not None and row.outstanding >= outstanding:
        known = row.wake_at
        early_enough = wake_at is None or (known is not None and known <= wake_at)
        if early_enough and (outstanding or (known == wake_at and not row.outstanding)):
            return KEEP
    return SetIndex(wake_at, outstanding)


def moved(state: State, held: Collection[str]) -> IndexChange:
    """Return the change that goes with a decision to `state` for which a timer fired: its row is due, so it must move.

    `held`: the steps whose command was held back, which are not looked at before it goes.
    """
    return REMOVE if state.final else corrected(state, held)


def is_early(instance: Instance, now: datetime) -> bool:
    """Tell whether a row that was due said so too early: it has not moved since, and the instance has not ended."""
    row = instance.row
    has_moved = row is not None and (row.wake_at is None or row.wake_at > now)
    return not has_moved and not instance.state.final


def corrected(state: State, held: Collection[str] = ()) -> SetIndex:
    """Return what the row of an instance in `state` should say."""
    return SetIndex(_wake_at(state, held), state.is_outstanding)


def _wake_at(state: State, held: Collection[str]) -> datetime | None:
    if not held or state.wake_at is None:
        return state.wake_at
    return min((due for path, due in state.timers.items() if path not in held), default=None)
