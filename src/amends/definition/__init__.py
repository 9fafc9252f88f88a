"""What a user writes: a saga as a tree of frozen, typed values.

Rules: values only; nothing here runs a user's function, reads a clock or knows a store.
It does not: decide what happens next (`amends.core`).
"""

from amends.definition.command import Cause, Command, Rollback
from amends.definition.findings import RULES, DefinitionError, Finding
from amends.definition.lint import lint
from amends.definition.nodes import (
    Node,
    Participant,
    Saga,
    Statuses,
    Step,
    each,
    on_rollback,
    parallel,
    pause_for,
    sequence,
    subsaga,
    tolerate,
    wait_for,
    when,
)
from amends.definition.policy import FORWARD, STEP_TIMEOUT, UNDO, RetryPolicy
from amends.definition.shape import fingerprint, shape

__all__ = [
    "FORWARD",
    "RULES",
    "STEP_TIMEOUT",
    "UNDO",
    "Cause",
    "Command",
    "DefinitionError",
    "Finding",
    "Node",
    "Participant",
    "RetryPolicy",
    "Rollback",
    "Saga",
    "Statuses",
    "Step",
    "each",
    "fingerprint",
    "lint",
    "on_rollback",
    "parallel",
    "pause_for",
    "sequence",
    "shape",
    "subsaga",
    "tolerate",
    "wait_for",
    "when",
]
