"""The clock port: the only place where time comes from.

Rules: times are aware and in UTC. The core never sees a clock, only the instant that a role read from it.
It does not: sleep or schedule; waiting is a role's business (`application/timers.py`).
"""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...
