"""What a service that executes commands imports: the command, the two answers, the barrier, an HTTP application.

    message         a received command and its two answers
    strict_json     JSON as it must be
    handlers        a service's commands by name: do, undo, undo_only
    barrier         the rule: once per command, no do after its undo
    sqlite_ledger   the rule within a service's own SQLite transaction
    database        the one connection of a service, in a thread of its own
    http            the application that serves them (the only module that needs aiohttp)

Rules: a participant knows nothing of the process it takes part in; this package imports nothing else of amends.
"""

from amends.participant.barrier import Answer, CommandIdReused
from amends.participant.database import Database
from amends.participant.handlers import Handler, do, undo, undo_only
from amends.participant.message import BadMessage, Command, Direction, Pair, Refused, Succeeded

__all__ = [
    "Answer",
    "BadMessage",
    "Command",
    "CommandIdReused",
    "Database",
    "Direction",
    "Handler",
    "Pair",
    "Refused",
    "Succeeded",
    "do",
    "undo",
    "undo_only",
]
