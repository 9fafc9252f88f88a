"""A participant as an aiohttp application: `POST {base}/{command-name}`, through the barrier, to that name's handler.

Rules: what is answered stands in `http_answer`. A request whose sender has gone is finished all the same.

Does not do: authenticate (put it behind what you trust), retry.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from amends.participant.execution import CommandDatabase
from amends.participant.handlers import Handler
from amends.participant.http_answer import (
    LARGEST_BODY,
    BodyTooLarge,
    HttpAnswer,
    HttpRequest,
    problem_of,
    respond,
    respond_status,
)
from amends.participant.message import BadMessage

S = TypeVar("S")
R = TypeVar("R")


def participant_application(
    *, handlers: Mapping[str, Handler[S, R]], database: CommandDatabase[S, R], base: str = "/commands"
) -> web.Application:
    """An aiohttp application that serves these commands below `base`; add your own routes and middlewares to it."""
    application = web.Application(client_max_size=LARGEST_BODY)

    async def serve_command(request: web.Request) -> web.Response:
        asked = HttpRequest(
            name=request.match_info["command"],
            content_type=request.content_type,
            headers=request.headers.items(),
            read=lambda: _body(request),
        )
        return _response(await respond(asked, handlers=handlers, database=database))

    async def serve_status(request: web.Request) -> web.Response:
        command_id = request.headers.get("Idempotency-Key", "")
        return _response(await respond_status(command_id, database=database))

    application.router.add_post(base + "/{command}", serve_command)
    application.router.add_get(base + "/{command}", serve_status, allow_head=False)
    return application


async def _body(request: web.Request) -> bytes:
    announced = request.content_length
    if announced is not None and announced > LARGEST_BODY:
        raise BodyTooLarge
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise BadMessage("the body ended early, or is not encoded as its headers say") from error


def _response(answer: HttpAnswer) -> web.Response:
    if not answer.content_type:
        return web.Response(status=answer.status)
    return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)


def problem(status: HTTPStatus, detail: str, *, code: str | None = None) -> web.Response:
    """An application/problem+json answer (RFC 9457)."""
    return _response(problem_of(status, detail, code=code))
