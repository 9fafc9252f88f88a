"""How the demo makes a service misbehave, on order: `POST /misbehave {command, instance, how, times, seconds}`.

    decline      a business no, with the code that is the command's own
    slow         acts and answers, but only after `seconds` (so it may act after its sender has given up: a late do)
    unavailable  answers 503 and does not act
    hang         acts, commits, and never answers
    crash        acts, commits, and kills itself with SIGKILL before it answers

Rules:
- `instance` is the business key of what the command is about: the payload's field that the service says is its key.
- What was ordered lies in the service's database: it survives the crash that it asks for.
- It counts requests (`times`), in the order in which it was ordered. A declined do stays declined however often its
  command is delivered; each delivery of an undo is counted anew, so an undo declined once succeeds the second time.
- A service that has nothing ordered behaves.
"""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, cast

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler as NextHandler, Middleware

from amends.participant import Command, Database, Refused
from amends.participant.database import SqliteHandler
from amends.participant.handlers import Act, Handler, Result
from amends.participant.http import problem
from amends.participant.sqlite_ledger import write_transaction

How = Literal["decline", "slow", "unavailable", "hang", "crash"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS misbehaviour (
    command  TEXT NOT NULL,
    instance TEXT NOT NULL,
    how      TEXT NOT NULL,
    times    INTEGER NOT NULL,
    seconds  REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS declined (command_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
_NEXT = """
SELECT rowid, how, seconds FROM misbehaviour
WHERE command = ? AND instance = ? AND times > 0 ORDER BY rowid LIMIT 1
"""


class Misbehave(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next `times` requests for this command and instance go wrong in this way."""

    command: str
    instance: str
    how: How
    times: int = 1
    seconds: float = 0.0


def order_misbehaviour(connection: sqlite3.Connection, ordered: Misbehave) -> None:
    """Remember what shall go wrong."""
    connection.execute(
        "INSERT INTO misbehaviour (command, instance, how, times, seconds) VALUES (?, ?, ?, ?, ?)",
        (ordered.command, ordered.instance, ordered.how, ordered.times, ordered.seconds),
    )


def declining(
    handlers: Mapping[str, SqliteHandler], *, codes: Mapping[str, str]
) -> Mapping[str, SqliteHandler]:
    """The same handlers, each of which refuses with its code a command that was declined."""
    return {name: _declining(handler, codes[name]) for name, handler in handlers.items()}


def _declining(handler: SqliteHandler, code: str) -> SqliteHandler:
    def read(payload: object) -> Act[sqlite3.Connection, Result]:
        act = handler.read(payload)

        def act_or_decline(connection: sqlite3.Connection, command: Command) -> Result:
            if _is_declined(connection, command.command_id):
                return Refused(code, "declined, as the demo asked for")
            return act(connection, command)

        return act_or_decline

    return Handler(name=handler.name, direction=handler.direction, needs_do=handler.needs_do, read=read)


def misbehaving(database: Database, *, key: str) -> Middleware:
    """The middleware that lets a command's request go wrong as ordered."""

    @web.middleware
    async def middleware(request: web.Request, handler: NextHandler) -> web.StreamResponse:
        if "command" not in request.match_info:
            return await handler(request)
        match await _ordered(request, database, key):
            case "unavailable", _:
                return problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable, as the demo asked for")
            case "slow", seconds:
                await asyncio.sleep(seconds)
                return await handler(request)
            case "hang", _:
                await handler(request)
                await asyncio.Event().wait()
            case "crash", _:
                await handler(request)
                os.kill(os.getpid(), signal.SIGKILL)
            case _:
                pass
        return await handler(request)

    return middleware


async def _ordered(request: web.Request, database: Database, key: str) -> tuple[How, float] | None:
    try:
        payload = msgspec.json.decode(await request.read(), type=dict[str, object])
    except (msgspec.MsgspecError, web.HTTPException):
        return None
    name, instance = request.match_info["command"], payload.get(key)
    command_id = request.headers.get("Idempotency-Key", "")
    is_do = request.headers.get("Amends-Direction") == "do"
    return await _next(database, name, instance, command_id, is_do=is_do)


async def ordered(database: Database, command: Command, *, key: str) -> tuple[How, float] | None:
    """What is ordered for this delivery of a command, and for how many seconds; it counts as one of the times."""
    instance = cast("dict[str, object]", command.payload).get(key)
    is_do = command.direction == "do"
    return await _next(database, command.name, instance, command.command_id, is_do=is_do)


async def _next(
    database: Database, name: str, instance: object, command_id: str, *, is_do: bool
) -> tuple[How, float] | None:
    if not isinstance(instance, str):
        return None
    return await database.run(lambda connection: _take(connection, name, instance, command_id, is_do=is_do))


def _take(
    connection: sqlite3.Connection, command: str, instance: str, command_id: str, *, is_do: bool
) -> tuple[How, float] | None:
    with write_transaction(connection):
        if is_do and _is_declined(connection, command_id):
            return None
        connection.execute("DELETE FROM declined WHERE command_id = ?", (command_id,))
        row = connection.execute(_NEXT, (command, instance)).fetchone()
        if row is None:
            return None
        connection.execute("UPDATE misbehaviour SET times = times - 1 WHERE rowid = ?", (row[0],))
        if row[1] == "decline":
            connection.execute("INSERT INTO declined (command_id) VALUES (?)", (command_id,))
        return row[1], row[2]


def _is_declined(connection: sqlite3.Connection, command_id: str) -> bool:
    found = connection.execute("SELECT 1 FROM declined WHERE command_id = ?", (command_id,)).fetchone()
    return found is not None
