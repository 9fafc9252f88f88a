"""The SQL of the barrier: one operation, one file in `queries/`; the tables in `migrations/`.

Rules: values reach a database as bound parameters only. The files spell them `:name`, as SQLite and SQLAlchemy do; the
other drivers' spellings are made of that, once, when this module is imported.

Does not do: run SQL, know a driver.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from amends.participant.barrier import Answer, Remembered, Standing, State
from amends.participant.message import Command, Pair

_PARAMETER = re.compile(r":([a-z_]+)")

Parameters = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Statement:
    """One statement in each driver's spelling."""

    named: str
    """`:name`, for sqlite3 and SQLAlchemy."""
    formatted: bytes = field(init=False)
    """`%(name)s`, for psycopg."""
    numbered: str = field(init=False)
    """`$1`, for asyncpg, in the order of `order`."""
    order: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Spell it."""
        order = tuple(dict.fromkeys(_PARAMETER.findall(self.named)))
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "formatted", _PARAMETER.sub(r"%(\1)s", self.named).encode())
        number = {name: f"${place}" for place, name in enumerate(order, start=1)}
        object.__setattr__(self, "numbered", _PARAMETER.sub(lambda found: number[found[1]], self.named))

    def arguments(self, parameters: Parameters) -> list[str | bytes]:
        """The values in the order of the numbers."""
        return [parameters[name] for name in self.order]


def _text(folder: str, name: str) -> str:
    return (files("amends.participant") / folder / f"{name}.sql").read_text(encoding="utf-8")


def _statement(name: str) -> Statement:
    lines = _text("queries", name).splitlines()
    return Statement("\n".join(line for line in lines if not line.startswith("--")))


CLAIM_PAIR: Final = _statement("claim_pair")
READ_PAIR: Final = _statement("read_pair")
LOCK_DATABASE: Final = _statement("lock_database")
RECALL_COMMAND: Final = _statement("recall_command")
REMEMBER_COMMAND: Final = _statement("remember_command")
REMEMBER_PAIR: Final = _statement("remember_pair")
SETTLE_COMMAND: Final = _statement("settle_command")
SETTLE_PAIR: Final = _statement("settle_pair")
LOCK_SCHEMA: Final = _statement("lock_schema")

POSTGRESQL_SCHEMA: Final = _text("migrations", "postgresql_0001_ledger")
SQLITE_SCHEMA: Final = _text("migrations", "sqlite_0001_ledger")


def schema_statements(schema: str) -> list[str]:
    """The schema's statements one by one, for drivers that take no more at a time."""
    return [statement.strip() for statement in schema.split(";\n") if statement.strip()]


def of_pair(pair: Pair) -> Parameters:
    """What names a pair."""
    return {"namespace": pair.namespace, "saga_id": pair.saga_id, "step": pair.step}


def of_command(command: Command, answer: Answer) -> Parameters:
    """What is kept of a command."""
    return {
        "command_id": command.command_id,
        "fingerprint": command.fingerprint,
        "outcome": answer.outcome,
        "body": answer.body,
    }


def of_state(command: Command, state: State) -> Parameters:
    """What is kept of a pair."""
    return {**of_pair(command.pair), "state": state, "command_id": command.command_id}


def of_settlement(command_id: str, answer: Answer) -> Parameters:
    """The late answer of a command."""
    return {"command_id": command_id, "outcome": answer.outcome, "body": answer.body}


def of_settled(pair: Pair, state: State) -> Parameters:
    """What became of a pair."""
    return {**of_pair(pair), "state": state}


def standing_of(row: Any) -> Standing:
    """A row of READ_PAIR or CLAIM_PAIR, or none."""
    return (
        Standing(state="unseen", command_id=None)
        if row is None
        else Standing(state=row[0], command_id=row[1])
    )


def remembered_of(row: Any) -> Remembered | None:
    """A row of RECALL_COMMAND, or none."""
    if row is None:
        return None
    return Remembered(fingerprint=row[0], answer=Answer(outcome=row[1], body=bytes(row[2])))
