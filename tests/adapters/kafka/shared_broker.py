"""The Apache Kafka of a test run.

Rules: topics and groups have names that nobody else uses, so tests do not see one another.
It does not: start anything before it is asked for (`tests/adapters/shared.py` says how long it lives).
"""

import uuid

from servers import kafka
from tests.adapters.shared import Shared

_SHARED = Shared("servers.kafka")


def broker() -> kafka.Server:
    """Return the shared broker."""
    found: kafka.Server = _SHARED.server()
    return found


def new_name() -> str:
    """Return the beginning of names that nobody has used."""
    return f"t-{uuid.uuid4().hex[:12]}"
