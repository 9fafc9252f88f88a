"""How many sockets this process may have, and who gets them.

Rules: what the store, the logs and a name lookup need is set aside first; of the rest, calls to participants get at
most half, and clients the remainder. Two places are kept back: one for the connection that is being let in, one for
the one that is being closed for it.
It does not: open or close anything but, if allowed, raise the process's own soft limit.
"""

import contextlib
import os
import resource
from typing import NamedTuple

RESERVE = 20
"""Files besides sockets that may be opened later: the store, its views and their logs, a module, a name lookup."""
TURNING = 2
FEWEST_CLIENTS = 4


class Share(NamedTuple):
    """What each may open."""

    clients: int
    per_participant: int


class TooFew(Exception):
    """The limit on open files leaves no room to serve."""


def share(*, connections: int, participants: int, lane_width: int) -> Share:
    """Return how many connections clients may have, at most `connections`, and each participant.

    Raises:
        TooFew: `ulimit -n` leaves none.
    """
    wanted = connections + participants * lane_width + RESERVE + TURNING + _open_now()
    limit = _raised_limit(wanted)
    return split(
        limit - _open_now() - RESERVE - TURNING,
        connections=connections,
        participants=participants,
        lane_width=lane_width,
    )


def split(free: int, *, connections: int, participants: int, lane_width: int) -> Share:
    """Divide `free` descriptors.

    Raises:
        TooFew: they do not suffice for one call at a time and a few clients.
    """
    if free < participants + FEWEST_CLIENTS:
        needed = participants + FEWEST_CLIENTS - free
        raise TooFew(f"the limit on open files (ulimit -n) is too low: raise it by at least {needed}")
    each = min(lane_width, max(1, free // 2 // participants)) if participants else 0
    return Share(clients=min(connections, free - each * participants), per_participant=max(1, each))


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208  paths are of no use, only their number
    except OSError:
        return 16


def _raised_limit(wanted: int) -> int:
    """Raise the soft limit as far as `wanted` and the hard limit allow; return what holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max(soft, wanted)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
