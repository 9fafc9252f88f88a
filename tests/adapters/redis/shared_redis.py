"""The Redis of a test run. Rules: namespaces have names that nobody else uses, so tests do not see one another.
It does not: start anything before it is asked for (`tests/adapters/shared.py` says how long it lives).
"""

import uuid

from servers import redis
from tests.adapters.shared import Shared

_SHARED = Shared("servers.redis")


def server() -> redis.Server:
    """Return the shared Redis."""
    found: redis.Server = _SHARED.server()
    return found


def new_namespace() -> str:
    """Return a namespace that nobody has used."""
    return f"t-{uuid.uuid4().hex[:12]}"
