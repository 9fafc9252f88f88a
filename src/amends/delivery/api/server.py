"""The server: one request at a time through key, route, query and handler, to one answer and one log line.

Rules
- Every answer carries `Amends-Request-Id` and the headers that keep a browser from making more of it than it is.
- What is wrong with a request is told to its client and logged once, at WARNING; what broke here is logged with its
  trace, and the client gets the id to ask about. That it is not ready is not logged for each who is told so.
- An answer whose client does not take it is given up in time. Going down, each connection closes after its answer.
It does not: know what a route does.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiohttp import web

from amends.application.entry_spans import RequestSpan
from amends.application.errors import AmendsError
from amends.application.service import Service
from amends.bootstrap import StoreError
from amends.delivery.api import query
from amends.delivery.api.accept import check_accept
from amends.delivery.api.call import Answer, Call, Door, Limits
from amends.delivery.api.connections import Connections, Limits as ConnectionLimits
from amends.delivery.api.cursor import Cursors
from amends.delivery.api.guard import Guard
from amends.delivery.api.keys import Keys
from amends.delivery.api.openapi import document
from amends.delivery.api.parser_errors import ProtocolServer
from amends.delivery.api.problem import CONTENT_TYPE, Problem, phrase
from amends.delivery.api.rates import Rates
from amends.delivery.api.refusals import BROKEN, SOON, problem_of
from amends.delivery.api.routes import Router, table
from amends.wire.excerpt import excerpt
from amends.wire.trace_parent import trace_of

REQUEST_ID = "Amends-Request-Id"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Server": "amends",
}

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Requests that have a span of their own."""
TRACE = "amends.trace"
"""Under which a request carries its trace id."""
NO_CURSORS = Cursors(b"")
"""For the routes that are open before there is a key; none of them has cursors."""

_log = logging.getLogger(__name__)


class Options(NamedTuple):
    """How the server is run."""

    connections: ConnectionLimits
    limits: Limits
    keys: Sequence[str] = ()
    max_request_rate: int = 0
    """Requests a second that one client may make; 0: as many as it likes."""
    full_errors: bool = True
    log_requests: bool = False


class Server:
    """The API over one service."""

    def __init__(self, *, service: Service, callbacks: Answer, options: Options) -> None:
        """Answer `/health` and `/ready` only, before `open`."""
        self._options = options
        self._keys = Keys(options.keys)
        self._rates = Rates(options.max_request_rate, now=time.monotonic)
        routes = table(longest_wait=options.limits.longest_wait)
        self._router = Router(routes)
        described = msgspec.json.encode(document(routes, has_keys=bool(options.keys)))
        self._draining = asyncio.Event()
        self._cursors: Cursors | None = None
        protocols = ProtocolServer(self._answer, broken=self._broken, most_head=options.connections.head)
        self._connections = Connections(limits=options.connections, protocol=protocols, refusal=self._refusal)
        self._door = Door(
            service=service,
            callbacks=callbacks,
            limits=options.limits,
            draining=self._draining,
            document=lambda: described,
            connections=lambda: self._connections.count,
            dress=self._dress,
        )

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Answer what comes on `sockets` from now on."""
        self._connections.listen(sockets)

    def open(self, cursors: Cursors) -> None:
        """The service is open: answer everything."""
        self._cursors = cursors

    async def drain(self, within: float) -> bool:
        """Let no more in, and wait for what is in progress; tell whether all of it could be answered."""
        self._draining.set()
        await self._connections.deafen()
        try:
            async with asyncio.timeout(within):
                await self._connections.emptied()
        except TimeoutError:
            _log.warning("%d requests were not answered in time and are dropped", self._connections.busy)
            self._connections.drop_all()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._connections.emptied()
            return False
        return True

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        guard = self._connections.guard(request.protocol)
        if guard is None:
            return web.Response()
        guard.begin()
        identity = secrets.token_hex(8)
        began = asyncio.get_running_loop().time()
        try:
            response = await self._respond(request, identity)
        except ConnectionError:
            # The client has gone; there is nobody to tell, and nothing is wrong here.
            guard.drop()
            return web.Response()
        closing = self._draining.is_set() or not request.content.is_eof()
        if closing:
            response.force_close()
        await self._send(request, response, identity, guard)
        guard.finish(closing=closing or not response.keep_alive)
        if self._options.log_requests:
            _log.info(
                "%s %s: %d in %.1f ms",
                request.method,
                excerpt(request.rel_url.raw_path),
                response.status,
                1000 * (asyncio.get_running_loop().time() - began),
                extra=_about(request, identity, ""),
            )
        return response

    async def _send(
        self, request: web.BaseRequest, response: web.StreamResponse, identity: str, guard: Guard
    ) -> None:
        """Write the answer; give up a client that is gone, or does not take it."""
        if not response.prepared:
            self._dress(response, identity)
        try:
            async with asyncio.timeout(self._options.limits.write_within):
                await response.prepare(request)
                await response.write_eof()
        except (ConnectionError, TimeoutError):
            guard.drop()

    async def _respond(self, request: web.BaseRequest, identity: str) -> web.StreamResponse:
        try:
            call = self._call(request, identity)
        except Problem as problem:
            return self._refused(request, problem, identity, "")
        tracer = self._door.orchestrator.tracer
        if tracer is None or request.method not in CHANGING:
            return await self._handled(call, request, identity)
        parent, state = (request.headers.get(name, "") for name in ("traceparent", "tracestate"))
        with RequestSpan(tracer, request.method, call.route, parent=parent, state=state) as span:
            request[TRACE] = span.trace_id
            response = await self._handled(call, request, identity)
            about = call.about or call.path.get("id", "")
            span.answered(response.status, self._door.orchestrator.key_of(about))
        return response

    async def _handled(self, call: Call, request: web.BaseRequest, identity: str) -> web.StreamResponse:
        saga = call.path.get("id", "")
        try:
            return await call.handle(call)
        except Problem as problem:
            return self._refused(request, problem, identity, saga)
        except (AmendsError, StoreError) as error:
            return self._refused(request, problem_of(error), identity, saga, error)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  whatever breaks, its client gets an answer
            return self._refused(request, Problem("internal", BROKEN), identity, saga, error)

    def _call(self, request: web.BaseRequest, identity: str) -> Call:
        """Return what the request asks for. Raises Problem."""
        try:
            route, path = self._router.match(request.method, request.rel_url.raw_path)
        except Problem:
            # What there is not is told to those only who may know what there is.
            self._rates.check(self._keys.check(request))
            raise
        if not route.is_open:
            self._rates.check(self._keys.check(request))
        if self._cursors is None and not route.is_open:
            raise Problem("unavailable", "the service is not open yet", headers=SOON)
        check_accept(request, route.content_type)
        return Call(
            request=request,
            id=identity,
            path=path,
            query=query.parse(request.rel_url.raw_query_string, route.query),
            door=self._door,
            cursors=self._cursors or NO_CURSORS,
            handle=route.handler,
            route=route.path,
        )

    def _refused(
        self,
        request: web.BaseRequest,
        problem: Problem,
        identity: str,
        saga: str,
        error: Exception | None = None,
    ) -> web.Response:
        if problem.code == "too-many":
            self._log_too_many(request, problem)
            return self._problem(problem)
        broke = problem.code == "internal"
        # That the store is away was said once: not again for each who asks meanwhile, probes least of all.
        is_known = problem.code == "unavailable" and self._door.service.why_not_ready is not None
        _log.log(
            logging.ERROR if broke else logging.DEBUG if is_known else logging.WARNING,
            "%s %s from %s: %d %s, %s",
            excerpt(request.method),
            excerpt(request.rel_url.raw_path),
            request.remote,
            problem.status,
            problem.code,
            problem.told(),
            extra=_about(request, identity, saga),
            exc_info=error if broke else None,
        )
        return self._problem(problem)

    def _log_too_many(self, request: web.BaseRequest, problem: Problem) -> None:
        if count := self._rates.untold():
            _log.warning(
                "%d requests got %d, %s; the last from %s (server.max-request-rate)",
                count,
                problem.status,
                problem.told(),
                request.remote,
            )

    def _problem(self, problem: Problem) -> web.Response:
        return web.Response(
            status=problem.status,
            body=problem.document(full=self._options.full_errors),
            content_type=CONTENT_TYPE,
            headers=problem.headers,
        )

    def _broken(self, request: web.BaseRequest, problem: Problem) -> web.Response:
        """Answer what aiohttp could not read; its `request` is a stand-in."""
        identity = secrets.token_hex(8)
        guard = self._connections.guard(request.protocol)
        if guard is not None:
            guard.finish(closing=True)
        self._log_broken(request.remote or "", problem, identity)
        response = self._problem(problem)
        # The stand-in says HTTP/1.0, and there closing goes without saying.
        response.headers["Connection"] = "close"
        self._dress(response, identity)
        return response

    def _refusal(self, guard: Guard, problem: Problem) -> bytes:
        """Return a whole answer, for a head that aiohttp does not see the end of."""
        identity = secrets.token_hex(8)
        self._log_broken(guard.remote, problem, identity)
        body = problem.document(full=self._options.full_errors)
        headers = {
            **HEADERS,
            REQUEST_ID: identity,
            "Content-Type": CONTENT_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {problem.status} {phrase(problem.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _log_broken(self, remote: str, problem: Problem, identity: str) -> None:
        _log.warning(
            "a request from %s: %d %s, %s",
            remote,
            problem.status,
            problem.code,
            problem.told(),
            extra={"request": identity},
        )

    @staticmethod
    def _dress(response: web.StreamResponse, identity: str) -> None:
        response.headers[REQUEST_ID] = identity
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)


def _about(request: web.BaseRequest, identity: str, saga: str) -> dict[str, str]:
    return {
        "request": identity,
        "saga": excerpt(saga),
        "trace": request.get(TRACE) or trace_of(request.headers.get("traceparent", "")),
    }
