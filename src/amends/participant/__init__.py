"""What a service that executes commands imports: commands and answers, the barrier, doors for HTTP and Kafka.

    message, strict_json                     a received command and its answers; JSON as it must be
    handlers                                 a service's commands by name: do, undo, undo_only
    barrier                                  the rule: once per command, no do after its undo
    execution                                what lies between a door and a database
    database, sqlite_ledger                  the rule within a service's own SQLite transaction
    psycopg_ledger, asyncpg_ledger           the same in PostgreSQL
    sqlalchemy_ledger                        the same in SQLAlchemy's sessions and connections, for either
    statements                               the barrier's SQL and tables
    http_answer, http, asgi                  HTTP by aiohttp, or in any ASGI application
    kafka_message, kafka                     Kafka

Rules: a participant knows nothing of the process it takes part in; this package imports nothing else of amends but
`wire`, `avro` and `driver`. Each database's and server's library is imported by the module of its name alone.
"""

from amends.participant.barrier import Answer, CommandIdReused, conclude, conclude_async
from amends.participant.database import Database
from amends.participant.handlers import Handler, do, undo, undo_only
from amends.participant.message import BadMessage, Command, Direction, Later, Pair, Refused, Succeeded

__all__ = [
    "Answer",
    "BadMessage",
    "Command",
    "CommandIdReused",
    "Database",
    "Direction",
    "Handler",
    "Later",
    "Pair",
    "Refused",
    "Succeeded",
    "conclude",
    "conclude_async",
    "do",
    "undo",
    "undo_only",
]
