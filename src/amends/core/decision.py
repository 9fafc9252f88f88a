"""What comes of a trigger: a decision, or a rejection.

Rules: both are values for whoever brought the trigger; nothing has happened yet when they are there.
It does not: decide (`decide` does).
"""

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from amends.core import event as e
from amends.core.effect import SendCommand
from amends.core.state import State

RejectionCode: TypeAlias = Literal[
    "conflict",
    "ended",
    "not-started",
    "not-stuck",
    "past-no-return",
    "unknown-command",
    "unknown-signal",
    "unreadable",
]


ANY_ATTEMPT: Final = 0
"""The attempt of an answer that does not say which one it answers: the one in flight is meant."""


class Rejected(Exception):
    """The rules forbid what was asked; nothing changed. `code` is for programs, the text for people."""

    def __init__(self, code: RejectionCode, message: str) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.code: RejectionCode = code


class Decision(msgspec.Struct, frozen=True, gc=False):
    """New facts, the state after them, and the commands to send once the facts are durable."""

    events: "tuple[e.AnyEvent, ...]"
    state: State
    commands: tuple[SendCommand, ...] = ()
    wake_at: datetime | None = None
    """Of the state after them (`State.wake_at`): whoever decides has it at hand, and everybody asks for it."""
