"""What a participant's answer means: it succeeded, it was refused, or this attempt says nothing we can trust.

Rules: a transport classifies and never throws; whatever is not a clear yes or a clear business no is `Failed`.
It does not: decide about retries or compensation (that is the core), or decode the reply (the core does that too).
"""

from datetime import timedelta
from typing import Literal, TypeAlias

import msgspec

Fault: TypeAlias = Literal["transient", "timeout", "configuration", "unreadable", "refused"]
"""Why an attempt gave no trustworthy answer. `refused` only marks a no where no is no answer: to an undo, or to a
retriable step."""


class Succeeded(msgspec.Struct, frozen=True, gc=False):
    """The participant did it. `reply` is its JSON document (``null`` when it had nothing to say)."""

    reply: bytes = b"null"


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A business no: nothing was done, and asking again will not help."""

    code: str
    reason: str = ""


class Failed(msgspec.Struct, frozen=True, gc=False):
    """No trustworthy answer: it may have happened, or not."""

    reason: str
    fault: Fault = "transient"
    retry_after: timedelta | None = None
    """The participant asked not to be called again before this much time has passed."""


class Unconfirmed(msgspec.Struct, frozen=True, gc=False):
    """The binding has no confirmation (an event on a topic that nobody answers): handed over, and that is all."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The participant took the command and will answer later through the callback; nothing to record yet."""


Answer: TypeAlias = Succeeded | Refused | Failed | Unconfirmed
"""What is fed to the core."""
