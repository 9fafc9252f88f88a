"""A participant that is as small as one can be: it counts what was done and undone, per step.

Run as a process it executes one do and kills itself where the first argument says:
    python -m tests.participant.counter {in-the-handler|before-the-answer|never} FILE
"""

import os
import signal
import sqlite3
import sys
from pathlib import Path

import msgspec

from amends.participant import Command, Direction, Refused, Succeeded, do, undo, undo_only
from amends.participant.database import SqliteHandler, connect
from amends.participant.handlers import handlers
from amends.participant.sqlite_ledger import create_ledger, receive


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: int


class Count(msgspec.Struct, frozen=True):
    count: int


def prepare(connection: sqlite3.Connection) -> None:
    create_ledger(connection)
    connection.execute("CREATE TABLE IF NOT EXISTS effect (step TEXT, direction TEXT) STRICT")


def act(connection: sqlite3.Connection, command: Command, change: Change) -> Succeeded[Count] | Refused:
    """Leave an effect, whoever asks how often. By a negative number it refuses, after it has left its effect."""
    connection.execute("INSERT INTO effect VALUES (?, ?)", (command.step, command.direction))
    if change.by < 0:
        return Refused("negative", "the number must not be negative")
    return Succeeded(Count(effects(connection, "do", "undo")))


def effects(connection: sqlite3.Connection, *directions: Direction) -> int:
    marks = ", ".join("?" * len(directions))
    query = f"SELECT count(*) FROM effect WHERE direction IN ({marks})"  # noqa: S608
    return int(connection.execute(query, directions).fetchone()[0])


def command(
    direction: Direction, *, by: int = 1, rounds: int = 1, step: str = "count", name: str = "add"
) -> Command:
    return Command(
        command_id=f"s1/{step}/{direction}/{rounds}",
        namespace="default",
        saga_id="s1",
        step=step,
        direction=direction,
        round=rounds,
        attempt=1,
        name=name,
        payload={"by": by},
    )


HANDLERS = handlers(do("add", Change, act), undo("subtract", Change, act), undo_only("reset", Change, act))


def killing(place: str, path: Path) -> None:
    connection = connect(path)
    prepare(connection)

    def act_or_die(connection: sqlite3.Connection, command: Command) -> Succeeded[Count] | Refused:
        result = act(connection, command, Change(1))
        if place == "in-the-handler":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    answer = receive(connection, command("do"), act_or_die, needs_do=False)
    if place == "before-the-answer":
        os.kill(os.getpid(), signal.SIGKILL)
    print(answer.outcome, answer.body.decode())


def handler(name: str) -> SqliteHandler:
    return HANDLERS[name]


if __name__ == "__main__":
    killing(sys.argv[1], Path(sys.argv[2]))
