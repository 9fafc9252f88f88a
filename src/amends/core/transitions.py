"""The transitions of a step and of an instance, as data: what runs, what is checked and what the docs draw.

Rules: `evolve` makes no change of phase that is not in `STEP`; the explorer's invariants hold every change of status
against `INSTANCE`.
They do not: say when a transition is due (that is `progress` and `compensation`).
"""

from typing import Literal, TypeAlias

Phase: TypeAlias = Literal[
    "idle",
    "doing",
    "retrying",
    "succeeded",
    "refused",
    "unknown",
    "stuck",
    "passed",
    "undoing",
    "undo-retrying",
    "undo-stuck",
    "undone",
    "left",
]
"""`passed`: a person went on without the step. `left`: a person left it as it is, not undone."""

Status: TypeAlias = Literal["running", "compensating", "stuck", "completed", "compensated", "abandoned"]

Fact: TypeAlias = Literal[
    "issued",
    "failed",
    "again",
    "succeeded",
    "refused",
    "given up",
    "stuck",
    "retried",
    "skipped",
    "undo issued",
    "undone",
]

STEP: frozenset[tuple[Phase, Fact, Phase]] = frozenset(
    {
        # forward
        ("idle", "issued", "doing"),
        ("idle", "refused", "refused"),
        ("idle", "stuck", "stuck"),
        ("doing", "failed", "retrying"),
        ("retrying", "again", "doing"),
        ("doing", "again", "doing"),
        ("doing", "succeeded", "succeeded"),
        ("doing", "refused", "refused"),
        ("retrying", "succeeded", "succeeded"),
        ("retrying", "refused", "refused"),
        ("retrying", "given up", "unknown"),
        ("retrying", "stuck", "stuck"),
        ("succeeded", "stuck", "stuck"),
        ("stuck", "succeeded", "succeeded"),
        ("stuck", "refused", "refused"),
        ("stuck", "skipped", "passed"),
        ("stuck", "retried", "idle"),
        ("stuck", "retried", "retrying"),
        ("stuck", "retried", "succeeded"),
        # a late answer to a step that was given up
        ("unknown", "succeeded", "succeeded"),
        ("unknown", "refused", "refused"),
        ("passed", "succeeded", "succeeded"),
        ("passed", "refused", "passed"),
        ("undoing", "succeeded", "undoing"),
        ("undoing", "refused", "undoing"),
        ("undo-retrying", "succeeded", "undo-retrying"),
        ("undo-retrying", "refused", "undo-retrying"),
        ("undo-stuck", "succeeded", "undo-stuck"),
        ("undo-stuck", "refused", "undo-stuck"),
        ("undone", "succeeded", "succeeded"),
        ("undone", "refused", "undone"),
        ("left", "succeeded", "succeeded"),
        ("left", "refused", "left"),
        # backward
        ("idle", "undo issued", "undoing"),
        ("succeeded", "undo issued", "undoing"),
        ("unknown", "undo issued", "undoing"),
        ("undoing", "failed", "undo-retrying"),
        ("undo-retrying", "again", "undoing"),
        ("undoing", "again", "undoing"),
        ("undoing", "undone", "undone"),
        ("undo-retrying", "undone", "undone"),
        ("undo-stuck", "undone", "undone"),
        ("undoing", "undone", "succeeded"),
        ("undo-retrying", "undone", "succeeded"),
        ("undo-stuck", "undone", "succeeded"),
        ("undo-retrying", "stuck", "undo-stuck"),
        ("idle", "stuck", "undo-stuck"),
        ("succeeded", "stuck", "undo-stuck"),
        ("unknown", "stuck", "undo-stuck"),
        ("undo-stuck", "skipped", "left"),
        ("undo-stuck", "retried", "idle"),
        ("undo-stuck", "retried", "succeeded"),
        ("undo-stuck", "retried", "unknown"),
        ("undo-stuck", "retried", "undo-retrying"),
    }
)

INSTANCE: frozenset[tuple[Status, Status]] = frozenset(
    {
        ("running", "compensating"),
        ("running", "stuck"),
        ("running", "completed"),
        ("running", "compensated"),
        ("running", "abandoned"),
        ("compensating", "stuck"),
        ("compensating", "compensated"),
        ("compensating", "abandoned"),
        ("stuck", "running"),
        ("stuck", "compensating"),
        ("stuck", "completed"),
        ("stuck", "compensated"),
        ("stuck", "abandoned"),
        # a late success after the end is undone
        ("completed", "running"),
        ("completed", "stuck"),
        ("compensated", "compensating"),
        ("compensated", "stuck"),
    }
)

SETTLED: frozenset[Phase] = frozenset({"idle", "refused", "passed", "undone", "left"})
"""Phases in which a rollback finds nothing to do."""

DUE: frozenset[Phase] = frozenset({"succeeded", "unknown"})
"""Phases in which a rollback has something to undo."""

IN_FLIGHT: frozenset[Phase] = frozenset({"doing", "undoing"})
"""Phases in which a command is outstanding."""
