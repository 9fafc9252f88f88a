"""The pool of connections that HTTP transports send through.

Rules
- The session is opened by the first call, inside the event loop that makes it.
- The limit is per host and there is none over all hosts: a participant that hangs uses up its own connections, and the
  others' sagas go on.
- Nothing is remembered between calls: no cookies, no proxies or passwords from the environment.
It does not: send, time out, or retry; aiohttp repeats only idempotent methods, and a command is a POST.
"""

import aiohttp


class HttpConnections:
    """A pool; one can serve any number of transports, and whoever made it closes it."""

    def __init__(self, *, per_host: int = 100) -> None:
        if per_host < 1:
            raise ValueError(f"connections per host must be at least 1, not {per_host}")
        self._per_host = per_host
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def session(self) -> aiohttp.ClientSession:
        """Return the open session.

        Raises:
            ConnectionError: the pool was closed.
        """
        if self._session is None:
            if self._closed:
                raise ConnectionError("the pool of connections is closed")
            self._session = _open_session(self._per_host)
        return self._session

    async def close(self) -> None:
        """Close all connections. Closing twice is harmless."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _open_session(per_host: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=per_host),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "amends", "Accept": "application/json, application/problem+json"},
        trust_env=False,
    )
