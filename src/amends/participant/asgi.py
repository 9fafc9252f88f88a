"""A participant as an ASGI application, for any ASGI server and any framework that mounts one (Starlette, FastAPI, …).

    app = asgi_application(handlers=COMMANDS, database=database)                        POST /commands/{command-name}
    app.mount("/stock", asgi_application(handlers=…, database=…, base=""))             POST /stock/{command-name}

Rules:
- What is answered stands in `http_answer`. A POST elsewhere is 501 as well, for a 404 would confirm an undo; another
  method is 405.
- A body that is compressed is refused (415): its size could not be bounded while it is read.
- A sender that leaves before its body has come gets no answer, and nothing is done.

Does not do: import a framework, authenticate (put it behind what you trust), retry.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

from amends.participant.execution import CommandDatabase
from amends.participant.handlers import Handler
from amends.participant.http_answer import (
    LARGEST_BODY,
    BodyTooLarge,
    HttpAnswer,
    HttpRequest,
    SenderGone,
    problem_of,
    respond,
    respond_status,
)

S = TypeVar("S")
R = TypeVar("R")

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def asgi_application(
    *, handlers: Mapping[str, Handler[S, R]], database: CommandDatabase[S, R], base: str = "/commands"
) -> Application:
    """An ASGI application that serves these commands below `base`."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await _serve_http(scope, receive, send)
            case "lifespan":
                await _serve_lifespan(receive, send)
            case _:
                await send({"type": "websocket.close", "code": 1000})

    async def _serve_http(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        found = {name.lower(): value for name, value in headers}
        if scope["method"] == "GET" and _name(scope, base):
            await _send(send, await respond_status(found.get("idempotency-key", ""), database=database))
            return
        if scope["method"] != "POST":
            answer = HttpAnswer(status=HTTPStatus.METHOD_NOT_ALLOWED)
            await _send(send, answer, [(b"allow", b"GET, POST")])
            return
        if found.get("content-encoding", "identity") != "identity":
            detail = "send the payload as it is, without a content encoding"
            await _send(send, problem_of(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail))
            return
        request = HttpRequest(
            name=_name(scope, base),
            content_type=found.get("content-type", ""),
            headers=headers,
            read=lambda: _body(receive),
        )
        try:
            answer = await respond(request, handlers=handlers, database=database)
        except SenderGone:
            return
        await _send(send, answer)

    return serve


def _name(scope: Scope, base: str) -> str:
    """The command's name: what stands behind the base; empty for a path elsewhere."""
    path = str(scope["path"])
    root = str(scope.get("root_path", ""))
    below = path.removeprefix(root) if root and path.startswith(root + "/") else path
    return below.removeprefix(base + "/") if below.startswith(base + "/") else ""


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SenderGone
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return bytes(body)


async def _send(send: Send, answer: HttpAnswer, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    told = [*(headers or []), (b"content-length", str(len(answer.body)).encode())]
    if answer.content_type:
        told.append((b"content-type", answer.content_type.encode()))
    await send({"type": "http.response.start", "status": int(answer.status), "headers": told})
    await send({"type": "http.response.body", "body": answer.body})


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
