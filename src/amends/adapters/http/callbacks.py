"""The door for replies that come later: a participant that answered 202 posts its reply here.

Rules
- ``POST /v1/callbacks``: 200 the reply is recorded, or was already (``{"verdict": …}``); 404 nobody waits for it; 409
  another answer to this command stands, and the first counts; 503 try again, it could not be recorded now.
- A bad request gets problem+json with everything that is wrong, is logged once, and reaches nobody: 400 no acceptable
  JSON, 408 the body does not come, 413 too long (before the rest is read, and counted after decompression), 415 not
  announced as JSON, 422 not a reply. More at once than the limit get 429.
- Loopback by default: whoever reaches this door can answer for a participant, so what stands before it must know who
  may (a mesh, a proxy that checks credentials).
It does not: record (`deliver` does), decide, or authenticate.
"""

import asyncio
import logging
from datetime import timedelta
from http import HTTPStatus

import msgspec
from aiohttp import hdrs, web

from amends.adapters.http.callback_reply import FieldFault, read_reply
from amends.ports.callback import CallbackReply, Deliver, Verdict
from amends.wire.excerpt import excerpt
from amends.wire.strict_json import BadJson, NotAnObject, read_object

CALLBACK_PATH = "/v1/callbacks"

_MAX_ERRORS = 20
_LINGERING = 0.5
"""Seconds for which a refused body is still taken, unread, so that its sender gets to see the answer."""

_log = logging.getLogger(__name__)
_wire_log = logging.getLogger(f"{__name__}.wire")


def _one_line(record: logging.LogRecord) -> bool:
    """Make of aiohttp's tracebacks over broken requests, which anybody can send, one warning each."""
    cause = record.exc_info[1] if record.exc_info else None
    record.msg, record.args = f"{record.getMessage()}: {excerpt(str(cause))}", ()
    record.exc_info, record.exc_text = None, None
    record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


_wire_log.addFilter(_one_line)


class _Rejected(Exception):
    """The request ends here, with a problem document."""

    def __init__(self, status: HTTPStatus, detail: str, errors: tuple[FieldFault, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors


class CallbackDesk:
    """Answers requests for a server, its own or somebody else's."""

    def __init__(
        self,
        *,
        deliver: Deliver,
        max_body_bytes: int = 1 << 20,
        body_within: timedelta = timedelta(seconds=10),
        max_in_flight: int = 1000,
    ) -> None:
        """`body_within` is how long a body may take to arrive."""
        self._deliver = deliver
        self._max_body_bytes = max_body_bytes
        self._body_within = body_within.total_seconds()
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Return the answer to a request; what is wrong with it is logged here."""
        if self._in_flight >= self._max_in_flight:
            return _problem(_Rejected(HTTPStatus.TOO_MANY_REQUESTS, "too many replies at once"), close=True)
        self._in_flight += 1
        try:
            return await self._record(request)
        except _Rejected as rejected:
            _log.warning("callback from %s: %d, %s", request.remote, rejected.status, _whole(rejected))
            return _problem(rejected, close=not request.content.at_eof())
        finally:
            self._in_flight -= 1

    async def _record(self, request: web.BaseRequest) -> web.Response:
        _check_head(request, self._max_body_bytes)
        body = await self._body(request)
        reply = _reply(body)
        verdict = await self._verdict(reply)
        match verdict:
            case "recorded" | "duplicate":
                return web.Response(
                    body=msgspec.json.encode({"verdict": verdict}), content_type="application/json"
                )
            case "contradicted":
                raise _Rejected(
                    HTTPStatus.CONFLICT,
                    f"another answer to {excerpt(reply.command_id)} was recorded before; the first counts",
                )
            case "unknown":
                raise _Rejected(
                    HTTPStatus.NOT_FOUND, f"no command {excerpt(reply.command_id)} was sent from here"
                )

    async def _verdict(self, reply: CallbackReply) -> Verdict:
        try:
            return await self._deliver(reply)
        except Exception as error:
            # The participant's reply must not be lost to a store that is away: it is told to come again.
            _log.exception("callback for %s could not be recorded", excerpt(reply.command_id))
            raise _Rejected(
                HTTPStatus.SERVICE_UNAVAILABLE, "the reply could not be recorded now; send it again"
            ) from error

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        received = bytearray()
        try:
            async with asyncio.timeout(self._body_within):
                while piece := await request.content.readany():
                    received += piece
                    if len(received) > self._max_body_bytes:
                        raise _too_long(self._max_body_bytes)
        except TimeoutError as error:
            raise _Rejected(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from error
        except (web.RequestPayloadError, ValueError) as error:
            raise _Rejected(HTTPStatus.BAD_REQUEST, f"the body is broken: {excerpt(str(error))}") from error
        return bytes(received)


class CallbackListener:
    """A small server of its own for one path."""

    def __init__(self, *, desk: CallbackDesk, host: str = "127.0.0.1", port: int = 0) -> None:
        """`port` 0 takes a free one."""
        self._desk = desk
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Where replies go: a `callback_url` for transports of the same machine."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}{CALLBACK_PATH}"

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        server = web.Server(self._desk.answer, access_log=None, logger=_wire_log, lingering_time=_LINGERING)
        runner = web.ServerRunner(server)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening, after what is being answered. Stopping twice is harmless."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


class MountedDoor:
    """The door of a desk that stands in a server which somebody else starts and stops."""

    def __init__(self, *, url: str) -> None:
        self._url = url

    @property
    def url(self) -> str:
        """Where replies go."""
        return self._url

    async def start(self) -> None:
        """Do nothing: the server is somebody else's."""

    async def stop(self) -> None:
        """Do nothing."""


def _check_head(request: web.BaseRequest, max_body_bytes: int) -> None:
    """Refuse what its head alone condemns, before any of the body is read."""
    if request.path != CALLBACK_PATH:
        raise _Rejected(HTTPStatus.NOT_FOUND, f"only {CALLBACK_PATH} is here")
    if request.method != hdrs.METH_POST:
        raise _Rejected(HTTPStatus.METHOD_NOT_ALLOWED, "POST expected")
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
        raise _Rejected(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "application/json in UTF-8 expected")
    if (request.content_length or 0) > max_body_bytes:
        raise _too_long(max_body_bytes)


def _too_long(max_body_bytes: int) -> _Rejected:
    return _Rejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {max_body_bytes} bytes")


def _reply(body: bytes) -> CallbackReply:
    try:
        found = read_reply(read_object(body), body)
    except NotAnObject as bad:
        raise _Rejected(HTTPStatus.UNPROCESSABLE_ENTITY, bad.reason, (FieldFault("", bad.reason),)) from bad
    except BadJson as bad:
        errors = () if bad.pointer is None else (FieldFault(bad.pointer, bad.reason),)
        raise _Rejected(HTTPStatus.BAD_REQUEST, str(bad), errors) from bad
    if isinstance(found, list):
        raise _Rejected(HTTPStatus.UNPROCESSABLE_ENTITY, "not a reply", tuple(found[:_MAX_ERRORS]))
    return found


def _whole(rejected: _Rejected) -> str:
    return "; ".join([rejected.detail, *(f"{fault.pointer} {fault.reason}" for fault in rejected.errors)])


def _problem(rejected: _Rejected, *, close: bool) -> web.Response:
    """Build the problem document; `close` gives the connection up instead of reading the rest of a body."""
    status = rejected.status
    document: dict[str, object] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": rejected.detail,
    }
    if rejected.errors:
        document["errors"] = [fault._asdict() for fault in rejected.errors]
    response = web.Response(
        status=status, body=msgspec.json.encode(document), content_type="application/problem+json"
    )
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers[hdrs.ALLOW] = hdrs.METH_POST
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        response.headers[hdrs.RETRY_AFTER] = "1"
    if close:
        response.force_close()
    return response
