"""What lies between a door (HTTP, Kafka) and a service's database: one command in, its durable answer out.

Rules:
- When `execute` returns, the answer and the effect are committed together; when it raises, nothing was done.
- `DatabaseAway` says that the same command may succeed in a moment, whatever the database and its driver call that.

Does not do: know a transport, know a driver, retry.
"""

from typing import Protocol, TypeVar

from amends.participant.barrier import Answer, Remembered
from amends.participant.handlers import Handler
from amends.participant.message import Command

S_co = TypeVar("S_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class DatabaseAway(Exception):
    """The database cannot do it now: busy, full, restarting, or another transaction was quicker. Nothing was done."""


class TransactionEnded(RuntimeError):
    """A handler ended the transaction that is the barrier's. What it committed is there, and nobody remembers why."""


def ended_by(name: str) -> TransactionEnded:
    """The error that names the handler."""
    return TransactionEnded(f"the handler of {name} ended the transaction; leave that to the barrier")


class CommandDatabase(Protocol[S_co, R_contra]):
    """A service's database behind the barrier. `S_co` is what handlers work with, `R_contra` what they return."""

    async def execute(self, command: Command, handler: Handler[S_co, R_contra], /) -> Answer:
        """Execute the command once, whoever delivers it how often.

        Raises:
            BadMessage, PayloadUnfit, CommandIdReused: the command is at fault.
            DatabaseAway: send it again.
        """
        ...

    async def recall(self, command_id: str, /) -> Remembered | None:
        """What this command was answered, if it was here before; to ask does nothing.

        Raises:
            DatabaseAway: ask again.
        """
        ...


_PASSING_STATES = frozenset({"40001", "40P01", "55P03", "53100", "53200", "53300", "57014"})
"""SQLSTATE: lost a race, deadlock, lock not to be had; disk, memory or connections used up; cancelled."""
_PASSING_CLASSES = ("08", "57P", "58")
"""The connection, an ending or starting server, its operating system."""


def is_passing(sqlstate: str | None) -> bool:
    """Whether PostgreSQL's error passes by itself."""
    return sqlstate is not None and (sqlstate in _PASSING_STATES or sqlstate.startswith(_PASSING_CLASSES))
