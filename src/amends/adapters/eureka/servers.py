"""The Eureka servers of one zone, as one that answers: who answered last is asked first.

Rules
- A server that does not answer in time, answers with 5xx, refuses the credentials, or says more than is read, is passed
  over for the next one; when all are, `Away` names what each said.
- 2xx and 404 are answers. No redirect is followed. Credentials are in the address, and never in what is told.
It does not: repeat, or wait.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
from yarl import URL

from amends.wire.excerpt import excerpt

WITHIN: Final = 5.0
"""Seconds that one server may take for one answer."""
MOST_BYTES: Final = 4 << 20

_SUCCEEDING = range(200, 300)


class Away(Exception):
    """None of the servers answers; the text names each, without its credentials."""


class Reply(NamedTuple):
    """What a server answered."""

    is_known: bool
    """False for a 404: what was asked for is not there."""
    body: bytes


class _PassedOver(Exception):
    """This server's answer does not count."""


class Servers:
    """Asks whichever of them answers."""

    def __init__(self, urls: Sequence[str], *, within: float = WITHIN) -> None:
        """`urls` end in ``/eureka/``, or wherever the servers have it; at least one."""
        if not urls:
            raise ValueError("name at least one Eureka server")
        self._urls = [URL(url if url.endswith("/") else f"{url}/") for url in urls]
        self._timeout = aiohttp.ClientTimeout(total=within)
        self._session: aiohttp.ClientSession | None = None

    @property
    def first(self) -> tuple[str, int]:
        """Host and port of the one that is asked first."""
        url = self._urls[0]
        return url.host or "", url.port or 0

    async def ask(self, method: str, *path: str, query: str = "", body: bytes | None = None) -> Reply:
        """Return what the first server answers that answers at all.

        Raises:
            Away: none does.
        """
        reasons: list[str] = []
        for url in tuple(self._urls):
            try:
                reply = await self._answer(method, _below(url, path, query), body)
            except (aiohttp.ClientError, TimeoutError, OSError, _PassedOver) as error:
                reasons.append(f"{_shown(url)}: {_told(error)}")
            else:
                if url is not self._urls[0]:
                    self._urls = [url, *(each for each in self._urls if each is not url)]
                return reply
        raise Away("; ".join(reasons))

    async def close(self) -> None:
        """Close all connections. Closing twice is harmless."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _answer(self, method: str, url: URL, body: bytes | None) -> Reply:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        # Compressed answers are not asked for: their size says nothing before they are read.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "amends"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        asked = self._session.request(method, url, data=body, headers=headers, allow_redirects=False)
        async with asked as response:
            if response.status not in _SUCCEEDING and response.status != HTTPStatus.NOT_FOUND:
                raise _PassedOver(f"HTTP {response.status}")
            return Reply(response.status != HTTPStatus.NOT_FOUND, await _read(response))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for piece in response.content.iter_any():
        found += piece
        if len(found) > MOST_BYTES:
            raise _PassedOver(f"its answer is longer than {MOST_BYTES:,} bytes")
    return bytes(found)


def _below(url: URL, path: Sequence[str], query: str) -> URL:
    # Each part is one segment, whatever characters it has.
    below = url.joinpath(*(part.replace("/", "%2F") for part in path))
    return below.with_query(query) if query else below


def _shown(url: URL) -> str:
    return excerpt(str(url.with_user(None).with_query(None)))


def _told(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    return excerpt(str(error) or type(error).__name__)
