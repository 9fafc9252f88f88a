"""How often and how patiently a command is tried.

Rules: pure arithmetic; jitter comes in as a number between 0 and 1, decided once by the caller and recorded.
It does not: wait, or decide what happens when the attempts are used up.
"""

from datetime import timedelta
from typing import Literal

import msgspec

Backoff = Literal["fixed", "linear", "exponential"]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts and the pauses between them.

    `attempts` counts all tries, the first included. The pause after attempt *n* is `first` (fixed), ``first * n``
    (linear) or ``first * 2**(n-1)`` (exponential), at most `cap`, shortened by up to `jitter` (a share from 0 to 1;
    "equal jitter" of the AWS architecture blog's *Exponential Backoff and Jitter*).
    """

    attempts: int = 5
    first: timedelta = timedelta(milliseconds=200)
    backoff: Backoff = "exponential"
    cap: timedelta = timedelta(seconds=30)
    jitter: float = 0.2

    def pause(self, attempt: int, chance: float) -> timedelta:
        """Return the pause after `attempt` (1, 2, …); `chance` in [0, 1) shortens it by ``jitter * chance``."""
        factor = {"fixed": 1, "linear": attempt, "exponential": 2 ** min(attempt - 1, 62)}[self.backoff]
        seconds = min(self.first.total_seconds() * factor, self.cap.total_seconds())
        return timedelta(seconds=seconds * (1 - self.jitter * chance))


FORWARD = RetryPolicy()
"""The policy of a compensatable step that names none: five attempts within about three seconds of pauses."""

UNDO = RetryPolicy(attempts=12, first=timedelta(milliseconds=500), cap=timedelta(minutes=2))
"""The policy of an undo, a pivot and a retriable step that names none: twelve attempts within some ten minutes.
An undo does not give up by itself: after the last attempt it is stuck, and a person decides."""

STEP_TIMEOUT = timedelta(seconds=30)
"""How long an attempt's answer is waited for when the step does not say."""
