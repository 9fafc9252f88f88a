"""A participant over HTTP: `POST {base}/{command-name}`, through the barrier, to the handler of that name.

    200                 succeeded; the body is the reply, the same bytes for every duplicate
    409 problem+json    refused, with `code` (409 for every business no; the code says which)
    422 problem+json    refused with code `invalid-payload`: JSON, but not what this command takes; nothing was done
    400 problem+json    the command cannot be read for certain: bad JSON, header missing or twice, direction that is not
                        the command's, command id reused with other content. No code: it is not a business no
    501 without a body  no such command here: a fault of configuration, never a business no. Not 404: to an undo that
                        would say that there is nothing to undo, and a mistyped name would pass for a confirmation
    413, 415            body over 1 MiB, body that is not application/json
    500, 503            the handler raised; the database is busy or full: nothing was done, send it again

`GET` there, with the command's `Idempotency-Key`, says what became of it: 200 (status.py).

Rules: nothing is answered before it is committed. A request whose sender has gone is finished all the same.

Does not do: authenticate (put it behind what you trust), answer 202 and call back later, retry.
"""

import json
import logging
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from amends.participant.barrier import Answer, CommandIdReused
from amends.participant.database import Database
from amends.participant.handlers import Handler, PayloadUnfit
from amends.participant.message import BadMessage, Command, parse_command
from amends.participant.sqlite_ledger import SqliteLedger, receive
from amends.participant.status import status_document

LARGEST_BODY = 1024 * 1024

# The database is there, but busy, full or unreadable for the moment; the lowest byte is the kind of error.
_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)

_log = logging.getLogger(__name__)


def participant_application(
    *, handlers: Mapping[str, Handler], database: Database, base: str = "/commands"
) -> web.Application:
    """An aiohttp application that serves these commands below `base`; add your own routes and middlewares to it."""
    application = web.Application(client_max_size=LARGEST_BODY)

    async def serve_command(request: web.Request) -> web.Response:
        return await _serve(request, handlers=handlers, database=database)

    async def serve_status(request: web.Request) -> web.Response:
        return await _status(request, database=database)

    application.router.add_post(base + "/{command}", serve_command)
    application.router.add_get(base + "/{command}", serve_status, allow_head=False)
    return application


async def _serve(
    request: web.Request, *, handlers: Mapping[str, Handler], database: Database
) -> web.Response:
    handler = handlers.get(request.match_info["command"])
    if handler is None:
        return web.Response(status=HTTPStatus.NOT_IMPLEMENTED)
    if request.content_type != "application/json":
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the payload as application/json")
    try:
        body = await _body(request)
        command = parse_command(name=handler.name, headers=request.headers.items(), body=body)
        answer = await _answer(command, handler=handler, database=database)
    except web.HTTPRequestEntityTooLarge:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {LARGEST_BODY} bytes")
    except (BadMessage, CommandIdReused) as error:
        _log.warning("%s: %s", handler.name, error)
        return problem(HTTPStatus.BAD_REQUEST, str(error))
    except PayloadUnfit as error:
        _log.warning("%s: %s", handler.name, error)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), code="invalid-payload")
    except Exception as error:  # noqa: BLE001 - whatever a handler raises, the sender gets an answer
        return _failed(handler, error)
    return _response(answer)


async def _status(request: web.Request, *, database: Database) -> web.Response:
    command_id = request.headers.get("Idempotency-Key", "")
    if not command_id:
        return problem(HTTPStatus.BAD_REQUEST, "the header Idempotency-Key is missing or empty")
    try:
        found = await database.run(lambda connection: SqliteLedger(connection=connection).recall(command_id))
    except sqlite3.OperationalError as error:
        _log.warning("what became of a command cannot be read: %s", error)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be read now")
    return web.Response(body=status_document(found), content_type="application/json")


def _failed(handler: Handler, error: Exception) -> web.Response:
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _AWAY:
        _log.warning("%s: the database cannot write: %s", handler.name, error)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot write now; nothing was done")
    _log.error("%s: the handler raised; nothing was done", handler.name, exc_info=error)
    detail = "the handler raised; nothing was done, the service's log says more"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


async def _body(request: web.Request) -> bytes:
    announced = request.content_length
    if announced is not None and announced > LARGEST_BODY:
        raise web.HTTPRequestEntityTooLarge(max_size=LARGEST_BODY, actual_size=announced)
    try:
        return await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise BadMessage("the body ended early, or is not encoded as its headers say") from error


async def _answer(command: Command, *, handler: Handler, database: Database) -> Answer:
    act = handler.act_on(command)
    return await database.run(lambda connection: receive(connection, command, act, needs_do=handler.needs_do))


def _response(answer: Answer) -> web.Response:
    if answer.outcome == "succeeded":
        return web.Response(body=answer.body, content_type="application/json")
    refusal = json.loads(answer.body)
    return problem(HTTPStatus.CONFLICT, refusal["reason"], code=refusal["code"])


def problem(status: HTTPStatus, detail: str, *, code: str | None = None) -> web.Response:
    """An application/problem+json answer (RFC 9457)."""
    fields = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    if code is not None:
        fields["code"] = code
    return web.Response(
        status=status, body=json.dumps(fields).encode(), content_type="application/problem+json"
    )
