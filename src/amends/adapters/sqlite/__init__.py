"""The event store in one SQLite file: for a laptop, a test, a single machine; durable to the last acknowledged commit.

Rules: one operation, one file in `queries/`; the schema is built by `migrations/`, forward only; one process holds the
file. It does not: spread over machines, or need more than SQLite 3.40.
"""

from amends.adapters.sqlite.event_store import SqliteEventStore
from amends.adapters.sqlite.limits import SqliteLimits, measure_limits
from amends.adapters.sqlite.migrating import migrate, missing
from amends.adapters.sqlite.read_model import SqliteReadModel
from amends.adapters.sqlite.reader import SqliteStoreReader

__all__ = [
    "SqliteEventStore",
    "SqliteLimits",
    "SqliteReadModel",
    "SqliteStoreReader",
    "measure_limits",
    "migrate",
    "missing",
]
