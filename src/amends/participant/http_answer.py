"""What a command over HTTP is answered with, whichever server reads it (`http` for aiohttp, `asgi` for all others).

    200                 succeeded; the body is the reply, the same bytes for every duplicate
    202 without a body  begun; the answer comes later
    409 problem+json    refused, with `code` (409 for every business no; the code says which)
    422 problem+json    refused with code `invalid-payload`: JSON, but not what this command takes; nothing was done
    400 problem+json    the command cannot be read for certain: bad JSON, header missing or twice, direction that is not
                        the command's, command id reused with other content. No code: it is not a business no
    501 without a body  no such command here: a fault of configuration, never a business no. Not 404: to an undo that
                        would say that there is nothing to undo, and a mistyped name would pass for a confirmation
    413, 415            body over 1 MiB, body that is not application/json
    500, 503            the handler raised; the database is busy or full: nothing was done, send it again

`GET` there, with the command's `Idempotency-Key`, says what became of it: 200 (status.py).

Rules: nothing is answered before it is committed.

Does not do: read from a connection, authenticate, retry.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar, assert_never

import msgspec

from amends.participant.barrier import Answer, CommandIdReused
from amends.participant.execution import CommandDatabase, DatabaseAway
from amends.participant.handlers import Handler, PayloadUnfit
from amends.participant.message import BadMessage, Command, parse_command
from amends.participant.status import status_document
from amends.participant.tracing import traced

LARGEST_BODY = 1024 * 1024

S = TypeVar("S")
R = TypeVar("R")

_log = logging.getLogger(__name__)


class BodyTooLarge(ValueError):
    """The body is larger than LARGEST_BODY; it was not read to its end."""


class SenderGone(ConnectionError):
    """The request ended before its body did; nobody waits for an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A whole response; an empty content type means that there is no body."""

    status: HTTPStatus
    content_type: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request for the command `name`. `read` returns its body, or raises one of the above or BadMessage."""

    name: str
    content_type: str
    headers: Iterable[tuple[str, str]]
    read: Callable[[], Awaitable[bytes]]


async def respond(
    request: HttpRequest, *, handlers: Mapping[str, Handler[S, R]], database: CommandDatabase[S, R]
) -> HttpAnswer:
    """Execute the command and answer; whatever is raised on the way becomes an answer, too."""
    handler = handlers.get(request.name)
    if handler is None:
        return HttpAnswer(status=HTTPStatus.NOT_IMPLEMENTED)
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        return problem_of(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the payload as application/json")
    try:
        body = await request.read()
        command = parse_command(name=handler.name, headers=request.headers, body=body)
        with traced(command, "server"):
            return _answer(await database.execute(command, handler))
    except SenderGone:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a handler raises, the sender gets an answer
        return _failed(handler.name, error)


async def respond_status(command_id: str, *, database: CommandDatabase[S, R]) -> HttpAnswer:
    """Say what became of a command."""
    if not command_id:
        return problem_of(HTTPStatus.BAD_REQUEST, "the header Idempotency-Key is missing or empty")
    try:
        found = await database.recall(command_id)
    except Exception as error:  # noqa: BLE001 - whatever a database raises, who asks gets an answer
        _log.warning("what became of a command cannot be read: %s", error)
        return problem_of(HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be read now")
    body = status_document(found)
    return HttpAnswer(status=HTTPStatus.OK, content_type="application/json", body=body)


def _failed(name: str, error: Exception) -> HttpAnswer:
    match error:
        case BodyTooLarge():
            detail = f"the body is larger than {LARGEST_BODY} bytes"
            return problem_of(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        case BadMessage() | CommandIdReused():
            _log.warning("%s: %s", name, error)
            return problem_of(HTTPStatus.BAD_REQUEST, str(error))
        case PayloadUnfit():
            _log.warning("%s: %s", name, error)
            return problem_of(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), code="invalid-payload")
        case DatabaseAway():
            _log.warning("%s: the database cannot write: %s", name, error)
            detail = "the database cannot write now; nothing was done"
            return problem_of(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        case _:
            _log.error("%s: the handler raised; nothing was done", name, exc_info=error)
            detail = "the handler raised; nothing was done, the service's log says more"
            return problem_of(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _answer(answer: Answer) -> HttpAnswer:
    match answer.outcome:
        case "succeeded":
            return HttpAnswer(status=HTTPStatus.OK, content_type="application/json", body=answer.body)
        case "refused":
            refusal = json.loads(answer.body)
            return problem_of(HTTPStatus.CONFLICT, refusal["reason"], code=refusal["code"])
        case "later":
            return HttpAnswer(status=HTTPStatus.ACCEPTED)
        case _:
            assert_never(answer.outcome)


def late_reply(command: Command, answer: Answer) -> bytes:
    """What is posted to `command.reply_to` for a command that was answered with 202."""
    fields: dict[str, object] = {
        "command_id": command.command_id,
        "saga_id": command.saga_id,
        "step": command.step,
        "direction": command.direction,
        "round": command.round,
        "outcome": answer.outcome,
    }
    if command.namespace != "default":
        fields["namespace"] = command.namespace
    match answer.outcome:
        case "succeeded":
            fields["reply"] = msgspec.Raw(answer.body)
        case "refused":
            fields |= json.loads(answer.body)
        case "later":
            raise ValueError("there is no answer yet")
        case _:
            assert_never(answer.outcome)
    return msgspec.json.encode(fields)


def problem_of(status: HTTPStatus, detail: str, *, code: str | None = None) -> HttpAnswer:
    """An application/problem+json answer (RFC 9457)."""
    fields = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    if code is not None:
        fields["code"] = code
    return HttpAnswer(
        status=status, content_type="application/problem+json", body=json.dumps(fields).encode()
    )
