"""What a user's functions return and receive: commands, and what an undo is told.

Rules: values only, frozen. The type parameter of `Command` is the type of the participant's reply; it exists for the
type checker and for `do`'s annotation, from which the reply is decoded.
It does not: know how a command travels, or when.
"""

from typing import Any, Generic, TypeVar

import msgspec

R = TypeVar("R")
"""A participant's reply."""
R_co = TypeVar("R_co", covariant=True)
"""The same where it is only read: an undo that reads nothing of the reply may take a ``Rollback[object]``."""


class Command(msgspec.Struct, Generic[R], frozen=True):
    """An imperative message to a participant; its answer is an ``R``.

    `name` is the operation at the participant (``charge``), `payload` anything that msgspec can encode: a frozen
    dataclass, a struct, a dict.
    """

    name: str
    payload: Any = None


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a saga, or a part of it, turned round.

    `code` is the participant's own for a refusal (``out-of-stock``), otherwise one of `UNKNOWN`, `CANCELLED`,
    `DEADLINE`, `TIMEOUT`, `REJECTED`, `RAISED`, `NOT_NEEDED`. `step` is the path of the step or node, empty when
    somebody outside decided.
    """

    code: str
    reason: str = ""
    step: str = ""

    @property
    def name(self) -> str:
        """The step's name: its path without sub-saga and keys (``reserve-stock`` of ``reserve-stock[sku-1]``)."""
        return self.step.partition("[")[0].rpartition("/")[2]


UNKNOWN = "unknown"
"""No trustworthy answer came; it may have happened."""
CANCELLED = "cancelled"
"""Somebody asked for it."""
DEADLINE = "deadline"
"""The saga's deadline passed."""
TIMEOUT = "timeout"
"""A wait ended without its signal."""
REJECTED = "rejected"
"""The signal came and said no."""
RAISED = "function-raised"
"""A function of the definition raised."""
NOT_NEEDED = "not-needed"
"""A `parallel` had enough branches without this one."""


class Rollback(msgspec.Struct, Generic[R_co], frozen=True):
    """What an undo is told: the reply to its do, and what caused the rollback.

    `reply` is None when the do's outcome is unknown: it may have happened, so undo by business key.
    """

    reply: R_co | None
    cause: Cause
