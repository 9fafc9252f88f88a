"""The event store in PostgreSQL 15 or newer: durable to the last acknowledged commit, on a server of its own.

Rules: one operation, one file in `queries/`; the tables are built by `migrations/`, forward only, in a schema of their
own; several processes may share them. It does not: work through a pooler that gives each transaction another session.
"""

from amends.adapters.postgres.address import Address
from amends.adapters.postgres.event_store import PostgresEventStore
from amends.adapters.postgres.held_session import migrate
from amends.adapters.postgres.migrations import missing
from amends.adapters.postgres.read_model import PostgresReadModel, migrate_views, missing_in_views
from amends.adapters.postgres.reader import PostgresStoreReader
from amends.adapters.postgres.scratch import Scratch

__all__ = [
    "Address",
    "PostgresEventStore",
    "PostgresReadModel",
    "PostgresStoreReader",
    "Scratch",
    "migrate",
    "migrate_views",
    "missing",
    "missing_in_views",
]
