"""One request in a handler's hands, and what a handler may use.

Rules: what a request says is read through here, checked; a header that may stand once stands once.
It does not: answer.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec
from aiohttp import hdrs, web

from amends.application.orchestrator import Orchestrator
from amends.application.service import Service
from amends.delivery.api import body
from amends.delivery.api.cursor import Cursors
from amends.delivery.api.problem import Fault, Problem

T = TypeVar("T", bound=msgspec.Struct)

Answer: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""A handler of another door, which answers by itself."""

_POSITION = re.compile(r'"(0|[1-9][0-9]{0,17})"')


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may take: bytes, and seconds."""

    body: int
    body_within: float
    longest_wait: float
    write_within: float
    heartbeat: float = 15.0
    consistent_within: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Door:
    """What the handlers reach: the service behind them, and what belongs to the door itself."""

    service: Service
    callbacks: Answer
    limits: Limits
    draining: asyncio.Event
    """Set when the server is going down: who waits is answered."""
    document: Callable[[], bytes]
    """The OpenAPI document."""
    connections: Callable[[], int]
    """How many are open."""
    dress: Callable[[web.StreamResponse, str], None]
    """Put the headers on an answer that all have; the text is the request's id."""

    @property
    def orchestrator(self) -> Orchestrator:
        """Where sagas run."""
        return self.service.orchestrator


@dataclass(kw_only=True)
class Call:
    """One request, matched to a route."""

    request: web.BaseRequest
    id: str
    """The correlation id: in the log, and in the answer's `Amends-Request-Id`."""
    path: Mapping[str, str]
    """The values of the path's parts, decoded."""
    query: Mapping[str, Any]
    door: Door
    cursors: Cursors
    handle: "Callable[[Call], Awaitable[web.StreamResponse]]"
    route: str
    """The route's path, with ``{name}`` for the parts that vary."""
    about: str = ""
    """The instance that a request turned out to be about."""

    @property
    def saga_id(self) -> str:
        """The instance that the path names."""
        return self.path["id"]

    @property
    def service(self) -> Service:
        """What is called."""
        return self.door.service

    def dress(self, response: web.StreamResponse) -> None:
        """Put the headers on an answer that is sent piece by piece."""
        self.door.dress(response, self.id)

    async def body(self, kind: type[T]) -> T:
        """Return the body as `kind`. Raises Problem."""
        limits = self.door.limits
        body.check_head(self.request, limit=limits.body)
        found = await body.read(self.request, limit=limits.body, within=limits.body_within)
        return body.parse(found, kind)

    def header(self, name: str) -> str | None:
        """Return a header that may stand once; None when it is not there."""
        found = self.request.headers.getall(name, [])
        if len(found) > 1:
            raise bad_header(name, "stands twice")
        return found[0] if found else None

    def expected(self) -> int | None:
        """Return the position in `If-Match`; None when any will do."""
        given = self.header(hdrs.IF_MATCH)
        if given is None or given.strip() == "*":
            return None
        match = _POSITION.fullmatch(given.strip())
        if match is None:
            raise bad_header(hdrs.IF_MATCH, 'one position expected, as ETag gave it, such as "7"')
        return int(match[1])


def bad_header(name: str, reason: str) -> Problem:
    """Return the 400 for a header."""
    # aiohttp's names are texts of a class of their own, which has no JSON form.
    name = str(name)
    return Problem("bad-header", f"{name}: {reason}", errors=(Fault(name, reason),))
