"""Who may: API keys.

Rules: with keys set, a request presents one as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; every key is
compared, each in constant time, so that the time of an answer says nothing.
It does not: know roles, or keep who presented what (`rates.py` counts by the number of a key).
"""

import hmac
from collections.abc import Sequence

from aiohttp import hdrs, web

from amends.delivery.api.problem import Problem

API_KEY = "X-API-Key"
CHALLENGE: dict[str, str] = {hdrs.WWW_AUTHENTICATE: 'Bearer realm="amends"'}


class Keys:
    """The keys that open the door; without any it is open."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(key.encode() for key in keys)

    def check(self, request: web.BaseRequest) -> str:
        """Let a request with a good key pass; return whose it is: its key by number, or else its address.

        Raises:
            Problem: 401.
        """
        if not self._keys:
            return request.remote or ""
        presented = _presented(request)
        if presented is None:
            raise Problem(
                "unauthorized", f"send Authorization: Bearer KEY, or {API_KEY}: KEY", headers=CHALLENGE
            )
        offered = presented.encode("utf-8", "surrogateescape")
        good = [hmac.compare_digest(offered, key) for key in self._keys]
        if not any(good):
            raise Problem("unauthorized", "the key is not known here", headers=CHALLENGE)
        return f"key {good.index(True)}"


def _presented(request: web.BaseRequest) -> str | None:
    found = request.headers.getall(API_KEY, [])
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer":
        found = [*found, token.strip()]
    return found[0] if len(found) == 1 else None
