"""Amends: a durable saga orchestrator.

Write a saga once as a tree of typed values, run it embedded or as a service; when a step is refused Amends undoes what
was done. This module is the public surface: what is not here may change.
"""

from amends.application.errors import (
    ActRefused,
    AmendsError,
    NotEncodable,
    NotRunning,
    Overloaded,
    SagaConflict,
    SagaIdInvalid,
    SagaUnknown,
)
from amends.application.orchestrator import Orchestrator
from amends.application.view import SagaView, StepView
from amends.bootstrap import Callbacks, Refuse, callbacks, http, local, memory, sqlite
from amends.core.outcome import Failed, Refused, Succeeded
from amends.definition import (
    Cause,
    Command,
    DefinitionError,
    Node,
    Participant,
    RetryPolicy,
    Rollback,
    Saga,
    Statuses,
    Step,
    each,
    lint,
    on_rollback,
    parallel,
    pause_for,
    sequence,
    subsaga,
    tolerate,
    wait_for,
    when,
)
from amends.ports import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreHeld,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
)

__version__ = "0.1.0"

__all__ = [
    "ActRefused",
    "AmendsError",
    "Callbacks",
    "Cause",
    "Command",
    "DefinitionError",
    "Failed",
    "Node",
    "NotEncodable",
    "NotRunning",
    "Orchestrator",
    "Overloaded",
    "Participant",
    "Refuse",
    "Refused",
    "RetryPolicy",
    "Rollback",
    "Saga",
    "SagaConflict",
    "SagaIdInvalid",
    "SagaUnknown",
    "SagaView",
    "Statuses",
    "Step",
    "StepView",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreHeld",
    "StoreNewer",
    "StoreReadOnly",
    "StoreUnavailable",
    "Succeeded",
    "callbacks",
    "each",
    "http",
    "lint",
    "local",
    "memory",
    "on_rollback",
    "parallel",
    "pause_for",
    "sequence",
    "sqlite",
    "subsaga",
    "tolerate",
    "wait_for",
    "when",
]
