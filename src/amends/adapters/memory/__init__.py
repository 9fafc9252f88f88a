"""The store that forgets: everything in this process's memory, for tests, trials and as the oracle of other stores.

Rules: simple enough to be right at a glance. It does not: survive the process, or be fast on purpose.
"""

from amends.adapters.memory.event_store import MemoryEventStore
from amends.adapters.memory.read_model import MemoryReadModel

__all__ = ["MemoryEventStore", "MemoryReadModel"]
