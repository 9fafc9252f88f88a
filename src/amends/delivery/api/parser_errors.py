"""aiohttp's protocol, with one method of its own: what its parser cannot read gets problem+json as well.

Rules: the method is the hook that aiohttp has for this; there is no other way in. A tail of a broken request is never
read as the next one: the connection closes.
It does not: answer requests that can be read (`server.py` does).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from amends.delivery.api.problem import Problem
from amends.delivery.api.refusals import BROKEN
from amends.wire.excerpt import excerpt

Broken: TypeAlias = Callable[[web.BaseRequest, Problem], web.Response]
"""Makes the answer to a request that could not be read, and logs it."""

_log = logging.getLogger(__name__)

MOST_HEADERS = 100
NEVER = 86_400.0
"""Seconds: longer than any idle connection is let live."""


class Protocol(web.RequestHandler):
    """One connection of a `ProtocolServer`."""

    __slots__ = ("_broken",)

    def __init__(self, server: "ProtocolServer", *, most_head: int) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            # The guard watches idle connections; aiohttp's own timer would only do it twice.
            keepalive_timeout=NEVER,
            access_log=None,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  aiohttp takes None for none
            max_line_size=most_head,
            max_field_size=most_head,
            max_headers=MOST_HEADERS,
            lingering_time=0.5,
        )
        self._broken = server.broken

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the problem for what could not be read."""
        response = self._broken(request, _problem(exc, message))
        response.force_close()
        return response


class ProtocolServer(web.Server):
    """What aiohttp's protocols belong to."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        broken: Broken,
        most_head: int,
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.broken = broken
        self._most_head = most_head

    def __call__(self) -> Protocol:
        """Make the protocol of a new connection."""
        return Protocol(self, most_head=self._most_head)


def _problem(error: BaseException | None, message: str | None) -> Problem:
    if not isinstance(error, HttpProcessingError):
        # Not the parser: the server itself broke, which it should have said.
        _log.error("a request broke", exc_info=error)
        return Problem("internal", BROKEN)
    first = excerpt((message or error.message or "it cannot be read").splitlines()[0])
    if isinstance(error, LineTooLong) or first.startswith("Too many headers"):
        return Problem("head-too-long", first)
    return Problem("bad-request", f"not good HTTP: {first}")
