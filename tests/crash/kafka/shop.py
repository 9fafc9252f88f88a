"""The saga of the campaign over Kafka, its three services behind the barrier, and what their books must say.

Rules
- A purchase reserves, is paid, is shipped, and its reservation is settled. One in ten cannot pay, one in ten has no
  carrier; both are undone. `settle` stands behind everything and cannot be refused, so a purchase that completed has
  left all four effects, and one that was undone has left none.
- Each effect is a row in its service's own database, in the transaction of the barrier, with the stock and the money
  that it moves. The books are read from there, and held against the ends in the orchestrator's store.
- Attempts at what can be undone are few, so that a lossy way uses them up now and then; all else is tried for long.
It does not: send anything.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from amends import Command, Participant, RetryPolicy, Rollback, Saga, Step, sequence
from amends.participant import Command as Received, Database, Refused, Succeeded, do, undo
from amends.participant.database import SqliteHandler
from amends.participant.handlers import Result, handlers
from amends.participant.sqlite_ledger import create_ledger

STOCK: Final = 10_000_000
MONEY: Final = 1_000_000_000
SERVICES: Final = ("inventory", "payments", "carrier")
EFFECTS: Final[Mapping[str, str]] = {
    "reserve": "inventory",
    "pay": "payments",
    "ship": "carrier",
    "settle": "inventory",
}
"""The service of each step."""


class Purchase(msgspec.Struct, frozen=True):
    """Whole cents, whole pieces; how it must go is written on it."""

    order: str
    pieces: int
    cents: int
    can_pay: bool = True
    has_carrier: bool = True


def purchase(number: int) -> Purchase:
    """Return the purchase with this number."""
    return Purchase(
        order=order_id(number),
        pieces=number % 3 + 1,
        cents=1_000 + number % 97,
        can_pay=number % 10 != 0,
        has_carrier=number % 10 != 5,
    )


def order_id(number: int) -> str:
    """Return its saga's id."""
    return f"p-{number:06}"


KEEPERS: Final[Mapping[str, str]] = {
    "stock": "inventory",
    "money": "payments",
    "till": "payments",
    "parcels": "carrier",
}
"""The service of each total."""

# --- the saga -------------------------------------------------------------------------------------------------------


def _do(name: str) -> Callable[[Purchase], Command[None]]:
    def command(given: Purchase) -> Command[None]:
        return Command(name, given)

    return command


def _undo(name: str) -> Callable[[Purchase, Rollback[None]], Command[None]]:
    def command(given: Purchase, _rollback: Rollback[None]) -> Command[None]:
        return Command(name, given)

    return command


INVENTORY, PAYMENTS, CARRIER = (Participant(name) for name in SERVICES)


def saga(*, timeout: timedelta = timedelta(seconds=4), attempts: int = 3) -> Saga[Purchase]:
    """Return the process; `timeout` is how long an attempt's answer is waited for, `attempts` those of a do."""
    few = RetryPolicy(attempts=attempts, first=timedelta(milliseconds=50), backoff="fixed", jitter=0)
    many = RetryPolicy(attempts=500, first=timedelta(milliseconds=50), backoff="fixed", jitter=0)

    def step(name: str, service: Participant, undo: str) -> Step[Purchase, None]:
        return Step(
            name, service, do=_do(name), undo=_undo(undo), retry=few, undo_retry=many, timeout=timeout
        )

    return Saga(
        "purchase",
        version=1,
        data=Purchase,
        body=sequence(
            step("reserve", INVENTORY, "release"),
            step("pay", PAYMENTS, "refund"),
            step("ship", CARRIER, "call-back"),
            Step("settle", INVENTORY, do=_do("settle"), kind="retriable", retry=many, timeout=timeout),
        ),
    )


SAGAS: Final = (saga(timeout=timedelta(seconds=10), attempts=500),)
"""What `amends serve` is given: an attempt at anything is repeated for as long as an outage may take."""

# --- the services ---------------------------------------------------------------------------------------------------

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS effect (
    number INTEGER PRIMARY KEY, saga_id TEXT NOT NULL, step TEXT NOT NULL, direction TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a service."""
    # Nobody ends a service here but in good order: what it answered need not survive a power cut.
    connection.execute("PRAGMA synchronous = OFF")
    create_ledger(connection)
    connection.executescript(SCHEMA)
    begin_with = (("stock", STOCK), ("money", MONEY), ("till", 0), ("parcels", 0))
    connection.executemany("INSERT INTO total VALUES (?, ?) ON CONFLICT DO NOTHING", begin_with)


def _act(connection: sqlite3.Connection, command: Received, moves: Mapping[str, int]) -> Succeeded[object]:
    effect = (command.saga_id, command.step, command.direction)
    connection.execute("INSERT INTO effect (saga_id, step, direction) VALUES (?, ?, ?)", effect)
    for name, by in moves.items():
        connection.execute("UPDATE total SET value = value + ? WHERE name = ?", (by, name))
    return Succeeded(None)


def _reserve(connection: sqlite3.Connection, command: Received, given: Purchase) -> Result:
    return _act(connection, command, {"stock": -given.pieces})


def _release(connection: sqlite3.Connection, command: Received, given: Purchase) -> Result:
    return _act(connection, command, {"stock": given.pieces})


def _pay(connection: sqlite3.Connection, command: Received, given: Purchase) -> Result:
    if not given.can_pay:
        return Refused("declined", "insufficient funds")
    return _act(connection, command, {"money": -given.cents, "till": given.cents})


def _refund(connection: sqlite3.Connection, command: Received, given: Purchase) -> Result:
    return _act(connection, command, {"money": given.cents, "till": -given.cents})


def _ship(connection: sqlite3.Connection, command: Received, given: Purchase) -> Result:
    if not given.has_carrier:
        return Refused("no-carrier", "nobody goes there")
    return _act(connection, command, {"parcels": 1})


def _call_back(connection: sqlite3.Connection, command: Received, _given: Purchase) -> Result:
    return _act(connection, command, {"parcels": -1})


def _settle(connection: sqlite3.Connection, command: Received, _given: Purchase) -> Result:
    return _act(connection, command, {})


COMMANDS: Final[Mapping[str, Mapping[str, SqliteHandler]]] = {
    "inventory": handlers(
        do("reserve", Purchase, _reserve),
        undo("release", Purchase, _release),
        do("settle", Purchase, _settle),
    ),
    "payments": handlers(do("pay", Purchase, _pay), undo("refund", Purchase, _refund)),
    "carrier": handlers(do("ship", Purchase, _ship), undo("call-back", Purchase, _call_back)),
}


def database(directory: Path, service: str) -> Database:
    """Open the database of a service."""
    return Database(path=directory / f"{service}.db", prepare=prepare)


# --- the books ------------------------------------------------------------------------------------------------------


def wrong_in_books(directory: Path, ends: Mapping[str, str], purchases: Sequence[Purchase]) -> list[str]:
    """Tell what does not add up in the services' databases, given how each saga ended."""
    effects: dict[str, Counter[str]] = {step: Counter() for step in EFFECTS}
    totals: dict[str, int] = {}
    for service in SERVICES:
        with closing(sqlite3.connect(directory / f"{service}.db")) as connection:
            for saga_id, step, direction in connection.execute("SELECT saga_id, step, direction FROM effect"):
                effects[step][f"{saga_id} {direction}"] += 1
            kept = dict(connection.execute("SELECT name, value FROM total"))
            totals |= {name: value for name, value in kept.items() if KEEPERS[name] == service}
    wrong = [
        f"{step} acted {number} times for {key}"
        for step, counted in effects.items()
        for key, number in counted.items()
        if number > 1
    ]
    done = [each for each in purchases if ends.get(each.order) == "completed"]
    for step, counted in effects.items():
        standing = {
            each.order for each in purchases if counted[f"{each.order} do"] > counted[f"{each.order} undo"]
        }
        due = {each.order for each in done}
        wrong += [f"{saga_id} completed without {step}" for saga_id in sorted(due - standing)]
        wrong += [f"{saga_id} was undone, and {step} stands" for saga_id in sorted(standing - due)]
    wanted = {
        "stock": STOCK - sum(each.pieces for each in done),
        "money": MONEY - sum(each.cents for each in done),
        "till": sum(each.cents for each in done),
        "parcels": len(done),
    }
    return [
        *wrong,
        *(f"{name} is {totals[name]}, {due} was due" for name, due in wanted.items() if totals[name] != due),
    ]


def wrong_ends(
    ends: Mapping[str, str], purchases: Sequence[Purchase], *, may_run_out: bool = False
) -> list[str]:
    """Tell which sagas are missing, or did not end as they must; attempts that `may_run_out` lead to an undoing."""
    wrong: list[str] = []
    for each in purchases:
        end = ends.get(each.order, "not there")
        due = "completed" if each.can_pay and each.has_carrier else "compensated"
        if end != due and not (may_run_out and end == "compensated"):
            wrong.append(f"{each.order} is {end}")
    return wrong
