"""What makes the core decide.

Rules: a trigger is a plain value; user data in it is already JSON. It may arrive twice, late, or for an instance that
has ended: `decide` answers each.
It does not: say when it happened; the instant is an argument of `decide`.
"""

from typing import TypeAlias

import msgspec

from amends.core.effect import Direction, TraceContext
from amends.core.outcome import Answer, Refused, Succeeded


class Start(msgspec.Struct, frozen=True, gc=False):
    """Begin an instance. `data` is the saga's data as JSON, `trace` what the caller was doing."""

    data: bytes
    trace: TraceContext | None = None


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A participant answered one attempt of a command."""

    step: str
    direction: Direction
    round: int
    attempt: int
    answer: Answer


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Some timer may be due."""

    held: frozenset[str] = frozenset()
    """Paths of steps whose command was held back and not sent: the time of their attempts stands still."""


class Recover(msgspec.Struct, frozen=True, gc=False):
    """The instance was folded after a restart, or commands that were held back can go: nobody was asked meanwhile."""

    steps: frozenset[str] | None = None
    """Paths of the steps that are meant; None: all of them, as after a restart."""


class Signal(msgspec.Struct, frozen=True, gc=False):
    """Something the saga waits for, or may come to wait for, happened. The same `signal_id` counts once."""

    signal: str
    content: bytes = b"null"
    signal_id: str = ""


class Cancel(msgspec.Struct, frozen=True, gc=False):
    by: str
    reason: str


class Pause(msgspec.Struct, frozen=True, gc=False):
    by: str
    reason: str


class Resume(msgspec.Struct, frozen=True, gc=False):
    by: str
    reason: str


class Retry(msgspec.Struct, frozen=True, gc=False):
    """Try the stuck step again."""

    step: str
    by: str
    reason: str


class Resolve(msgspec.Struct, frozen=True, gc=False):
    """Settle the stuck step with the answer that its participant would have given."""

    step: str
    answer: Succeeded | Refused
    by: str
    reason: str


class Skip(msgspec.Struct, frozen=True, gc=False):
    """Go on without the stuck step."""

    step: str
    by: str
    reason: str


class Abandon(msgspec.Struct, frozen=True, gc=False):
    """Give the instance up."""

    by: str
    reason: str


Trigger: TypeAlias = (
    Start | Reply | Tick | Recover | Signal | Cancel | Pause | Resume | Retry | Resolve | Skip | Abandon
)
